import java.lang.reflect.Field;
import java.time.Duration;
import java.util.Optional;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.internals.MemberState;
import org.apache.kafka.clients.consumer.internals.MemberStateListener;
import org.apache.kafka.clients.consumer.internals.RequestManagers;
import org.apache.kafka.clients.consumer.internals.events.ApplicationEventHandler;

/**
 * What a KIP-848 consumer does not do in public: tell every epoch that it reaches, and vanish.
 *
 * <p>The public interface shows the newest epoch only, and on the application's thread: one that lasts for a single
 * heartbeat would be missed. And whatever way it is closed, a member that is not static says goodbye. Hence the
 * consumer's private fields: this knows Kafka 4.4.
 */
final class CrowdInside implements MemberStateListener {
  private final CrowdLedger ledger;
  private final ApplicationEventHandler handler;
  private volatile MemberState state = MemberState.UNSUBSCRIBED;

  /** To be called before the consumer subscribes: from then on its own thread reads the list of listeners. */
  CrowdInside(KafkaConsumer<?, ?> consumer, CrowdLedger ledger) {
    this.ledger = ledger;
    try {
      handler = (ApplicationEventHandler) field(field(consumer, "delegate"), "applicationEventHandler");
      var managers = (RequestManagers) field(field(handler, "networkThread"), "requestManagers");
      managers.consumerMembershipManager.orElseThrow().registerStateListener(this);
    } catch (ReflectiveOperationException changed) {
      throw new IllegalStateException("this consumer is not the one of Kafka 4.4", changed);
    }
  }

  private static Object field(Object owner, String name) throws ReflectiveOperationException {
    Field field = owner.getClass().getDeclaredField(name);
    field.setAccessible(true);
    return field.get(owner);
  }

  /** Tells whether the member has nothing to take, to give or to acknowledge. */
  boolean isStable() {
    return state == MemberState.STABLE;
  }

  /** Ends the consumer's connections and its thread; Kafka hears nothing until the session is over. */
  void vanish() {
    handler.close(Duration.ofSeconds(10));
  }

  @Override
  public void onMemberEpochUpdated(Optional<Integer> epoch, String member) {
    epoch.filter(number -> number > 0).ifPresent(number -> ledger.saw(member, number));
  }

  @Override
  public void onMemberStateChange(MemberState now) {
    state = now;
  }
}
