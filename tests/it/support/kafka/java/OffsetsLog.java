import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupCurrentMemberAssignmentKey;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupCurrentMemberAssignmentValue;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupMemberMetadataKey;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupMetadataKey;
import org.apache.kafka.coordinator.group.generated.GroupMetadataKey;
import org.apache.kafka.coordinator.group.generated.GroupMetadataValue;
import org.apache.kafka.coordinator.group.generated.OffsetCommitKey;
import org.apache.kafka.coordinator.group.generated.OffsetCommitValue;

/** What {@code __consumer_offsets} holds about every group, read with Kafka's own consumer and record classes. */
final class OffsetsLog {
  /** A group from its first record to the one that ends it. */
  static final class Life {
    public final Map<String, Long> commits = new TreeMap<>();
    public final Map<String, Long> newest = new TreeMap<>();
    public final Map<String, Long> offsets = new TreeMap<>();
    public final Set<Integer> rounds = new TreeSet<>();
    public final Set<String> members = new TreeSet<>();
    private final Set<String> present = new TreeSet<>();
    public int joins;
    public int leaves;
    public final List<String> history = new ArrayList<>();
    public boolean ended;

    void join(String member) {
      if (present.add(member)) joins++;
      members.add(member);
    }

    void leave(String member) {
      if (present.remove(member)) leaves++;
    }
  }

  private final Map<String, List<Life>> groups = new TreeMap<>();

  static Object read(JsonNode request) throws Exception {
    OffsetsLog log = new OffsetsLog();
    OffsetsTopic.read(request, record -> {
      var parsed = OffsetsTopic.parse(record);
      ApiMessage value = parsed.value() == null ? null : parsed.value().message();
      log.take(parsed.key(), value, record.partition() + "@" + record.offset());
    });
    return log.groups;
  }

  private void take(ApiMessage key, ApiMessage value, String where) {
    if (key instanceof OffsetCommitKey commit) {
      Life life = life(commit.group());
      String partition = new TopicPartition(commit.topic(), commit.partition()).toString();
      if (value == null) {
        life.offsets.remove(partition);
      } else {
        var committed = (OffsetCommitValue) value;
        life.commits.merge(commit.topic(), 1L, Long::sum);
        life.newest.merge(commit.topic(), committed.commitTimestamp(), Math::max);
        life.offsets.put(partition, committed.offset());
      }
    } else if (key instanceof GroupMetadataKey group) {
      Life life = life(group.group());
      var metadata = (GroupMetadataValue) value;
      if (metadata == null) {
        end(group.group(), where + " classic tombstone");
      } else {
        life.history.add(where + " generation " + metadata.generation() + " of " + metadata.members().size());
        if (!metadata.members().isEmpty()) life.rounds.add(metadata.generation());
        Set<String> now = metadata.members().stream().map(GroupMetadataValue.MemberMetadata::memberId).collect(Collectors.toSet());
        List.copyOf(life.present).stream().filter(member -> !now.contains(member)).forEach(life::leave);
        now.forEach(life::join);
      }
    } else if (key instanceof ConsumerGroupMetadataKey group) {
      if (value == null) end(group.groupId(), where + " consumer tombstone");
      else life(group.groupId()).history.add(where + " " + value);
    } else if (key instanceof ConsumerGroupCurrentMemberAssignmentKey member) {
      Life life = life(member.groupId());
      var assignment = (ConsumerGroupCurrentMemberAssignmentValue) value;
      life.history.add(where + " " + member.memberId() + " " + (assignment == null ? "gone" : "at " + assignment.memberEpoch() + " state " + assignment.state()));
      if (assignment != null && assignment.memberEpoch() > 0) life.rounds.add(assignment.memberEpoch());
    } else if (key instanceof ConsumerGroupMemberMetadataKey member) {
      Life life = life(member.groupId());
      if (value == null) life.leave(member.memberId());
      else life.join(member.memberId());
    }
  }

  private Life life(String group) {
    List<Life> lives = groups.computeIfAbsent(group, first -> new ArrayList<>(List.of(new Life())));
    return lives.get(lives.size() - 1);
  }

  private void end(String group, String how) {
    life(group).history.add(how);
    life(group).ended = true;
    groups.get(group).add(new Life());
  }
}
