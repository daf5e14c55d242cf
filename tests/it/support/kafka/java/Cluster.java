import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.Utils;

/** One cluster as the tests change and question it, through Kafka's own admin client, producer and consumer. */
final class Cluster {
  private static final String OFFSETS = "__consumer_offsets";
  /** An election takes seconds, and the machine may be busy. */
  private static final Duration PATIENCE = Duration.ofSeconds(90);
  private static final Map<String, Cluster> KNOWN = new ConcurrentHashMap<>();

  private final Properties properties;
  final Admin admin;
  private final KafkaProducer<byte[], byte[]> producer;

  private Cluster(Properties properties) {
    this.properties = properties;
    admin = Admin.create(properties);
    producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
  }

  static Cluster of(JsonNode request) {
    return KNOWN.computeIfAbsent(request.get("client").toString(), client -> new Cluster(properties(request)));
  }

  /** Ends the clients of a cluster that is gone; left alone they would try to reach it for ever. */
  static Object forget(JsonNode request) {
    String client = request.get("client").toString();
    Member.abandonAll(client);
    Cluster cluster = KNOWN.remove(client);
    if (cluster != null) {
      cluster.admin.close(Duration.ZERO);
      cluster.producer.close(Duration.ZERO);
    }
    return "forgotten";
  }

  static Properties properties(JsonNode request) {
    Properties properties = new Properties();
    request.get("client").properties().forEach(entry -> properties.put(entry.getKey(), entry.getValue().asText()));
    return properties;
  }

  static String bootstrapServers(JsonNode request) {
    return request.get("client").get("bootstrap.servers").asText();
  }

  static TopicPartition partition(JsonNode node) {
    return new TopicPartition(node.get("topic").asText(), node.get("partition").asInt());
  }

  static List<TopicPartition> partitions(JsonNode pairs) {
    List<TopicPartition> partitions = new ArrayList<>();
    pairs.forEach(pair -> partitions.add(new TopicPartition(pair.get(0).asText(), pair.get(1).asInt())));
    return partitions;
  }

  /** Waits until the cluster counts exactly these nodes as alive. */
  Object waitForNodes(JsonNode request) throws Exception {
    List<Integer> wanted = new ArrayList<>();
    request.get("nodes").forEach(node -> wanted.add(node.asInt()));
    long deadline = System.nanoTime() + Duration.ofMillis(request.get("timeout_ms").asLong()).toNanos();
    while (true) {
      String seen;
      try {
        var options = new DescribeClusterOptions().timeoutMs(1000);
        List<Integer> alive = admin.describeCluster(options).nodes().get().stream().map(Node::id).sorted().toList();
        if (alive.equals(wanted)) return alive;
        seen = alive.toString();
      } catch (ExecutionException notYet) {
        seen = notYet.getCause().toString();
      }
      if (System.nanoTime() > deadline) throw new IllegalStateException("nodes are " + seen + ", not " + wanted);
      Thread.sleep(50);
    }
  }

  Object createTopic(JsonNode request) throws Exception {
    Map<String, String> configs = new HashMap<>();
    request.get("configs").properties().forEach(entry -> configs.put(entry.getKey(), entry.getValue().asText()));
    String name = request.get("topic").asText();
    int partitions = request.get("partitions").asInt();
    var topic = new NewTopic(name, partitions, request.get("replication").numberValue().shortValue());
    admin.createTopics(List.of(topic.configs(configs))).all().get();
    while (!hasLeaders(name, partitions)) Thread.sleep(20);
    return name;
  }

  /** Creation answers before the brokers have heard of it, which would be noise in what a test sees first. */
  private boolean hasLeaders(String topic, int partitions) throws Exception {
    try {
      var known = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions();
      return known.size() == partitions && known.stream().allMatch(partition -> partition.leader() != null);
    } catch (ExecutionException unknown) {
      return false;
    }
  }

  /** Adds partitions, so that a topic has as many. */
  Object addPartitions(JsonNode request) throws Exception {
    String name = request.get("topic").asText();
    int partitions = request.get("partitions").asInt();
    admin.createPartitions(Map.of(name, NewPartitions.increaseTo(partitions))).all().get();
    while (!hasLeaders(name, partitions)) Thread.sleep(20);
    return partitions;
  }

  Object deleteTopic(JsonNode request) throws Exception {
    admin.deleteTopics(List.of(request.get("topic").asText())).all().get();
    return "deleted";
  }

  Object deleteRecords(JsonNode request) throws Exception {
    var before = RecordsToDelete.beforeOffset(request.get("offset").asLong());
    return admin.deleteRecords(Map.of(partition(request), before)).lowWatermarks().get(partition(request)).get().lowWatermark();
  }

