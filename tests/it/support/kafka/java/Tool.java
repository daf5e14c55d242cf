import com.fasterxml.jackson.databind.JsonNode;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.utils.internals.Exit;
import org.apache.kafka.tools.GroupsCommand;
import org.apache.kafka.tools.consumer.group.ConsumerGroupCommand;
import org.apache.kafka.tools.streams.StreamsGroupCommand;

/** Kafka's command-line tools, run in this process with their standard output captured. */
final class Tool {
  /** Stands for the process exit that a tool asks for. */
  @SuppressWarnings("serial")
  private static final class ExitCalled extends RuntimeException {
    ExitCalled(int code, String message) {
      super("the tool exits with code " + code + ": " + message);
    }
  }

  private interface Main {
    void run(String[] args) throws Exception;
  }

  /** The code of the first exit that the running tool has asked for: some of them catch what stands for it, and ask again. */
  private static Integer exitCode;

  static {
    Exit.setExitProcedure((code, message) -> {
      if (exitCode == null) exitCode = code;
      throw new ExitCalled(code, message);
    });
  }

  /** Runs a tool by the name of its script and returns what it prints. */
  static synchronized String run(JsonNode request) throws Exception {
    Main main = switch (request.get("tool").asText()) {
      case "kafka-consumer-groups" -> ConsumerGroupCommand::main;
      case "kafka-groups" -> GroupsCommand::main;
      case "kafka-streams-groups" -> StreamsGroupCommand::main;
      default -> throw new IllegalArgumentException("no such tool: " + request.get("tool"));
    };
    List<String> args = new ArrayList<>(List.of("--bootstrap-server", Cluster.bootstrapServers(request)));
    request.get("args").forEach(argument -> args.add(argument.asText()));
    // The tool prints to System.out alone, which the whole process shares: hence the lock.
    PrintStream standard = System.out;
    var captured = new ByteArrayOutputStream();
    exitCode = null;
    try (var out = new PrintStream(captured, true, StandardCharsets.UTF_8)) {
      System.setOut(out);
      main.run(args.toArray(String[]::new));
    } catch (ExitCalled exit) {
      if (exitCode != 0) throw new IllegalStateException(exit.getMessage() + "\n" + captured.toString(StandardCharsets.UTF_8), exit);
    } finally {
      System.setOut(standard);
    }
    return captured.toString(StandardCharsets.UTF_8);
  }
}
