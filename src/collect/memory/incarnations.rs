//! Which topics were recreated under their old name, so that nothing observed of the old log is said of the new one.
//!
//! A log end that falls shows it, too; an id (KIP-516) shows it of a log that has grown past its old end between two cycles.
//! Brokers before Kafka 2.8 give no ids.

use std::collections::{BTreeSet, HashMap};

use crate::collect::fetch::topology::Topology;
use crate::lag::{TopicId, TopicName};

/// The ids of topics.
#[derive(Debug, Default)]
pub(super) struct Incarnations(HashMap<TopicName, TopicId>);

impl Incarnations {
    /// Takes over the ids of topics whose logs are about to be read, and returns the topics that had another one.
    ///
    /// Before, and not after: a topic that is recreated in between then shows in the next cycle, or in the first one that can read
    /// metadata again.
    pub(super) fn observe(&mut self, topology: &Topology) -> BTreeSet<TopicName> {
        let mut recreated = BTreeSet::new();
        for (topic, &id) in &topology.topic_ids {
            match self.0.get_mut(topic) {
                Some(known) if *known == id => {}
                Some(known) => {
                    *known = id;
                    recreated.insert(topic.clone());
                }
                None => {
                    self.0.insert(topic.clone(), id);
                }
            }
        }
        recreated
    }

    /// Forgets topics that are not there.
    pub(super) fn retain(&mut self, topology: &Topology) {
        self.0
            .retain(|topic, _| topology.topics.contains_key(topic));
    }
}
