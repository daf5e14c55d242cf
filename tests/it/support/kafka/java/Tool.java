import com.fasterxml.jackson.databind.JsonNode;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.utils.Exit;
import org.apache.kafka.tools.consumer.group.ConsumerGroupCommand;

/** Kafka's command-line tools, run in this process with their standard output captured. */
final class Tool {
  /** Stands for the process exit that a tool asks for. */
  @SuppressWarnings("serial")
  private static final class ExitCalled extends RuntimeException {
    ExitCalled(int code, String message) {
      super("the tool exits with code " + code + ": " + message);
    }
  }

  static {
    Exit.setExitProcedure((code, message) -> { throw new ExitCalled(code, message); });
  }

  /** Runs {@code kafka-consumer-groups} and returns what it prints. */
  static synchronized String consumerGroups(JsonNode request) {
    List<String> args = new ArrayList<>(List.of("--bootstrap-server", Cluster.bootstrapServers(request), "--timeout", "60000"));
    request.get("args").forEach(argument -> args.add(argument.asText()));
    // The tool prints to System.out alone, which the whole process shares: hence the lock.
    PrintStream standard = System.out;
    var captured = new ByteArrayOutputStream();
    try (var out = new PrintStream(captured, true, StandardCharsets.UTF_8)) {
      System.setOut(out);
      ConsumerGroupCommand.main(args.toArray(String[]::new));
    } finally {
      System.setOut(standard);
    }
    return captured.toString(StandardCharsets.UTF_8);
  }
}
