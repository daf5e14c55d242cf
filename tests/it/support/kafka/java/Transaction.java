import com.fasterxml.jackson.databind.JsonNode;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** A transaction with commits of a group without members, held open until the test ends it. */
final class Transaction {
  private static final Map<String, KafkaProducer<byte[], byte[]>> OPEN = new ConcurrentHashMap<>();
  private static final AtomicLong NEXT = new AtomicLong();

  static String open(JsonNode request) {
    String id = "transaction-" + NEXT.incrementAndGet();
    Properties properties = Cluster.properties(request);
    properties.put("transactional.id", id);
    // Longer than any test: Kafka must not end it by itself.
    properties.put("transaction.timeout.ms", "600000");
    Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
    request.get("offsets").forEach(offset ->
        offsets.put(new TopicPartition(offset.get(0).asText(), offset.get(1).asInt()), new OffsetAndMetadata(offset.get(2).asLong())));
    var producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    OPEN.put(id, producer);
    producer.initTransactions();
    producer.beginTransaction();
    producer.sendOffsetsToTransaction(offsets, nobodyIn(request));
    return id;
  }

  private static ConsumerGroupMetadata nobodyIn(JsonNode request) {
    Properties properties = Cluster.properties(request);
    properties.put("group.id", request.get("group").asText());
    try (var consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      return consumer.groupMetadata();
    }
  }

  static Object end(JsonNode request) {
    try (var producer = OPEN.remove(request.get("transaction").asText())) {
      if (request.get("commit").asBoolean()) producer.commitTransaction();
      else producer.abortTransaction();
    }
    return "ended";
  }
}
