/**
 * A certificate for `app.test` that signs itself, good until 2126, and its key. For tests alone: made with
 * `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj /CN=app.test
 * -addext subjectAltName=DNS:app.test`.
 */
export const cert = `-----BEGIN CERTIFICATE-----
MIIBkjCCATigAwIBAgIUIzwP47RqBs1878u6D2/BOXyVIS8wCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIYXBwLnRlc3QwIBcNMjYxMTIwMTE0NzU3WhgPMjEyNjEwMjcx
MTQ3NTdaMBMxETAPBgNVBAMMCGFwcC50ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEdKyJ6l2+vE9jcj+avHk9Qlv/hxaj/ilj185Nw2Xwr5QWVNv16a0YD/p8
Ji6MP6I0sP2NAPP/Uujr8P8qFDicpqNoMGYwHQYDVR0OBBYEFCMiEXvUJNSWEugG
yTrd+DJC1NHZMB8GA1UdIwQYMBaAFCMiEXvUJNSWEugGyTrd+DJC1NHZMA8GA1Ud
EwEB/wQFMAMBAf8wEwYDVR0RBAwwCoIIYXBwLnRlc3QwCgYIKoZIzj0EAwIDSAAw
RQIhAIDYdmWgNlDAa8KhXW9WpVlvCMKtUE/waI3g+A1dN8xWAiBiSjVkmASZGX4o
ero2Esxaz5iM7/ib9pUPOEYRYkPg9A==
-----END CERTIFICATE-----`;

export const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg5k/nxW7NN87QZtRP
eAdN8hAhHBRzpNPPBxZgmDdkzwKhRANCAAR0rInqXb68T2NyP5q8eT1CW/+HFqP+
KWPXzk3DZfCvlBZU2/XprRgP+nwmLow/ojSw/Y0A8/9S6Ovw/yoUOJym
-----END PRIVATE KEY-----`;
