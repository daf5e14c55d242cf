import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.internals.ConsumerProtocol;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.message.ConsumerProtocolAssignmentJsonConverter;
import org.apache.kafka.common.message.ConsumerProtocolSubscriptionJsonConverter;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.coordinator.common.runtime.CoordinatorRecord;
import org.apache.kafka.coordinator.group.GroupCoordinatorRecordSerde;
import org.apache.kafka.coordinator.group.generated.CoordinatorRecordJsonConverters;
import org.apache.kafka.coordinator.group.generated.GroupMetadataValue;
import org.apache.kafka.server.common.ApiMessageAndVersion;
import org.apache.kafka.tools.consumer.CoordinatorRecordMessageFormatter;

/** The records of {@code __consumer_offsets}: as they are stored, and as Kafka's own formatter prints them. */
final class OffsetsTopic {
  private static final String TOPIC = "__consumer_offsets";
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final GroupCoordinatorRecordSerde SERDE = new GroupCoordinatorRecordSerde();
  private static final Formatter FORMATTER = new Formatter();

  /** Takes a record of the topic. */
  interface Reader {
    void take(ConsumerRecord<byte[], byte[]> record) throws Exception;
  }

  /** Reads every committed record as far as it was written when asked. */
  static void read(JsonNode request, Reader reader) throws Exception {
    Properties properties = Cluster.properties(request);
    properties.put("isolation.level", "read_committed");
    try (var consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions = new ArrayList<>();
      consumer.partitionsFor(TOPIC).forEach(info -> partitions.add(new TopicPartition(TOPIC, info.partition())));
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
        for (var record : consumer.poll(Duration.ofMillis(100))) {
          if (record.offset() < ends.get(new TopicPartition(TOPIC, record.partition()))) reader.take(record);
        }
      }
    }
  }

  static CoordinatorRecord parse(ConsumerRecord<byte[], byte[]> record) {
    return SERDE.deserialize(ByteBuffer.wrap(record.key()), record.value() == null ? null : ByteBuffer.wrap(record.value()));
  }

  /** Returns every committed record. */
  static Object readAll(JsonNode request) throws Exception {
    List<Object> records = new ArrayList<>();
    read(request, record -> records.add(describe(record)));
    return records;
  }

  /** Returns a record of this type, with its value in this version, from the fields that the formatter prints. */
  static Object encode(JsonNode request) throws Exception {
    short type = request.get("type").numberValue().shortValue();
    short version = request.get("version").numberValue().shortValue();
    ApiMessage key = CoordinatorRecordJsonConverters.readRecordKeyFromJson(request.get("key"), type);
    ApiMessage value = CoordinatorRecordJsonConverters.readRecordValueFromJson(request.get("value"), type, version);
    var record = CoordinatorRecord.record(key, new ApiMessageAndVersion(value, version));
    return describe(new ConsumerRecord<>(TOPIC, 0, 0, SERDE.serializeKey(record), SERDE.serializeValue(record)));
  }

  private static Object describe(ConsumerRecord<byte[], byte[]> record) throws Exception {
    var printed = new ByteArrayOutputStream();
    FORMATTER.writeTo(record, new PrintStream(printed));
    ObjectNode described = JSON.createObjectNode();
    described.put("partition", record.partition());
    described.put("offset", record.offset());
    described.put("key", HexFormat.of().formatHex(record.key()));
    described.put("value", record.value() == null ? null : HexFormat.of().formatHex(record.value()));
    // Nothing where the type is unknown to Kafka itself.
    described.set("printed", printed.size() == 0 ? null : JSON.readTree(printed.toByteArray()));
    return described;
  }

  /**
   * What Kafka's console consumer prints with its formatters, of which each prints some types alone.
   *
   * <p>The blobs of classic members are printed as what they hold, where the consumer protocol says what.
   */
  private static final class Formatter extends CoordinatorRecordMessageFormatter {
    Formatter() {
      super(SERDE);
    }

    @Override
    protected boolean isRecordTypeAllowed(short type) {
      return true;
    }

    @Override
    protected JsonNode keyAsJson(ApiMessage key) {
      return CoordinatorRecordJsonConverters.writeRecordKeyAsJson(key);
    }

    @Override
    protected JsonNode valueAsJson(ApiMessage value, short version) {
      JsonNode json = CoordinatorRecordJsonConverters.writeRecordValueAsJson(value, version);
      if (value instanceof GroupMetadataValue group && group.protocolType().equals(ConsumerProtocol.PROTOCOL_TYPE)) {
        for (int index = 0; index < group.members().size(); index++) {
          var member = group.members().get(index);
          var printed = (ObjectNode) json.get("members").get(index);
          if (member.subscription().length > 0) printed.set("subscription", subscription(member.subscription()));
          if (member.assignment().length > 0) printed.set("assignment", assignment(member.assignment()));
        }
      }
      return json;
    }

    private static JsonNode subscription(byte[] bytes) {
      short version = ConsumerProtocol.deserializeVersion(ByteBuffer.wrap(bytes));
      var content = ConsumerProtocol.deserializeConsumerProtocolSubscription(ByteBuffer.wrap(bytes));
      return ConsumerProtocolSubscriptionJsonConverter.write(content, version);
    }

    private static JsonNode assignment(byte[] bytes) {
      short version = ConsumerProtocol.deserializeVersion(ByteBuffer.wrap(bytes));
      var content = ConsumerProtocol.deserializeConsumerProtocolAssignment(ByteBuffer.wrap(bytes));
      return ConsumerProtocolAssignmentJsonConverter.write(content, version);
    }
  }
}
