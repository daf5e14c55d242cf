import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.RetriableException;

/** One group of the crowd: lets members come and go, and deletes the group while it is empty, all by chance. */
final class CrowdGroup implements Runnable {
  enum Kind { RANGE, COOPERATIVE, CONSUMER, ASSIGN, TRANSACTIONAL }

  private enum Act { JOIN, LEAVE, VANISH, REPLACE, DELETE }

  /** The same for every group, so that no kind goes without any of these. */
  private static final List<Act> BEGINNING = List.of(Act.JOIN, Act.JOIN, Act.VANISH, Act.LEAVE, Act.JOIN, Act.DELETE, Act.JOIN);

  final Crowd crowd;
  final String id;
  final Kind kind;
  final CrowdLedger ledger = new CrowdLedger();
  private final boolean consumerProtocol;
  private final Random random;
  private final Map<Integer, CrowdMember> members = new TreeMap<>();
  private final Set<Integer> orphans = new HashSet<>();
  private volatile int acts;
  private int left;
  private int vanished;

  CrowdGroup(Crowd crowd, int index) {
    this.crowd = crowd;
    kind = Kind.values()[index % Kind.values().length];
    boolean odd = index / Kind.values().length % 2 == 1;
    consumerProtocol = kind == Kind.CONSUMER || kind == Kind.TRANSACTIONAL && odd;
    id = String.format("crowd-%02d-%s", index, kind.name().toLowerCase());
    random = new Random(crowd.seed * 1000 + index);
  }

  boolean isConsumerProtocol() {
    return consumerProtocol;
  }

  Collection<String> topics() {
    return crowd.topics.keySet();
  }

  /** The partitions that the member of a slot assigns itself: no two members commit the same one. */
  List<TopicPartition> share(int slot) {
    List<TopicPartition> share = new ArrayList<>();
    crowd.topics.forEach((topic, partitions) -> {
      for (int partition = slot; partition < partitions; partition += crowd.slots) share.add(new TopicPartition(topic, partition));
    });
    return share;
  }

  /** Chooses offsets to commit on some of the partitions; they go back as often as forth. */
  List<CrowdLedger.Entry> draw(Collection<TopicPartition> owned, Random random) {
    List<TopicPartition> chosen = new ArrayList<>(owned);
    Collections.shuffle(chosen, random);
    int count = chosen.isEmpty() ? 0 : 1 + random.nextInt(chosen.size());
    List<CrowdLedger.Entry> entries = new ArrayList<>();
    for (TopicPartition partition : chosen.subList(0, count)) entries.add(ledger.entry(partition, random.nextInt(crowd.logEnd + 1)));
    return entries;
  }

  @Override
  public void run() {
    try {
      while (!crowd.isQuiet()) {
        tryToAct();
        crowd.pause(crowd.paceMs / 4 + random.nextInt(crowd.paceMs * 3 / 2));
      }
      endOrphans();
      settle();
    } catch (Exception trouble) {
      crowd.trouble(id, trouble);
    }
  }

  private void tryToAct() throws InterruptedException {
    try {
      act(acts < BEGINNING.size() ? BEGINNING.get(acts) : chooseAct());
    } catch (InterruptedException ended) {
      throw ended;
    } catch (Exception trouble) {
      crowd.trouble(id, trouble);
    }
    acts++;
  }

  private Act chooseAct() {
    int chance = random.nextInt(100);
    if (members.isEmpty()) return Act.JOIN;
    if (chance < 8) return Act.DELETE;
    if (chance < 50 && members.size() < crowd.slots) return Act.JOIN;
    if (chance < 75) return Act.LEAVE;
    return chance < 90 ? Act.VANISH : Act.REPLACE;
  }

  private void act(Act act) throws Exception {
    switch (act) {
      case JOIN -> join();
      case LEAVE -> depart(CrowdMember.Departure.LEAVE);
      case VANISH -> depart(CrowdMember.Departure.VANISH);
      case REPLACE -> replaceAll();
      case DELETE -> delete();
    }
  }

