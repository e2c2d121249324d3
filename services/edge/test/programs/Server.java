import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

/** java Server.java PORT: the answers of app.py. */
public class Server {
  public static void main(String[] args) throws IOException {
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), 100);
    server.createContext("/", Server::handle);
    server.setExecutor(Executors.newCachedThreadPool());
    server.start();
  }

  static void handle(HttpExchange exchange) throws IOException {
    int length = exchange.getRequestBody().readAllBytes().length;
    String path = exchange.getRequestURI().getPath();
    boolean isHead = exchange.getRequestMethod().equals("HEAD");
    if (path.endsWith("/stream")) {
      exchange.sendResponseHeaders(200, isHead ? -1 : 0);
      for (int part = 0; part < 300 && !isHead; part++) exchange.getResponseBody().write("x".repeat(1000).getBytes());
    } else {
      boolean isPost = exchange.getRequestMethod().equals("POST");
      String body = path.endsWith("/hello") ? "hello" : path.endsWith("/length") && isPost ? "" + length : "missing";
      exchange.sendResponseHeaders(body.equals("missing") ? 404 : 200, isHead ? -1 : body.length());
      if (!isHead) exchange.getResponseBody().write(body.getBytes());
    }
    exchange.close();
  }
}