  /** Sets a property of a topic. */
  Object setTopicConfig(JsonNode request) throws Exception {
    var topic = new ConfigResource(ConfigResource.Type.TOPIC, request.get("topic").asText());
    var entry = new ConfigEntry(request.get("name").asText(), request.get("value").asText());
    admin.incrementalAlterConfigs(Map.of(topic, List.of(new AlterConfigOp(entry, AlterConfigOp.OpType.SET)))).all().get();
    return "set";
  }

  /** Waits until every replica of every partition is in sync. */
  Object waitForReplicas(JsonNode request) throws Exception {
    await("every replica in sync", () -> {
      var topics = admin.listTopics(new ListTopicsOptions().listInternal(true)).names().get();
      return admin.describeTopics(topics).allTopicNames().get().values().stream()
          .flatMap(topic -> topic.partitions().stream())
          .allMatch(partition -> partition.isr().size() == partition.replicas().size());
    });
    return "in sync";
  }

  private interface Condition {
    boolean holds() throws Exception;
  }

  private static void await(String what, Condition condition) throws Exception {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (!condition.holds()) {
      if (System.nanoTime() > deadline) throw new IllegalStateException("no sign of " + what + " within " + PATIENCE);
      Thread.sleep(20);
    }
  }

  private List<TopicPartitionInfo> describe(String topic) throws Exception {
    return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions();
  }

  /** Returns the id of the node that leads a partition; null while there is none. */
  Object leader(JsonNode request) throws Exception {
    return leader(partition(request));
  }

  /** Returns the ids of the nodes that hold a replica, the preferred leader first. */
  Object replicas(JsonNode request) throws Exception {
    TopicPartition partition = partition(request);
    return describe(partition.topic()).get(partition.partition()).replicas().stream().map(Node::id).toList();
  }

  /** Returns the first offset that is still stored. */
  Object logStart(JsonNode request) throws Exception {
    TopicPartition partition = partition(request);
    return admin.listOffsets(Map.of(partition, OffsetSpec.earliest())).partitionResult(partition).get().offset();
  }

  private Integer leader(TopicPartition partition) throws Exception {
    Node leader = describe(partition.topic()).get(partition.partition()).leader();
    return leader == null ? null : leader.id();
  }

  /** Returns the id of the active controller. */
  Object controller(JsonNode request) throws Exception {
    return admin.describeMetadataQuorum().quorumInfo().get().leaderId();
  }

  /** Returns the id of the node that coordinates a group. */
  Object coordinator(JsonNode request) throws Exception {
    String group = request.get("group").asText();
    return admin.describeConsumerGroups(List.of(group)).all().get().get(group).coordinator().id();
  }

  /** Returns the partition of the offsets topic that holds a group, which need not exist. */
  Object offsetsPartition(JsonNode request) throws Exception {
    return offsetsPartition(request.get("group").asText()).partition();
  }

  private TopicPartition offsetsPartition(String group) throws Exception {
    return new TopicPartition(OFFSETS, Utils.abs(group.hashCode()) % describe(OFFSETS).size());
  }

  /** Makes a node the first replica of a partition, and then its leader. */
  Object moveLeader(JsonNode request) throws Exception {
    moveLeader(partition(request), request.get("to").asInt());
    return "moved";
  }

  private void moveLeader(TopicPartition partition, int to) throws Exception {
    var nodes = describe(partition.topic()).get(partition.partition()).replicas();
    List<Integer> replicas = new ArrayList<>(nodes.stream().map(Node::id).toList());
    replicas.remove((Integer) to);
    replicas.add(0, to);
    admin.alterPartitionReassignments(Map.of(partition, Optional.of(new NewPartitionReassignment(replicas)))).all().get();
    await("the new order of the replicas of " + partition,
        () -> admin.listPartitionReassignments(Set.of(partition)).reassignments().get().isEmpty());
    await("node " + to + " at the head of " + partition, () -> {
      // An answer per partition, which is an error where it is the leader already.
      admin.electLeaders(ElectionType.PREFERRED, Set.of(partition)).partitions().get();
      return Integer.valueOf(to).equals(leader(partition));
    });
  }

  /** Makes a node the leader of the partition that holds the group, and waits until it coordinates the group. */
  Object moveCoordinator(JsonNode request) throws Exception {
    String group = request.get("group").asText();
    int to = request.get("to").asInt();
    moveLeader(offsetsPartition(group), to);
    await("node " + to + " as the coordinator of " + group, () -> coordinatorOf(group).equals(to));
    return to;
  }

  private Integer coordinatorOf(String group) throws Exception {
    try {
      return admin.describeConsumerGroups(List.of(group)).all().get().get(group).coordinator().id();
    } catch (ExecutionException moving) {
      return -1;
    }
  }

