#!/usr/bin/env bash
# The Java SDK of IPinfo stores a 503 as the record of the address, and never asks again.
#
# io.ipinfo:ipinfo-api 3.3.0. The SDK looks at one status only, 429. Any other error whose body is JSON (503, 403, 500) is
# decoded as a record whose members are all null. That record goes into the SDK's cache, and answers the address from then
# on. The SDK has an ErrorResponseException, and raises it for a body that is not JSON.
# Why it matters: a proxy that sheds load with "503, Retry-After: 5" takes an address away from a Java client for the life
# of its cache (a day by default), long after the proxy is well again.
# Instead: answer this client 429 rather than 503, or treat a record without "ip" as an error and do not cache it (a Cache
# of your own that refuses such records).
#
# Needs: a JDK (17 or newer) and Maven.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >pom.xml <<'EOF'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId>
  <artifactId>finding</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>io.ipinfo</groupId>
      <artifactId>ipinfo-api</artifactId>
      <version>3.3.0</version>
    </dependency>
  </dependencies>
</project>
EOF
mvn -q -B -Dmaven.repo.local="$dir/repository" dependency:copy-dependencies -DoutputDirectory="$dir/lib" >maven.log ||
  { cat maven.log; exit 1; }

cat >Finding.java <<'EOF'
import com.sun.net.httpserver.HttpServer;
import io.ipinfo.api.IPinfo;
import java.net.InetSocketAddress;
import java.util.concurrent.atomic.AtomicInteger;
import okhttp3.HttpUrl;
import okhttp3.OkHttpClient;

public class Finding {
    public static void main(String[] args) throws Exception {
        AtomicInteger asked = new AtomicInteger();
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", exchange -> {
            boolean first = asked.incrementAndGet() == 1;
            String body = first
                ? "{\"status\":503,\"error\":{\"title\":\"Busy\",\"message\":\"try again\"}}"
                : "{\"ip\":\"8.8.8.8\",\"city\":\"Mountain View\",\"country\":\"US\"}";
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            if (first) exchange.getResponseHeaders().set("Retry-After", "1");
            exchange.sendResponseHeaders(first ? 503 : 200, body.length());
            exchange.getResponseBody().write(body.getBytes());
            exchange.close();
        });
        server.start();
        // The SDK has no setting for its URL. This interceptor sends its requests to the server above.
        OkHttpClient client = new OkHttpClient.Builder().addInterceptor(chain -> {
            HttpUrl url = chain.request().url().newBuilder()
                .scheme("http").host("127.0.0.1").port(server.getAddress().getPort()).build();
            return chain.proceed(chain.request().newBuilder().url(url).build());
        }).build();
        IPinfo ipinfo = new IPinfo.Builder().setToken("any").setClient(client).build();

        String first = outcome(ipinfo);
        String second = outcome(ipinfo);
        System.out.println("io.ipinfo:ipinfo-api 3.3.0");
        System.out.println("expected: 503 is an exception; the second look-up asks again and has the city");
        System.out.println("seen:     first " + first + "; second " + second + "; requests " + asked.get());
        server.stop(0);
        client.dispatcher().executorService().shutdown();
        client.connectionPool().evictAll();
        boolean same = first.equals("record with city null") && second.equals(first) && asked.get() == 1;
        System.out.println(same ? "as recorded" : "CHANGED");
        System.exit(same ? 0 : 1);
    }

    private static String outcome(IPinfo ipinfo) {
        try {
            return "record with city " + ipinfo.lookupIP("8.8.8.8").getCity();
        } catch (Exception error) {
            return error.getClass().getSimpleName();
        }
    }
}
EOF
java -cp "lib/*" Finding.java
