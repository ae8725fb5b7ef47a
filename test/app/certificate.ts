/**
 * A second certificate that signs itself, for `two.example`, good until 2126, and its key: what a renewal brings.
 * For tests alone; made as test/health/io/certificate.ts was.
 */
export const renewedCert = `-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUbR0iqkIqtQStjkbq5X6EI326iFcwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLdHdvLmV4YW1wbGUwIBcNMjYxMTIwMTE1NjA0WhgPMjEyNjEw
MjcxMTU2MDRaMBYxFDASBgNVBAMMC3R3by5leGFtcGxlMFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEFd50mpHJmZsld3FNTG17tB5pUkXjtGq+d4YpqNj9tIOxdzyT
2vo6e0qiwqT13oMlG23XTOyYPjDodUpUa4Tjk6NrMGkwHQYDVR0OBBYEFOQVqy/B
i7Wwz4SHVZ/GezwqDIPgMB8GA1UdIwQYMBaAFOQVqy/Bi7Wwz4SHVZ/GezwqDIPg
MA8GA1UdEwEB/wQFMAMBAf8wFgYDVR0RBA8wDYILdHdvLmV4YW1wbGUwCgYIKoZI
zj0EAwIDSAAwRQIgGE7p+RzKYJWBQCGRgBAZvmBFni+HEqnvEE2bvt58ENcCIQC1
jLnEeW5Iv37yFFy38dqvIffXD29siQOmyLcckj1t5A==
-----END CERTIFICATE-----
`;

export const renewedKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQglM9qPK5KGJ93UQYc
jWxN3ea6npHCivHlSuXNb+44nluhRANCAAQV3nSakcmZmyV3cU1MbXu0HmlSReO0
ar53himo2P20g7F3PJPa+jp7SqLCpPXegyUbbddM7Jg+MOh1SlRrhOOT
-----END PRIVATE KEY-----
`;