  /** Sends records and returns the offset after the last one. A value is text; a key and a timestamp may be absent. */
  Object produce(JsonNode request) throws Exception {
    Integer partition = request.hasNonNull("partition") ? request.get("partition").asInt() : null;
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    for (JsonNode record : request.get("records")) {
      byte[] key = record.hasNonNull("key") ? bytes(record.get("key")) : null;
      Long timestamp = record.hasNonNull("timestamp") ? record.get("timestamp").asLong() : null;
      sent.add(producer.send(
          new ProducerRecord<>(request.get("topic").asText(), partition, timestamp, key, bytes(record.get("value")))));
    }
    producer.flush();
    long end = 0;
    for (var result : sent) end = Math.max(end, result.get().offset() + 1);
    return end;
  }

  private static byte[] bytes(JsonNode text) {
    return text.asText().getBytes(StandardCharsets.UTF_8);
  }

  /** Returns every record of a topic as far as it was written when asked: key, value and headers as text. */
  Object read(JsonNode request) {
    Properties reader = (Properties) properties.clone();
    request.get("properties").properties().forEach(entry -> reader.put(entry.getKey(), entry.getValue().asText()));
    List<Object> records = new ArrayList<>();
    try (var consumer = new KafkaConsumer<>(reader, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions = new ArrayList<>();
      consumer.partitionsFor(request.get("topic").asText())
          .forEach(info -> partitions.add(new TopicPartition(info.topic(), info.partition())));
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
        for (var record : consumer.poll(Duration.ofMillis(100))) {
          Map<String, Object> fields = new HashMap<>();
          Map<String, String> headers = new HashMap<>();
          record.headers().forEach(header -> headers.put(header.key(), text(header.value())));
          fields.put("partition", record.partition());
          fields.put("offset", record.offset());
          fields.put("key", text(record.key()));
          fields.put("value", text(record.value()));
          fields.put("headers", headers);
          records.add(fields);
        }
      }
    }
    return records;
  }

  private static String text(byte[] bytes) {
    return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
  }

  Object describeGroup(JsonNode request) throws Exception {
    String group = request.get("group").asText();
    var description = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
    List<Object> members = new ArrayList<>();
    description.members().forEach(member -> {
      List<Object> partitions = new ArrayList<>();
      member.assignment().topicPartitions().forEach(owned -> partitions.add(List.of(owned.topic(), owned.partition())));
      members.add(Map.of("id", member.consumerId(), "client_id", member.clientId(), "host", member.host(), "assignment", partitions));
    });
    return Map.of("state", description.groupState().toString(), "type", description.type().toString(), "members", members);
  }

  /** Returns the committed offsets of a group as (topic, partition, offset). */
  Object committed(JsonNode request) throws Exception {
    List<Object> rows = new ArrayList<>();
    admin.listConsumerGroupOffsets(request.get("group").asText()).partitionsToOffsetAndMetadata().get().forEach((partition, offset) -> {
      if (offset != null) rows.add(List.of(partition.topic(), partition.partition(), offset.offset()));
    });
    return rows;
  }

  /** Commits for a group without members, as {@code kafka-consumer-groups --reset-offsets} does. */
  Object alterOffsets(JsonNode request) throws Exception {
    var commit = Map.of(partition(request), new OffsetAndMetadata(request.get("offset").asLong()));
    admin.alterConsumerGroupOffsets(request.get("group").asText(), commit).all().get();
    return "committed";
  }

  /** Deletes what a group has committed on one partition. */
  Object deleteOffsets(JsonNode request) throws Exception {
    admin.deleteConsumerGroupOffsets(request.get("group").asText(), Set.of(partition(request))).all().get();
    return "deleted";
  }

  Object deleteGroup(JsonNode request) throws Exception {
    admin.deleteConsumerGroups(List.of(request.get("group").asText())).all().get();
    return "deleted";
  }

  /** Denies an operation on one group to everybody. */
  Object createAcl(JsonNode request) throws Exception {
    var type = ResourceType.fromString(request.get("resource").asText());
    var pattern = new ResourcePattern(type, request.get("name").asText(), PatternType.LITERAL);
    var entry = new AccessControlEntry("User:*", "*", AclOperation.fromString(request.get("operation").asText()),
        AclPermissionType.fromString(request.get("permission").asText()));
    admin.createAcls(List.of(new AclBinding(pattern, entry))).all().get();
    return "created";
  }

  Object deleteAcls(JsonNode request) throws Exception {
    return admin.deleteAcls(List.of(AclBindingFilter.ANY)).all().get().size();
  }
}
