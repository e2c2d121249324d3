import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

/** java Client.java URL: the answers to a GET and to a POST. In the clear it offers h2c with each request. */
public class Client {
  public static void main(String[] args) throws Exception {
    HttpClient client = HttpClient.newHttpClient();
    for (String body : new String[] {"", "x".repeat(100_000)}) {
      HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(args[0]));
      if (!body.isEmpty()) request.POST(BodyPublishers.ofString(body));
      System.out.println(client.send(request.build(), BodyHandlers.ofString()).body().trim());
    }
  }
}
