import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.OutputStreamWriter;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutionException;

/**
 * Runs Kafka's own clients and tools for the tests, in one Java process for all of them.
 *
 * <p>It listens on a free loopback port, printed on standard output. A connection carries one request: a line of JSON
 * in, a line of JSON out, {@code {"ok": value}} or {@code {"error": text}}. It ends when its standard input does.
 */
final class Driver {
  private static final ObjectMapper JSON = new ObjectMapper();

  public static void main(String[] args) throws Exception {
    ServerSocket server = new ServerSocket(0, 64, InetAddress.getLoopbackAddress());
    System.out.println(server.getLocalPort());
    Thread accept = new Thread(() -> accept(server));
    accept.setDaemon(true);
    accept.start();
    while (System.in.read() >= 0) {}
    Runtime.getRuntime().halt(0);
  }

  private static void accept(ServerSocket server) {
    try {
      while (true) {
        Socket socket = server.accept();
        Thread thread = new Thread(() -> answer(socket));
        thread.setDaemon(true);
        thread.start();
      }
    } catch (Exception broken) {
      Runtime.getRuntime().halt(1);
    }
  }

  private static void answer(Socket connection) {
    try (Socket socket = connection) {
      var in = new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
      var out = new PrintWriter(new OutputStreamWriter(socket.getOutputStream(), StandardCharsets.UTF_8));
      var answer = JSON.createObjectNode();
      try {
        answer.set("ok", JSON.valueToTree(perform(JSON.readTree(in.readLine()))));
      } catch (Throwable failure) {
        answer.put("error", describe(failure));
      }
      out.println(JSON.writeValueAsString(answer));
      out.flush();
    } catch (Exception gone) {
      System.err.println("the test hung up: " + gone);
    }
  }

  private static Object perform(JsonNode request) throws Exception {
    String command = request.get("do").asText();
    return switch (command) {
      case "wait-for-nodes" -> Cluster.of(request).waitForNodes(request);
      case "forget" -> Cluster.forget(request);
      case "create-topic" -> Cluster.of(request).createTopic(request);
      case "add-partitions" -> Cluster.of(request).addPartitions(request);
      case "delete-topic" -> Cluster.of(request).deleteTopic(request);
      case "delete-records" -> Cluster.of(request).deleteRecords(request);
      case "set-topic-config" -> Cluster.of(request).setTopicConfig(request);
      case "log-start" -> Cluster.of(request).logStart(request);
      case "leader" -> Cluster.of(request).leader(request);
      case "replicas" -> Cluster.of(request).replicas(request);
      case "controller" -> Cluster.of(request).controller(request);
      case "coordinator" -> Cluster.of(request).coordinator(request);
      case "offsets-partition" -> Cluster.of(request).offsetsPartition(request);
      case "wait-for-replicas" -> Cluster.of(request).waitForReplicas(request);
      case "move-leader" -> Cluster.of(request).moveLeader(request);
      case "move-coordinator" -> Cluster.of(request).moveCoordinator(request);
      case "produce" -> Cluster.of(request).produce(request);
      case "read" -> Cluster.of(request).read(request);
      case "describe-group" -> Cluster.of(request).describeGroup(request);
      case "committed" -> Cluster.of(request).committed(request);
      case "alter-offsets" -> Cluster.of(request).alterOffsets(request);
      case "bulk-produce" -> Bulk.produce(request);
      case "bulk-fill" -> Bulk.fill(request);
      case "bulk-move" -> Bulk.move(request);
      case "bulk-rest" -> Bulk.rest(request);
      case "requests" -> Requests.count(request);
      case "repeated-log-ins" -> Requests.repeatedLogIns(request);
      case "delete-offsets" -> Cluster.of(request).deleteOffsets(request);
      case "offsets-topic-read" -> OffsetsTopic.readAll(request);
      case "offsets-topic-encode" -> OffsetsTopic.encode(request);
      case "share-open" -> ShareMember.open(request);
      case "share-close" -> ShareMember.close(request);
      case "streams-open" -> StreamsApp.open(request);
      case "streams-close" -> StreamsApp.close(request);
      case "delete-group" -> Cluster.of(request).deleteGroup(request);
      case "create-acl" -> Cluster.of(request).createAcl(request);
      case "delete-acls" -> Cluster.of(request).deleteAcls(request);
      case "add-user" -> Users.add(request);
      case "grant-only" -> Users.grantOnly(request);
      case "transaction-open" -> Transaction.open(request);
      case "transaction-end" -> Transaction.end(request);
      case "offsets-log" -> OffsetsLog.read(request);
      case "tool" -> Tool.run(request);
      case "member-open" -> Member.open(request);
      case "member-assignment" -> Member.of(request).assignment();
      case "member-consume" -> Member.of(request).consume(request);
      case "member-commit" -> Member.of(request).commit(request);
      case "member-close" -> Member.of(request).close();
      default -> throw new IllegalArgumentException("no such command: " + command);
    };
  }

  /** The client's own error where a future wraps it: the test wants Kafka's words. */
  private static String describe(Throwable failure) {
    Throwable cause = failure instanceof ExecutionException && failure.getCause() != null ? failure.getCause() : failure;
    return cause.toString();
  }
}
