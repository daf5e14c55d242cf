import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;

/** A Kafka Streams application by KIP-1071 that reads one topic, commits, and then stays without reading on. */
final class StreamsApp {
  private static final Map<String, KafkaStreams> OPEN = new ConcurrentHashMap<>();
  private static final AtomicLong NEXT = new AtomicLong();

  /** Starts an application and returns once it has committed {@code records} records of the topic and paused. */
  static String open(JsonNode request) throws Exception {
    Properties properties = Cluster.properties(request);
    properties.put("application.id", request.get("group").asText());
    properties.put("group.protocol", "streams");
    properties.put("state.dir", request.get("state_dir").asText());
    properties.put("commit.interval.ms", "100");
    properties.put("default.key.serde", Serdes.ByteArraySerde.class.getName());
    properties.put("default.value.serde", Serdes.ByteArraySerde.class.getName());
    var builder = new StreamsBuilder();
    builder.<byte[], byte[]>stream(request.get("topic").asText()).foreach((key, value) -> {});
    var streams = new KafkaStreams(builder.build(), properties);
    String id = "streams-app-" + NEXT.incrementAndGet();
    OPEN.put(id, streams);
    streams.start();
    long wanted = request.get("records").asLong();
    long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    for (long committed = 0; committed < wanted; committed = committed(request)) {
      if (System.nanoTime() > deadline) throw new IllegalStateException(streams.state() + ": committed " + committed + " of " + wanted);
      Thread.sleep(20);
    }
    streams.pause();
    return id;
  }

  private static long committed(JsonNode request) throws Exception {
    var offsets = Cluster.of(request).admin.listConsumerGroupOffsets(request.get("group").asText());
    return offsets.partitionsToOffsetAndMetadata().get().values().stream().mapToLong(OffsetAndMetadata::offset).sum();
  }

  /** Leaves the group. */
  static Object close(JsonNode request) {
    OPEN.remove(request.get("app").asText()).close(Duration.ofSeconds(30));
    return "closed";
  }
}
