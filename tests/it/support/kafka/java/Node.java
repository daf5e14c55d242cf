import java.nio.file.Files;
import java.nio.file.Path;
import kafka.Kafka;
import kafka.tools.StorageTool;

/**
 * One Kafka node: formats its storage on the first start, then runs Kafka's own main.
 *
 * <p>Arguments: cluster id, log directory, server properties. One Java process does both, which halves the start.
 */
final class Node {
  public static void main(String[] args) {
    String cluster = args[0];
    Path logs = Path.of(args[1]);
    String properties = args[2];
    if (Files.notExists(logs.resolve("meta.properties"))) {
      int code = StorageTool.execute(new String[] {"format", "-t", cluster, "-c", properties}, System.out);
      if (code != 0) System.exit(code);
    }
    Kafka.main(new String[] {properties});
  }
}
