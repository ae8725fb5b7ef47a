// java.net.http.HttpClient as it comes: on a plain connection it asks to go on in HTTP/2 (Upgrade: h2c), and takes a no.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.io.ByteArrayInputStream;
import java.io.FileInputStream;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.HexFormat;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class Client {
  static String base;
  static HttpClient client;
  static final StringBuilder out = new StringBuilder("{");

  static void ask(String name, String method, String path, BodyPublisher sent, boolean expect) throws Exception {
    var request = HttpRequest.newBuilder(URI.create(base + path)).timeout(Duration.ofSeconds(60))
        .method(method, sent).expectContinue(expect).build();
    var got = client.send(request, BodyHandlers.ofByteArray());
    var sum = MessageDigest.getInstance("SHA-256").digest(got.body());
    out.append(String.format("\"%s\":[%d,\"%s\"],", name, got.statusCode(), HexFormat.of().formatHex(sum)));
  }

  public static void main(String[] args) throws Exception {
    base = args[0];
    var store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    try (var file = new FileInputStream(args[1])) {
      store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(file));
    }
    var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    var tls = SSLContext.getInstance("TLS");
    tls.init(null, trust.getTrustManagers(), null);
    client = HttpClient.newBuilder().sslContext(tls).followRedirects(HttpClient.Redirect.NORMAL).build();
    var body = new byte[200000];
    for (int i = 0; i < body.length; i++) body[i] = (byte) (i % 251);
    var none = BodyPublishers.noBody();
    ask("small", "GET", "/bytes?n=10", none, false);
    ask("large", "GET", "/bytes?n=1048576", none, false);
    ask("head", "HEAD", "/bytes?n=1000", none, false);
    ask("post", "POST", "/echo", BodyPublishers.ofByteArray(body), false);
    ask("expect", "PUT", "/echo", BodyPublishers.ofByteArray(body), true);
    ask("chunked", "PUT", "/echo", BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body)), false);
    ask("delete", "DELETE", "/gone", none, false);
    ask("missing", "GET", "/status/404", none, false);
    ask("redirected", "GET", "/moved", none, false);
    out.append("\"kept\":[");
    for (int i = 0; i < 50; i++) {
      var got = client.send(HttpRequest.newBuilder(URI.create(base + "/number/" + i)).build(), BodyHandlers.ofString());
      out.append(i == 0 ? "" : ",").append('"').append(got.body()).append('"');
    }
    System.out.println(out.append("]}"));
  }
}
