import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.Random;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The commits of a member that makes them part of its producer's transactions: some are held open, some aborted. */
final class CrowdTransactions {
  private static final int BACKOFF_MS = 500;

  private final CrowdGroup group;
  private final int slot;
  private final Random random;
  private final List<CrowdLedger.Entry> pending = new ArrayList<>();
  private KafkaProducer<byte[], byte[]> producer;
  private boolean open;
  private long mayHaveRepeated;

  CrowdTransactions(CrowdGroup group, int slot, Random random) {
    this.group = group;
    this.slot = slot;
    this.random = random;
    producer = start(group, slot);
  }

  /** Starts a producer under the slot's transactional id, which ends the transaction of the one before it. */
  static KafkaProducer<byte[], byte[]> start(CrowdGroup group, int slot) {
    Properties properties = group.crowd.client();
    properties.put("transactional.id", group.id + "-" + slot);
    properties.put("client.id", "crowd-" + slot);
    properties.put("buffer.memory", "1048576");
    properties.put("max.block.ms", "60000");
    properties.put("retry.backoff.ms", String.valueOf(BACKOFF_MS));
    properties.put("retry.backoff.max.ms", String.valueOf(BACKOFF_MS));
    var producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    producer.initTransactions();
    return producer;
  }

  /** Adds commits to the transaction, opening one where there is none, and by chance ends it. */
  void step(Consumer<?, ?> consumer, List<CrowdLedger.Entry> entries) {
    if (!open) {
      producer.beginTransaction();
      open = true;
      mayHaveRepeated = 0;
    }
    long began = System.nanoTime();
    try {
      producer.sendOffsetsToTransaction(CrowdMember.offsets(entries), consumer.groupMetadata());
      pending.addAll(entries);
      // The producer repeats a request by itself; what Kafka had written the first time it then writes again.
      long elapsed = Duration.ofNanos(System.nanoTime() - began).toMillis();
      if (group.crowd.hasFaults()) mayHaveRepeated = Math.max(mayHaveRepeated, elapsed * 10 / (BACKOFF_MS * 8));
    } catch (KafkaException refused) {
      if (!CrowdMember.isRefusal(refused)) group.crowd.trouble(group.id + "-" + slot, refused);
      abort();
      return;
    }
    if (random.nextInt(100) < 60) end();
  }

  /** Ends the open transaction, if there is one: three of four are committed. */
  void end() {
    if (!open) return;
    if (random.nextInt(100) < 25) {
      abort();
      return;
    }
    for (int attempt = 0; ; attempt++) {
      try {
        producer.commitTransaction();
        group.ledger.acknowledge(pending);
        if (mayHaveRepeated > 0) group.ledger.doubt(pending, mayHaveRepeated);
        break;
      } catch (TimeoutException unknown) {
        if (attempt < 2) continue;
        giveUp(unknown);
        return;
      } catch (KafkaException failed) {
        giveUp(failed);
        return;
      }
    }
    pending.clear();
    open = false;
  }

  private void giveUp(KafkaException failure) {
    group.ledger.doubt(pending, 1 + mayHaveRepeated);
    group.crowd.trouble(group.id + "-" + slot, failure);
    restart();
  }

  private void abort() {
    try {
      producer.abortTransaction();
      pending.clear();
      open = false;
    } catch (KafkaException failure) {
      group.crowd.trouble(group.id + "-" + slot, failure);
      restart();
    }
  }

  private void restart() {
    producer.close(Duration.ZERO);
    pending.clear();
    open = false;
    producer = start(group, slot);
  }

  void close() {
    producer.close(Duration.ofSeconds(30));
  }

  /** Goes without a word: an open transaction stays open until the slot is taken again. */
  void abandon() {
    producer.close(Duration.ZERO);
  }
}
