import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The offsets of many groups without members: committed at once, and a share of them moved on in steady rounds.
 *
 * <p>Group {@code n} is called {@code prefix + n} and commits on every partition of topic {@code n % topics}. Which
 * offsets lag, and which of these move, is spread evenly over groups and partitions, and is the same in every run.
 */
final class Bulk {
  /** Commits under way at once: enough to keep one broker busy. */
  private static final int IN_FLIGHT = 64;
  private static final Map<String, Rounds> RUNNING = new ConcurrentHashMap<>();

  private final Cluster cluster;
  private final String prefix;
  private final int groups;
  private final List<String> topics = new ArrayList<>();
  private final int partitions;
  private final long end;
  private final long behind;
  private final int lagging;

  private Bulk(JsonNode request) {
    cluster = Cluster.of(request);
    prefix = request.get("prefix").asText();
    groups = request.get("groups").asInt();
    request.get("topics").forEach(topic -> topics.add(topic.asText()));
    partitions = request.get("partitions").asInt();
    end = request.get("end").asLong();
    behind = request.get("behind").asLong();
    lagging = request.get("lagging_percent").asInt();
  }

  /** Appends as many small records to every partition of every topic as their ends want, if they are empty. */
  static Object produce(JsonNode request) throws Exception {
    Bulk bulk = new Bulk(request);
    Properties properties = Cluster.properties(request);
    // A batch for each partition, and one at a time: a slow broker has been seen to get several out of order for ever.
    properties.put("batch.size", "65536");
    properties.put("linger.ms", "100");
    properties.put("max.in.flight.requests.per.connection", "1");
    List<Future<?>> sent = new ArrayList<>();
    try (var producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
      for (String topic : bulk.topics) {
        for (int partition = 0; partition < bulk.partitions; partition++) {
          for (long record = 0; record < bulk.end; record++) {
            sent.add(producer.send(new ProducerRecord<>(topic, partition, null, new byte[] {'r'})));
          }
        }
        producer.flush();
        for (var result : sent) result.get();
        sent.clear();
      }
    }
    return "produced";
  }

  /** Commits for every group: the end, or that far behind it where the group is to lag. */
  static Object fill(JsonNode request) throws Exception {
    Bulk bulk = new Bulk(request);
    return bulk.commit((group, partition) -> bulk.isWithin(bulk.lagging, group, partition) ? bulk.end - bulk.behind : bulk.end);
  }

  /** Begins to move a share of all offsets by one record in every round. */
  static Object move(JsonNode request) {
    Bulk bulk = new Bulk(request);
    Rounds rounds = bulk.new Rounds(request);
    if (RUNNING.putIfAbsent(Cluster.bootstrapServers(request), rounds) != null) throw new IllegalStateException("they move already");
    rounds.start();
    return "moving";
  }

  /** Ends that, and returns how many rounds there were. */
  static Object rest(JsonNode request) throws Exception {
    return RUNNING.remove(Cluster.bootstrapServers(request)).end();
  }

  /** What a group commits on a partition; null for nothing. */
  private interface Offsets {
    Long of(int group, int partition);
  }

  private int commit(Offsets offsets) throws Exception {
    Semaphore inFlight = new Semaphore(IN_FLIGHT);
    List<Future<Void>> answers = new ArrayList<>();
    for (int group = 0; group < groups; group++) {
      Map<TopicPartition, OffsetAndMetadata> commit = new HashMap<>();
      for (int partition = 0; partition < partitions; partition++) {
        Long offset = offsets.of(group, partition);
        if (offset != null) commit.put(new TopicPartition(topics.get(group % topics.size()), partition), new OffsetAndMetadata(offset));
      }
      if (commit.isEmpty()) continue;
      inFlight.acquire();
      var answer = cluster.admin.alterConsumerGroupOffsets(prefix + group, commit).all();
      answer.whenComplete((done, failure) -> inFlight.release());
      answers.add(answer.toCompletionStage().toCompletableFuture());
    }
    for (var answer : answers) answer.get();
    return answers.size();
  }

  /** Tells whether a partition of a group belongs to a share. A small share is part of every bigger one. */
  private boolean isWithin(int percent, int group, int partition) {
    // Both factors have no divisor in common with 100: a hundred neighbours of either kind take every place once.
    return (37L * group + 61L * partition) % 100 < percent;
  }

  private final class Rounds extends Thread {
    private final int moving;
    private final long periodNanos;
    private final long before;
    private volatile boolean isEnding;
    private long done;
    private Exception failure;

    Rounds(JsonNode request) {
      moving = request.get("moving_percent").asInt();
      periodNanos = request.get("period_ms").asLong() * 1_000_000;
      before = request.get("rounds_before").asLong();
      setDaemon(true);
    }

    @Override
    public void run() {
      long next = System.nanoTime();
      try {
        while (!isEnding) {
          long offset = end - behind + before + done + 1;
          if (offset > end) throw new IllegalStateException("no records are left to move over");
          commit((group, partition) -> isWithin(moving, group, partition) ? offset : null);
          done++;
          // A round that takes longer than the period makes the next one late, and never two at once.
          next = Math.max(next + periodNanos, System.nanoTime());
          synchronized (this) {
            for (long left; !isEnding && (left = next - System.nanoTime()) > 0; ) wait(left / 1_000_000, (int) (left % 1_000_000));
          }
        }
      } catch (Exception broken) {
        failure = broken;
      }
    }

    long end() throws Exception {
      synchronized (this) {
        isEnding = true;
        notifyAll();
      }
      join();
      if (failure != null) throw failure;
      return done;
    }
  }
}
