import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.Admin;

/**
 * Many groups of every kind whose members come, go, die and commit by chance, and what they know for certain.
 *
 * <p>The argument is a line of JSON that tells the size. While it runs, it prints {@code {"progress": …}} now and then. A
 * line on standard input ends the commotion: nobody commits any more, and once every group has come to rest it
 * prints {@code {"truth": …}}. The members stay until standard input closes.
 */
final class Crowd {
  final ObjectMapper json = new ObjectMapper();
  final Admin admin;
  final Map<String, Integer> topics = new TreeMap<>();
  final int logEnd;
  final int slots;
  final int paceMs;
  final long seed;
  private final JsonNode plan;
  private final AtomicInteger troubles = new AtomicInteger();
  private volatile boolean quiet;

  private Crowd(JsonNode plan) {
    this.plan = plan;
    plan.get("topics").properties().forEach(topic -> topics.put(topic.getKey(), topic.getValue().asInt()));
    logEnd = plan.get("log_end").asInt();
    slots = plan.get("slots").asInt();
    paceMs = plan.get("pace_ms").asInt();
    seed = plan.get("seed").asLong();
    admin = Admin.create(client());
  }

  public static void main(String[] args) throws Exception {
    Crowd crowd = new Crowd(new ObjectMapper().readTree(args[0]));
    Thread thread = new Thread(() -> crowd.run(System.out));
    thread.setDaemon(true);
    thread.start();
    while (System.in.read() >= 0) crowd.quiet = true;
    Runtime.getRuntime().halt(0);
  }

  private void run(PrintStream out) {
    try {
      List<CrowdGroup> groups = new ArrayList<>();
      List<Thread> directors = new ArrayList<>();
      for (int index = 0; index < plan.get("groups").asInt(); index++) {
        CrowdGroup group = new CrowdGroup(this, index);
        Thread director = new Thread(group, group.id);
        director.setDaemon(true);
        director.start();
        groups.add(group);
        directors.add(director);
      }
      while (!quiet) {
        pause(200);
        ObjectNode progress = json.createObjectNode();
        progress.put("acknowledged", CrowdLedger.ACKNOWLEDGED.get());
        progress.put("acts", groups.stream().mapToInt(CrowdGroup::acts).min().orElse(0));
        say(out, "progress", progress);
      }
      for (Thread director : directors) director.join();
      ObjectNode truth = json.createObjectNode();
      truth.put("troubles", troubles.get());
      ObjectNode all = truth.putObject("groups");
      groups.forEach(group -> all.set(group.id, group.truth()));
      say(out, "truth", truth);
    } catch (Exception broken) {
      trouble("crowd", broken);
      Runtime.getRuntime().halt(1);
    }
  }

  private void say(PrintStream out, String name, JsonNode value) {
    out.println(json.createObjectNode().set(name, value).toString());
    out.flush();
  }

  /** What every client of the crowd has in common. */
  Properties client() {
    Properties properties = Cluster.properties(plan);
    properties.put("metric.reporters", "");
    properties.put("enable.metrics.push", "false");
    return properties;
  }

  /** Tells whether nodes die while it runs: then no client may repeat a commit by itself. */
  boolean hasFaults() {
    return plan.get("faults").asBoolean();
  }

  /** Tells whether the commotion is over. */
  boolean isQuiet() {
    return quiet;
  }

  /** Waits, at the longest until the commotion is over. */
  void pause(long ms) throws InterruptedException {
    long end = System.nanoTime() + ms * 1_000_000;
    while (System.nanoTime() < end && !quiet) Thread.sleep(50);
  }

  /** Notes an error that is no refusal; the test decides whether there may be any. */
  void trouble(String who, Throwable failure) {
    troubles.incrementAndGet();
    System.err.println(who + ": " + failure);
    failure.printStackTrace();
  }
}
