//! What librdkafka keeps of topics that it was ever asked about: nothing, once their metadata are old.
//!
//! A client that produces or consumes keeps a handle of every topic for ever (librdkafka#4214); this one makes none.

use std::sync::Mutex;

use super::*;
use crate::kafka::native::client::Observer;

/// Two seconds instead of librdkafka's fifteen minutes.
const METADATA_AGE: &str = "2000";

/// What a client keeps of topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept {
    /// Topics whose metadata it remembers.
    cached: u64,
    /// Topics that it has handles of.
    handles: usize,
}

/// Hears of it by the client's statistics.
#[derive(Clone, Default)]
struct Hearing(Arc<Mutex<Option<Kept>>>);

impl Observer for Hearing {
    fn log(&mut self, _level: i32, _facility: &str, _line: &str) {}

    fn error(&mut self, _error: KafkaError) {}

    fn statistics(&mut self, json: &str) {
        let statistics: serde_json::Value = serde_json::from_str(json).expect("it is JSON");
        let cached = statistics["metadata_cache_cnt"].as_u64();
        let handles = statistics["topics"].as_object();
        let kept = Kept {
            cached: cached.expect("a number"),
            handles: handles.expect("by name").len(),
        };
        *self.0.lock().expect("nobody panics with it") = Some(kept);
    }
}

impl Hearing {
    fn newest(&self) -> Option<Kept> {
        *self.0.lock().expect("nobody panics with it")
    }
}

#[tokio::test]
async fn topics_are_forgotten_once_their_metadata_are_old() {
    const TOPICS: u64 = 20;
    let fixture = Fixture::start(1);
    let names: Vec<TopicName> = (0..TOPICS)
        .map(|number| format!("topic-{number}").into())
        .collect();
    let partitions: Vec<_> = names
        .iter()
        .flat_map(|name| fixture.create_topic(name.as_str(), 1))
        .collect();
    let mut conf = fixture.cluster.connection().native_conf().expect("valid");
    let own = [
        ("metadata.max.age.ms", METADATA_AGE),
        ("statistics.interval.ms", "20"),
        ("log.queue", "true"),
    ];
    for (name, value) in DEFAULTS.iter().copied().chain(own) {
        conf.set(name, value).expect("a property of librdkafka");
    }
    let hearing = Hearing::default();
    let servers = fixture.cluster.bootstrap_servers();
    let client = Client::start(conf, &servers, hearing.clone()).expect("it is valid");

    let metadata = client.all_topics(TIMEOUT).await.expect("it is up");
    assert_eq!(metadata.topics.len(), names.len());
    let all = Some(Kept {
        cached: TOPICS,
        handles: 0,
    });
    eventually("the metadata in the cache", || hearing.newest() == all).await;
    let group = GroupId::from("billing");
    let latest: Vec<_> = partitions
        .iter()
        .map(|partition| (partition.clone(), OffsetSpec::Latest))
        .collect();
    let described = client.topics(&names, BrokerId(1), TIMEOUT).await;
    assert_eq!(described.expect("it is up").len(), names.len());
    let ends = client
        .list_offsets(&latest, Isolation::ReadUncommitted, TIMEOUT)
        .await;
    assert_eq!(ends.expect("it is up").len(), names.len());
    let commits = client
        .committed_offsets(&group, Some(&partitions), BrokerId(1), TIMEOUT)
        .await;
    assert_eq!(commits.expect("it is up").len(), names.len());
    let nothing = Some(Kept {
        cached: 0,
        handles: 0,
    });
    eventually("an empty cache", || hearing.newest() == nothing).await;
}
