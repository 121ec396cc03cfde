package function;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.context.SpringBootTest.WebEnvironment;

@SpringBootTest(webEnvironment = WebEnvironment.RANDOM_PORT, properties = "GREETING=Moin")
class ApplicationTest {

  @Value("${local.server.port}")
  int port;

  @Test
  void answersAnEventInBinaryMode() throws Exception {
    greets("Ada", binary("{\"name\": \"Ada\"}"));
  }

  @Test
  void answersAnEventWithoutData() throws Exception {
    greets("World", binary(""));
  }

  @Test
  void answersAnEventInStructuredMode() throws Exception {
    greets(
        "Ada",
        post("{\"specversion\": \"1.0\", \"id\": \"1\", \"source\": \"/test\", \"type\": \"greet\", \"data\": {\"name\": \"Ada\"}}")
            .header("Content-Type", "application/cloudevents+json"));
  }

  @Test
  void refusesWhatIsNoEvent() throws Exception {
    HttpResponse<String> answer = send(post("no event"));
    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(answer.body()).contains("this function takes CloudEvents");
    assertThat(send(binary("no JSON")).statusCode()).isEqualTo(400);
  }

  private void greets(String name, HttpRequest.Builder request) throws Exception {
    HttpResponse<String> answer = send(request);
    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.headers().firstValue("Ce-Type")).hasValue("function.greeted");
    assertThat(answer.headers().firstValue("Ce-Id")).hasValue("1");
    assertThat(answer.body()).isEqualTo("{\"message\":\"Moin, " + name + "!\"}");
  }

  private HttpRequest.Builder binary(String data) {
    return post(data)
        .header("Content-Type", "application/json")
        .header("Ce-Specversion", "1.0")
        .header("Ce-Id", "1")
        .header("Ce-Source", "/test")
        .header("Ce-Type", "greet");
  }

  private HttpRequest.Builder post(String body) {
    return HttpRequest.newBuilder(URI.create("http://localhost:" + port + "/")).POST(BodyPublishers.ofString(body));
  }

  private HttpResponse<String> send(HttpRequest.Builder request) throws Exception {
    return HttpClient.newHttpClient().send(request.build(), BodyHandlers.ofString());
  }
}
