import com.sun.net.httpserver.HttpServer;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.concurrent.Executors;

/** A receiver of webhooks that notes what arrived: see StartJDK. */
public class Receiver {
    public static void main(String[] args) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), Integer.parseInt(args[0])), 0);
        FileOutputStream arrivals = new FileOutputStream(args[1], true);
        server.createContext("/", exchange -> {
            try (exchange; InputStream in = exchange.getRequestBody()) {
                MessageDigest digest = MessageDigest.getInstance("SHA-256");
                long size = 0;
                byte[] bytes = new byte[65536];
                for (int n; (n = in.read(bytes)) > 0; size += n) {
                    digest.update(bytes, 0, n);
                }
                String line = exchange.getRequestHeaders().getFirst("x-terra-trace-id") + " " + size + " " + HexFormat.of().formatHex(digest.digest()) + "\n";
                synchronized (arrivals) {
                    arrivals.write(line.getBytes(StandardCharsets.UTF_8));
                }
                exchange.sendResponseHeaders(200, 2);
                exchange.getResponseBody().write("ok".getBytes(StandardCharsets.UTF_8));
            } catch (java.security.NoSuchAlgorithmException e) {
                throw new IllegalStateException(e);
            }
        });
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.start();
    }
}
