import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A member of a share group that reads a topic from its first record on, for as long as it is open. */
final class ShareMember implements Runnable {
  private static final Map<String, ShareMember> OPEN = new ConcurrentHashMap<>();
  private static final AtomicLong NEXT = new AtomicLong();

  private final KafkaShareConsumer<byte[], byte[]> consumer;
  private final Thread thread;
  private volatile int records;
  private volatile boolean open = true;

  private ShareMember(String id, Properties properties, String topic) {
    consumer = new KafkaShareConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    consumer.subscribe(List.of(topic));
    thread = new Thread(this, id);
    thread.setDaemon(true);
  }

  /** Opens a member and returns once it has read this many records. */
  static String open(JsonNode request) throws Exception {
    String name = request.get("group").asText();
    var group = new ConfigResource(ConfigResource.Type.GROUP, name);
    var earliest = new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET);
    Cluster.of(request).admin.incrementalAlterConfigs(Map.of(group, List.of(earliest))).all().get();
    Properties properties = Cluster.properties(request);
    properties.put("group.id", name);
    String id = "share-member-" + NEXT.incrementAndGet();
    ShareMember member = new ShareMember(id, properties, request.get("topic").asText());
    OPEN.put(id, member);
    member.thread.start();
    int wanted = request.get("records").asInt();
    long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (member.records < wanted) {
      if (System.nanoTime() > deadline) throw new IllegalStateException("read " + member.records + " of " + wanted + " records");
      Thread.sleep(20);
    }
    return id;
  }

  /** Leaves the group; what was read is acknowledged. */
  static Object close(JsonNode request) throws Exception {
    ShareMember member = OPEN.remove(request.get("member").asText());
    member.open = false;
    member.thread.join();
    return "closed";
  }

  @Override
  public void run() {
    try (consumer) {
      while (open) records += consumer.poll(Duration.ofMillis(100)).count();
    } catch (RuntimeException trouble) {
      System.err.println(thread.getName() + ": " + trouble);
    }
  }
}
