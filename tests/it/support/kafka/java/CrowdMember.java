import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RetriableCommitFailedException;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Configurable;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.CoordinatorLoadInProgressException;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.IllegalGenerationException;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.StaleMemberEpochException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.UnknownMemberIdException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A member of the crowd on a thread of its own: it polls, reads nothing, and commits offsets by chance.
 *
 * <p>It goes at a moment when it has heard all that Kafka has decided about it, so that the ledger misses nothing.
 */
final class CrowdMember extends Thread {
  /** How a member goes. */
  enum Departure { LEAVE, VANISH }

  private static final String SELF = "crowd.member";
  private static final Duration POLL = Duration.ofMillis(50);
  /** How often a poll is followed by a commit. */
  private static final int COMMIT_PERCENT = 6;
  /** How long it commits nothing after a commit of which nobody knows what became, so that these stay few. */
  private static final Duration REST = Duration.ofSeconds(3);
  /** Longer than a request of these clients may take: by then each has an outcome. */
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  private final CrowdGroup group;
  private final CrowdLedger ledger;
  private final Random random;
  private final KafkaConsumer<byte[], byte[]> consumer;
  private final CrowdInside inside;
  private final CrowdTransactions transactions;
  private long restUntil = System.nanoTime();
  private volatile boolean leaderWaits;
  private volatile Departure departure;
  private volatile boolean idle;
  private volatile int round;

