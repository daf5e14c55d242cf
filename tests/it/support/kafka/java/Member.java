import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A consumer that stays in its group and reads only when told to, so that offsets stand still between orders.
 *
 * <p>It keeps polling with every partition paused. The consumer is not thread-safe: orders run on its own thread,
 * between two polls.
 */
final class Member {
  private static final Map<String, Member> OPEN = new ConcurrentHashMap<>();
  private static final AtomicLong NEXT = new AtomicLong();

  private final String client;
  private final BlockingQueue<Runnable> orders = new LinkedBlockingQueue<>();
  private final KafkaConsumer<byte[], byte[]> consumer;
  private volatile boolean open = true;

  private Member(String client, Properties properties) {
    this.client = client;
    consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  static Member of(JsonNode request) {
    Member member = OPEN.get(request.get("member").asText());
    if (member == null) throw new IllegalArgumentException("no such member: " + request.get("member"));
    return member;
  }

  /**
   * Opens a member that subscribes to {@code topics}, or to a {@code pattern} that the coordinator resolves, or takes
   * {@code assign}ed partitions without joining.
   */
  static String open(JsonNode request) {
    Properties properties = Cluster.properties(request);
    properties.put("enable.auto.commit", "false");
    properties.put("auto.offset.reset", "earliest");
    properties.put("max.poll.records", "1");
    request.get("properties").properties().forEach(entry -> properties.put(entry.getKey(), entry.getValue().asText()));
    Member member = new Member(request.get("client").toString(), properties);
    if (request.hasNonNull("pattern")) {
      member.consumer.subscribe(new SubscriptionPattern(request.get("pattern").asText()), member.new PauseOnAssign());
    } else if (request.hasNonNull("topics")) {
      List<String> topics = new ArrayList<>();
      request.get("topics").forEach(topic -> topics.add(topic.asText()));
      member.consumer.subscribe(topics, member.new PauseOnAssign());
    } else {
      List<TopicPartition> partitions = Cluster.partitions(request.get("assign"));
      member.consumer.assign(partitions);
      member.consumer.pause(partitions);
    }
    String id = "member-" + NEXT.incrementAndGet();
    OPEN.put(id, member);
    Thread thread = new Thread(member::live, id);
    thread.setDaemon(true);
    thread.start();
    return id;
  }

  /** Ends the members of a cluster that is gone; they cannot say goodbye to it. */
  static void abandonAll(String client) {
    OPEN.values().stream().filter(member -> member.client.equals(client)).toList().forEach(member -> {
      OPEN.values().remove(member);
      member.open = false;
    });
  }

  List<Object> assignment() throws Exception {
    return order(() -> {
      List<Object> partitions = new ArrayList<>();
      consumer.assignment().forEach(partition -> partitions.add(List.of(partition.topic(), partition.partition())));
      return partitions;
    });
  }

  /** Reads {@code records} of one partition and commits the position after the last of them. */
  Object consume(JsonNode request) throws Exception {
    TopicPartition partition = Cluster.partition(request);
    int wanted = request.get("records").asInt();
    return order(() -> {
      long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
      consumer.resume(List.of(partition));
      int got = 0;
      while (got < wanted) {
        if (System.nanoTime() > deadline) throw new IllegalStateException("read " + got + " of " + wanted + " records");
        got += consumer.poll(Duration.ofMillis(100)).count();
      }
      consumer.pause(List.of(partition));
      long position = consumer.position(partition);
      consumer.commitSync(Map.of(partition, new OffsetAndMetadata(position)));
      return position;
    });
  }

  /** Commits an offset of the caller's choice and returns when Kafka had acknowledged it, in microseconds since 1970. */
  Object commit(JsonNode request) throws Exception {
    TopicPartition partition = Cluster.partition(request);
    long offset = request.get("offset").asLong();
    return order(() -> {
      consumer.commitSync(Map.of(partition, new OffsetAndMetadata(offset)));
      return ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now());
    });
  }

  /** Leaves the group. */
  Object close() throws Exception {
    OPEN.values().remove(this);
    return order(() -> {
      open = false;
      consumer.close();
      return "closed";
    });
  }

  private interface Order<T> {
    T perform() throws Exception;
  }

  private <T> T order(Order<T> order) throws Exception {
    CompletableFuture<T> result = new CompletableFuture<>();
    orders.add(() -> {
      try {
        result.complete(order.perform());
      } catch (Throwable failure) {
        result.completeExceptionally(failure);
      }
    });
    return result.get(30, TimeUnit.SECONDS);
  }

  private void live() {
    while (open) {
      try {
        consumer.poll(Duration.ofMillis(20));
      } catch (RuntimeException trouble) {
        System.err.println(Thread.currentThread().getName() + ": " + trouble);
      }
      for (Runnable order = orders.poll(); order != null; order = orders.poll()) order.run();
    }
    consumer.close(CloseOptions.timeout(Duration.ZERO));
  }

  private final class PauseOnAssign implements ConsumerRebalanceListener {
    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      consumer.pause(partitions);
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {}
  }
}
