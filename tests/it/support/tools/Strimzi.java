import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.strimzi.api.kafka.model.common.UnknownPropertyPreserving;
import io.strimzi.api.kafka.model.kafka.Kafka;
import io.strimzi.api.kafka.model.nodepool.KafkaNodePool;
import io.strimzi.api.kafka.model.topic.KafkaTopic;
import io.strimzi.api.kafka.model.user.KafkaUser;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;

/**
 * Reads a JSON array of Strimzi's objects from standard input as Strimzi does, and fails with all that it would not
 * understand.
 *
 * <p>Strimzi keeps properties that it does not know, and reads words that it does not know as nothing. So each object is
 * searched for the former, and written again and compared for the latter.
 */
final class Strimzi {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Map<String, Class<?>> KINDS = Map.of(
      "Kafka", Kafka.class,
      "KafkaNodePool", KafkaNodePool.class,
      "KafkaTopic", KafkaTopic.class,
      "KafkaUser", KafkaUser.class);

  public static void main(String[] args) throws Exception {
    List<String> problems = new ArrayList<>();
    int count = 0;
    for (JsonNode written : JSON.readTree(System.in)) {
      String kind = written.get("kind").asText();
      String name = kind + " " + written.at("/metadata/name").asText();
      if (!KINDS.containsKey(kind)) throw new IllegalArgumentException("no such kind: " + kind);
      if (!written.get("apiVersion").asText().equals("kafka.strimzi.io/v1")) problems.add(name + ": apiVersion");
      Object object = JSON.treeToValue(written, KINDS.get(kind));
      findUnknown(object, name, problems);
      compare(written.get("spec"), JSON.valueToTree(object).get("spec"), name + "/spec", problems);
      count++;
    }
    problems.forEach(System.err::println);
    System.out.println(count);
    System.exit(problems.isEmpty() ? 0 : 1);
  }

  private static void findUnknown(Object object, String path, List<String> problems) throws Exception {
    if (object instanceof Collection<?> items) {
      for (Object item : items) findUnknown(item, path + "/*", problems);
    }
    if (!(object instanceof UnknownPropertyPreserving preserving)) return;
    preserving.getAdditionalProperties().keySet().forEach(key -> problems.add(path + "/" + key + ": unknown"));
    for (Method method : object.getClass().getMethods()) {
      if (method.getName().startsWith("get") && method.getParameterCount() == 0) {
        findUnknown(method.invoke(object), path + "/" + method.getName().substring(3), problems);
      }
    }
  }

  /** Strimzi leaves out what is the default, but no word that it has understood becomes null. */
  private static void compare(JsonNode written, JsonNode read, String path, List<String> problems) {
    if (read == null || read.isMissingNode()) return;
    if (written instanceof ObjectNode object) {
      object.properties().forEach(entry -> compare(entry.getValue(), read.get(entry.getKey()), path + "/" + entry.getKey(), problems));
    } else if (written instanceof ArrayNode array) {
      if (array.size() != read.size()) problems.add(path + ": items are missing");
      for (int index = 0; index < array.size(); index++) compare(array.get(index), read.get(index), path + "/" + index, problems);
    } else if (!written.asText().equals(read.asText())) {
      problems.add(path + ": `" + written.asText() + "` is read as `" + read.asText() + "`");
    }
  }
}
