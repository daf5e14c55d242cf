import com.fasterxml.jackson.databind.JsonNode;
import java.util.Map;
import java.util.TreeMap;
import javax.management.ObjectName;
import javax.management.remote.JMXConnectorFactory;
import javax.management.remote.JMXServiceURL;

/** The requests that nodes have answered, as they count them themselves. */
final class Requests {
  /** Returns the number of requests by the name of their API, over all nodes whose JMX ports are given. */
  static Object count(JsonNode request) throws Exception {
    Map<String, Long> counts = new TreeMap<>();
    var names = new ObjectName("kafka.network:type=RequestMetrics,name=RequestsPerSec,request=*,version=*");
    for (JsonNode port : request.get("jmx_ports")) {
      var address = new JMXServiceURL("service:jmx:rmi:///jndi/rmi://127.0.0.1:" + port.asInt() + "/jmxrmi");
      try (var connector = JMXConnectorFactory.connect(address)) {
        var connection = connector.getMBeanServerConnection();
        for (ObjectName name : connection.queryNames(names, null)) {
          counts.merge(name.getKeyProperty("request"), (Long) connection.getAttribute(name, "Count"), Long::sum);
        }
      }
    }
    return counts;
  }

  /** Returns how often clients have logged in again on a connection that was logged in to (KIP-368). */
  static Object repeatedLogIns(JsonNode request) throws Exception {
    double count = 0;
    var names = new ObjectName("kafka.server:type=socket-server-metrics,listener=*,networkProcessor=*");
    for (JsonNode port : request.get("jmx_ports")) {
      var address = new JMXServiceURL("service:jmx:rmi:///jndi/rmi://127.0.0.1:" + port.asInt() + "/jmxrmi");
      try (var connector = JMXConnectorFactory.connect(address)) {
        var connection = connector.getMBeanServerConnection();
        for (ObjectName name : connection.queryNames(names, null)) {
          count += (Double) connection.getAttribute(name, "successful-reauthentication-total");
        }
      }
    }
    return Math.round(count);
  }
}
