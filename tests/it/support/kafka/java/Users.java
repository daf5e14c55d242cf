import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AccessControlEntryFilter;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourcePatternFilter;
import org.apache.kafka.common.resource.ResourceType;

/** Users with a password, and exactly what each of them may do. */
final class Users {
  private static final int ITERATIONS = 4096;

  /** Lets a user log in with SCRAM-SHA-512. */
  static Object add(JsonNode request) throws Exception {
    try (Admin admin = Admin.create(Cluster.properties(request))) {
      var credential = new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS);
      var user = new UserScramCredentialUpsertion(
          request.get("user").asText(), credential, request.get("password").asText());
      admin.alterUserScramCredentials(List.of(user)).all().get();
    }
    return "added";
  }

  /** Takes every right of a user and gives it these; returns how many. */
  static Object grantOnly(JsonNode request) throws Exception {
    String principal = "User:" + request.get("user").asText();
    List<AclBinding> bindings = new ArrayList<>();
    request.get("grants").forEach(grant -> {
      var type = ResourceType.fromString(grant.get("resource").asText());
      var pattern = PatternType.fromString(grant.get("pattern").asText().toUpperCase());
      var operation = AclOperation.fromString(grant.get("operation").asText().replaceAll("(?<=[a-z])(?=[A-Z])", "_"));
      if (type.isUnknown() || pattern.isUnknown() || operation.isUnknown()) {
        throw new IllegalArgumentException("Kafka knows no such thing: " + grant);
      }
      var entry = new AccessControlEntry(principal, "*", operation, AclPermissionType.ALLOW);
      bindings.add(new AclBinding(new ResourcePattern(type, grant.get("name").asText(), pattern), entry));
    });
    try (Admin admin = Admin.create(Cluster.properties(request))) {
      var all = new AccessControlEntryFilter(principal, null, AclOperation.ANY, AclPermissionType.ANY);
      admin.deleteAcls(List.of(new AclBindingFilter(ResourcePatternFilter.ANY, all))).all().get();
      admin.createAcls(bindings).all().get();
    }
    return bindings.size();
  }
}