  private void join() {
    int slot = 0;
    while (members.containsKey(slot)) slot++;
    CrowdMember member = new CrowdMember(this, slot, new Random(random.nextLong()));
    // Its producer has ended what the one before it left open.
    orphans.remove(slot);
    members.put(slot, member);
    member.start();
  }

  private void depart(CrowdMember.Departure how) throws InterruptedException {
    List<Integer> slots = new ArrayList<>(members.keySet());
    depart(slots.get(random.nextInt(slots.size())), how);
  }

  private void depart(int slot, CrowdMember.Departure how) throws InterruptedException {
    CrowdMember member = members.remove(slot);
    member.depart(how);
    member.join();
    if (how == CrowdMember.Departure.LEAVE) {
      left++;
      return;
    }
    vanished++;
    if (kind == Kind.TRANSACTIONAL) orphans.add(slot);
  }

  /** A deployment in a hurry: everybody goes, and as many come. */
  private void replaceAll() throws InterruptedException {
    int count = members.size();
    for (int slot : List.copyOf(members.keySet())) depart(slot, CrowdMember.Departure.LEAVE);
    for (int joined = 0; joined < count; joined++) join();
  }

  private void delete() throws Exception {
    for (int slot : List.copyOf(members.keySet())) depart(slot, CrowdMember.Departure.LEAVE);
    endOrphans();
    while (!isEmpty()) Thread.sleep(100);
    while (!isGone()) crowd.trouble(id, new IllegalStateException("nobody knows whether it is deleted"));
    ledger.deleted();
  }

  /** Deletes the group; an answer that does not come tells nothing. */
  private boolean isGone() throws Exception {
    try {
      crowd.admin.deleteConsumerGroups(List.of(id)).all().get();
      return true;
    } catch (ExecutionException failure) {
      // There was nothing to delete, or an earlier answer was lost.
      if (failure.getCause() instanceof GroupIdNotFoundException) return true;
      if (failure.getCause() instanceof RetriableException) return false;
      throw failure;
    }
  }

  /** Ends the transactions of members that have vanished. */
  private void endOrphans() {
    for (int slot : orphans) CrowdTransactions.start(this, slot).close(Duration.ofSeconds(30));
    orphans.clear();
  }

  private boolean isEmpty() throws Exception {
    ConsumerGroupDescription group = describe();
    return group == null || group.groupState() == GroupState.EMPTY || group.groupState() == GroupState.DEAD;
  }

  private ConsumerGroupDescription describe() throws Exception {
    try {
      return crowd.admin.describeConsumerGroups(List.of(id)).all().get().get(id);
    } catch (ExecutionException failure) {
      if (failure.getCause() instanceof GroupIdNotFoundException) return null;
      throw failure;
    }
  }

  /** Waits until Kafka and the members agree on who is in the group, and nothing is under way. */
  private void settle() throws Exception {
    for (int agreed = 0; agreed < 3; agreed = isSettled() ? agreed + 1 : 0) Thread.sleep(300);
  }

  private boolean isSettled() throws Exception {
    if (!members.values().stream().allMatch(CrowdMember::isIdle)) return false;
    if (kind == Kind.ASSIGN || members.isEmpty()) return isEmpty();
    ConsumerGroupDescription group = describe();
    return group != null && group.groupState() == GroupState.STABLE && group.members().size() == members.size()
        && members.values().stream().mapToInt(CrowdMember::round).distinct().count() == 1
        && members.get(members.keySet().iterator().next()).round() > 0;
  }

  /** Returns how often members have come or gone. */
  int acts() {
    return acts;
  }

  ObjectNode truth() {
    ObjectNode node = crowd.json.createObjectNode();
    node.put("kind", kind.name().toLowerCase());
    node.put("members", members.size());
    node.put("left", left);
    node.put("vanished", vanished);
    node.set("lives", ledger.toJson());
    return node;
  }
}
