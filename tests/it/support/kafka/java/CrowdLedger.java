import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.TopicPartition;

/**
 * What the clients of one group know for certain: the truth that the tests compare others with.
 *
 * <p>A group that is deleted and comes back has a new life: offsets, generations and counts begin again.
 */
final class CrowdLedger {
  /** Partition offsets that were acknowledged, in all groups and lives. */
  static final AtomicLong ACKNOWLEDGED = new AtomicLong();

  private static final ObjectMapper JSON = new ObjectMapper();

  /** An offset that a member is about to commit. One member owns a partition at a time, so the numbers tell the order. */
  record Entry(long number, TopicPartition partition, long offset) {}

  private static final class Life {
    final Map<String, Long> acknowledged = new TreeMap<>();
    final Map<String, Long> uncertain = new TreeMap<>();
    final Map<String, Entry> last = new TreeMap<>();
    final Map<String, List<Entry>> lastUncertain = new TreeMap<>();
    final Set<Integer> rounds = new TreeSet<>();
    final Set<String> members = new TreeSet<>();
  }

  private final List<Life> lives = new ArrayList<>(List.of(new Life()));
  private long entries;

  synchronized Entry entry(TopicPartition partition, long offset) {
    return new Entry(++entries, partition, offset);
  }

  /** Kafka has answered that these offsets are committed. */
  synchronized void acknowledge(Collection<Entry> committed) {
    Life life = life();
    for (Entry entry : committed) {
      life.acknowledged.merge(entry.partition().topic(), 1L, Long::sum);
      life.last.merge(entry.partition().toString(), entry, (one, other) -> one.number() > other.number() ? one : other);
    }
    ACKNOWLEDGED.addAndGet(committed.size());
  }

  /** Kafka may have written these offsets up to {@code times} times, beside what was acknowledged. */
  synchronized void doubt(Collection<Entry> committed, long times) {
    Life life = life();
    for (Entry entry : committed) {
      life.uncertain.merge(entry.partition().topic(), times, Long::sum);
      life.lastUncertain.computeIfAbsent(entry.partition().toString(), partition -> new ArrayList<>()).add(entry);
    }
  }

  /** A member has been told that it is in this generation, or at this epoch. */
  synchronized void saw(String member, int round) {
    Life life = life();
    life.rounds.add(round);
    life.members.add(member);
  }

  synchronized void deleted() {
    lives.add(new Life());
  }

  private Life life() {
    return lives.get(lives.size() - 1);
  }

  synchronized ArrayNode toJson() {
    ArrayNode all = JSON.createArrayNode();
    lives.forEach(life -> all.add(toJson(life)));
    return all;
  }

  private static JsonNode toJson(Life life) {
    ObjectNode node = JSON.createObjectNode();
    node.set("acknowledged", JSON.valueToTree(life.acknowledged));
    node.set("uncertain", JSON.valueToTree(life.uncertain));
    node.set("rounds", JSON.valueToTree(life.rounds));
    node.set("members", JSON.valueToTree(life.members));
    ArrayNode offsets = node.putArray("offsets");
    Set<String> partitions = new TreeSet<>(life.last.keySet());
    partitions.addAll(life.lastUncertain.keySet());
    for (String partition : partitions) {
      Entry last = life.last.get(partition);
      ArrayNode possible = JSON.createArrayNode();
      if (last != null) possible.add(last.offset());
      life.lastUncertain.getOrDefault(partition, List.of()).stream()
          .filter(entry -> last == null || entry.number() > last.number())
          .forEach(entry -> possible.add(entry.offset()));
      if (last == null) possible.addNull();
      TopicPartition id = last == null ? life.lastUncertain.get(partition).get(0).partition() : last.partition();
      offsets.addArray().add(id.topic()).add(id.partition()).add(possible);
    }
    return node;
  }
}
