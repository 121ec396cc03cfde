package function;

import java.util.Map;
import java.util.function.Function;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.cloud.function.web.util.HeaderUtils;
import org.springframework.context.annotation.Bean;
import org.springframework.messaging.Message;

/** Answers HTTP requests. */
@SpringBootApplication
public class Application {

  public static void main(String[] args) {
    SpringApplication.run(Application.class, args);
  }

  /**
   * The function. It is made once, when the process starts, and called for each request; requests
   * are served at the same time, so guard what they change.
   *
   * @param greeting the variable GREETING
   */
  @Bean
  public Function<Message<String>, String> handle(@Value("${GREETING:Hello}") String greeting) {
    return request -> {
      Object query = request.getHeaders().get(HeaderUtils.HTTP_REQUEST_PARAM);
      Object name = query instanceof Map<?, ?> values ? values.get("name") : null;
      return "%s, %s!\n".formatted(greeting, name == null ? "World" : name);
    };
  }
}