  CrowdMember(CrowdGroup group, int slot, Random random) {
    super(group.id + "-" + slot);
    setDaemon(true);
    this.group = group;
    this.random = random;
    ledger = group.ledger;
    // First: it may fail, and a consumer would be left behind.
    transactions = group.kind == CrowdGroup.Kind.TRANSACTIONAL ? new CrowdTransactions(group, slot, random) : null;
    consumer = new KafkaConsumer<>(properties(slot), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    if (group.kind == CrowdGroup.Kind.ASSIGN) {
      List<TopicPartition> share = group.share(slot);
      consumer.assign(share);
      consumer.pause(share);
      inside = null;
    } else {
      inside = group.isConsumerProtocol() ? new CrowdInside(consumer, ledger) : null;
      consumer.subscribe(group.topics(), new Watch());
    }
  }

  private Properties properties(int slot) {
    Properties properties = group.crowd.client();
    properties.put("group.id", group.id);
    properties.put("client.id", "crowd-" + slot);
    properties.put("enable.auto.commit", "false");
    properties.put("auto.offset.reset", "earliest");
    properties.put("max.poll.interval.ms", "120000");
    properties.put("group.protocol", group.isConsumerProtocol() ? "consumer" : "classic");
    if (!group.isConsumerProtocol()) {
      boolean cooperative = group.kind == CrowdGroup.Kind.COOPERATIVE;
      properties.put("partition.assignment.strategy", List.of(cooperative ? Cooperative.class : Range.class));
      properties.put("session.timeout.ms", "4000");
      properties.put("heartbeat.interval.ms", "500");
      properties.put(SELF, this);
    }
    return properties;
  }

  /** Tells the member to go; its thread ends when it has gone. */
  void depart(Departure how) {
    departure = how;
  }

  /** Tells whether the member has nothing under way, which stays so while the crowd is quiet. */
  boolean isIdle() {
    return idle;
  }

  /** Returns the generation or epoch that it is in; 0 while in none. */
  int round() {
    return round;
  }

  @Override
  public void run() {
    try {
      while (departure == null) live();
      if (departure == Departure.LEAVE) {
        if (transactions != null) transactions.end();
        waitUntilTold();
        consumer.close(CloseOptions.timeout(Duration.ofSeconds(30)));
        if (transactions != null) transactions.close();
      } else {
        waitUntilTold();
        vanish();
        if (transactions != null) transactions.abandon();
      }
    } catch (RuntimeException trouble) {
      group.crowd.trouble(getName(), trouble);
    }
  }

  private void vanish() {
    var remain = CloseOptions.groupMembershipOperation(CloseOptions.GroupMembershipOperation.REMAIN_IN_GROUP);
    if (inside == null) consumer.close(remain.withTimeout(Duration.ZERO));
    else inside.vanish();
  }

  private void live() {
    boolean quiet = group.crowd.isQuiet();
    try {
      consumer.poll(POLL);
      look();
      if (quiet && transactions != null) transactions.end();
      if (!quiet && System.nanoTime() > restUntil && random.nextInt(100) < COMMIT_PERCENT) {
        List<CrowdLedger.Entry> entries = group.draw(consumer.assignment(), random);
        if (entries.isEmpty()) return;
        if (transactions != null) transactions.step(consumer, entries);
        else commit(entries);
      }
    } catch (RuntimeException trouble) {
      group.crowd.trouble(getName(), trouble);
    }
    idle = quiet;
  }

  private void look() {
    if (group.kind == CrowdGroup.Kind.ASSIGN) return;
    ConsumerGroupMetadata self = consumer.groupMetadata();
    round = Math.max(self.generationId(), 0);
    if (round > 0) ledger.saw(self.memberId(), round);
  }

  /** Polls on until no answer about the group is on its way to this member. */
  private void waitUntilTold() {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    double heartbeats = heartbeats();
    while (System.nanoTime() < deadline) {
      consumer.poll(inside == null ? POLL : Duration.ofMillis(1));
      look();
      // A KIP-848 member learns by heartbeats, one at a time: just after an answer none is under way.
      boolean told = inside == null ? !leaderWaits : inside.isStable() && heartbeats() > heartbeats;
      if (told || group.kind == CrowdGroup.Kind.ASSIGN) return;
      if (inside != null && !inside.isStable()) heartbeats = heartbeats();
    }
    group.crowd.trouble(getName(), new IllegalStateException("no quiet moment to go within " + PATIENCE));
  }

  private double heartbeats() {
    return consumer.metrics().entrySet().stream()
        .filter(metric -> metric.getKey().name().equals("heartbeat-total"))
        .map(Map.Entry::getValue).map(Metric::metricValue)
        .mapToDouble(value -> (double) value).findFirst().orElse(0);
  }

  private void commit(List<CrowdLedger.Entry> entries) {
    // commitSync tries again by itself: with nodes that die, nobody would know how often Kafka wrote it.
    boolean once = group.crowd.hasFaults() || random.nextBoolean();
    commit(entries, offsets -> {
      if (once) commitOnce(offsets);
      else consumer.commitSync(offsets, PATIENCE);
    });
  }

  private void commit(List<CrowdLedger.Entry> entries, Consumer<Map<TopicPartition, OffsetAndMetadata>> how) {
    try {
      how.accept(offsets(entries));
      ledger.acknowledge(entries);
    } catch (RuntimeException failure) {
      if (!isRefusal(failure)) {
        ledger.doubt(entries, 1);
        restUntil = System.nanoTime() + REST.toNanos();
        group.crowd.trouble(getName(), failure);
      }
    }
  }

  /** Sends one request and waits for its outcome. */
  private void commitOnce(Map<TopicPartition, OffsetAndMetadata> offsets) {
    CompletableFuture<Void> outcome = new CompletableFuture<>();
    consumer.commitAsync(offsets, (committed, failure) -> {
      if (failure == null) outcome.complete(null);
      else outcome.completeExceptionally(failure);
    });
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (!outcome.isDone() && System.nanoTime() < deadline) consumer.poll(POLL);
    try {
      if (!outcome.isDone()) throw new TimeoutException("no outcome of a commit within " + PATIENCE);
      outcome.join();
    } catch (CompletionException failure) {
      throw failure.getCause() instanceof RuntimeException known ? known : failure;
    }
  }

  /** Tells whether Kafka has said that it did not write the commit. */
  static boolean isRefusal(RuntimeException failure) {
    Throwable cause = failure instanceof RetriableCommitFailedException && failure.getCause() != null ? failure.getCause() : failure;
    return cause instanceof CommitFailedException
        || cause instanceof RebalanceInProgressException
        || cause instanceof UnknownMemberIdException
        || cause instanceof IllegalGenerationException
        || cause instanceof StaleMemberEpochException
        || cause instanceof FencedInstanceIdException
        || cause instanceof GroupIdNotFoundException
        || cause instanceof CoordinatorLoadInProgressException;
  }

  static Map<TopicPartition, OffsetAndMetadata> offsets(List<CrowdLedger.Entry> entries) {
    Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
    entries.forEach(entry -> offsets.put(entry.partition(), new OffsetAndMetadata(entry.offset())));
    return offsets;
  }

  /** Partitions that are taken away get a last commit, half of the time. */
  private final class Watch implements ConsumerRebalanceListener {
    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      consumer.pause(partitions);
      look();
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
      look();
      if (transactions != null || partitions.isEmpty() || group.crowd.isQuiet() || random.nextBoolean()) return;
      if (departure != Departure.VANISH && !group.crowd.hasFaults()) {
        commit(group.draw(partitions, random), offsets -> consumer.commitSync(offsets, PATIENCE));
      }
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
      look();
    }
  }

  /** Tells its member when it leads, and when an assignment has come. */
  public static final class Range extends RangeAssignor implements Configurable {
    private CrowdMember member;

    @Override
    public void configure(Map<String, ?> properties) {
      member = (CrowdMember) properties.get(SELF);
    }

    @Override
    public GroupAssignment assign(Cluster cluster, GroupSubscription members) {
      member.leaderWaits = true;
      return super.assign(cluster, members);
    }

    @Override
    public void onAssignment(Assignment assignment, ConsumerGroupMetadata metadata) {
      member.leaderWaits = false;
      super.onAssignment(assignment, metadata);
    }
  }

  /** As {@link Range}, for the cooperative protocol. */
  public static final class Cooperative extends CooperativeStickyAssignor implements Configurable {
    private CrowdMember member;

    @Override
    public void configure(Map<String, ?> properties) {
      member = (CrowdMember) properties.get(SELF);
    }

    @Override
    public GroupAssignment assign(Cluster cluster, GroupSubscription members) {
      member.leaderWaits = true;
      return super.assign(cluster, members);
    }

    @Override
    public void onAssignment(Assignment assignment, ConsumerGroupMetadata metadata) {
      member.leaderWaits = false;
      super.onAssignment(assignment, metadata);
    }
  }
}
