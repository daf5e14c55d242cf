import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import kafka.Kafka;
import kafka.tools.StorageTool;

/**
 * One Kafka node: formats its storage on the first start, then runs Kafka's own main.
 *
 * <p>Arguments: cluster id, log directory, server properties, then what else the format is told. One Java process does
 * both, which halves the start.
 */
final class Node {
  public static void main(String[] args) {
    String cluster = args[0];
    Path logs = Path.of(args[1]);
    String properties = args[2];
    if (Files.notExists(logs.resolve("meta.properties"))) {
      List<String> format = new ArrayList<>(List.of("format", "-t", cluster, "-c", properties));
      format.addAll(Arrays.asList(args).subList(3, args.length));
      int code = StorageTool.execute(format.toArray(new String[0]), System.out);
      if (code != 0) System.exit(code);
    }
    Kafka.main(new String[] {properties});
  }
}
