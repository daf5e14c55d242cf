//! The requests of Kafka's protocol, by number and name.

use std::fmt;

/// A request of Kafka's protocol.
///
/// Source: the protocol's table of API keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Api(i16);

macro_rules! apis {
    ($( $constant:ident = $key:literal $name:literal; )*) => {
        impl Api {
            $( #[doc = concat!("`", $name, "`.")] pub const $constant: Self = Self($key); )*

            /// Returns Kafka's name of it.
            pub fn name(self) -> &'static str {
                match self.0 {
                    $( $key => $name, )*
                    _ => "unknown",
                }
            }
        }
    };
}

apis! {
    PRODUCE = 0 "Produce";
    FETCH = 1 "Fetch";
    LIST_OFFSETS = 2 "ListOffsets";
    METADATA = 3 "Metadata";
    OFFSET_COMMIT = 8 "OffsetCommit";
    OFFSET_FETCH = 9 "OffsetFetch";
    FIND_COORDINATOR = 10 "FindCoordinator";
    JOIN_GROUP = 11 "JoinGroup";
    HEARTBEAT = 12 "Heartbeat";
    LEAVE_GROUP = 13 "LeaveGroup";
    SYNC_GROUP = 14 "SyncGroup";
    DESCRIBE_GROUPS = 15 "DescribeGroups";
    LIST_GROUPS = 16 "ListGroups";
    SASL_HANDSHAKE = 17 "SaslHandshake";
    API_VERSIONS = 18 "ApiVersions";
    INIT_PRODUCER_ID = 22 "InitProducerId";
    DESCRIBE_CONFIGS = 32 "DescribeConfigs";
    SASL_AUTHENTICATE = 36 "SaslAuthenticate";
    CONSUMER_GROUP_HEARTBEAT = 68 "ConsumerGroupHeartbeat";
    CONSUMER_GROUP_DESCRIBE = 69 "ConsumerGroupDescribe";
    GET_TELEMETRY_SUBSCRIPTIONS = 71 "GetTelemetrySubscriptions";
    PUSH_TELEMETRY = 72 "PushTelemetry";
    SHARE_GROUP_DESCRIBE = 77 "ShareGroupDescribe";
    STREAMS_GROUP_DESCRIBE = 89 "StreamsGroupDescribe";
}

impl Api {
    /// Returns the API of that key.
    pub const fn new(key: i16) -> Self {
        Self(key)
    }

    /// Returns its key in the protocol.
    pub const fn key(self) -> i16 {
        self.0
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}
