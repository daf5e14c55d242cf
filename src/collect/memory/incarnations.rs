//! Which topics were recreated under their old name, so that nothing observed of the old log is said of the new one.
//!
//! A log end that falls shows it, too; an id shows it of a log that has grown past its old end between two cycles.

use std::collections::{BTreeSet, HashMap};

use crate::collect::fetch::marks::Leaders;
use crate::collect::fetch::topology::Topology;
use crate::collect::fetch::{Budget, within};
use crate::kafka::{Admin, KafkaError};
use crate::lag::{TopicId, TopicName, UncommittedPolicy};
use crate::snapshot::{ClusterSnapshot, Reading};

/// The ids of topics.
#[derive(Debug, Default)]
pub(super) struct Incarnations {
    known: HashMap<TopicName, TopicId>,
    /// Topics that were asked about and have no id: brokers before 2.8 give none.
    nameless: BTreeSet<TopicName>,
}

impl Incarnations {
    /// Reads the ids of topics whose logs are about to be looked at, and returns those that have another one than before.
    ///
    /// Before, and not after: a topic that is recreated in between then shows in the next cycle. Only those are read
    /// that were never read or that records wait on, as nothing that was seen of the others is needed; nobody's costs
    /// no request.
    pub(super) async fn recreated(
        &mut self,
        admin: &dyn Admin,
        budget: Budget,
        logs: &Leaders,
        previous: &ClusterSnapshot,
    ) -> Result<BTreeSet<TopicName>, KafkaError> {
        let waited_on = waited_on(previous);
        let logs: BTreeSet<&TopicName> = logs.keys().map(|id| &id.topic).collect();
        let unknown =
            |topic: &TopicName| !self.known.contains_key(topic) && !self.nameless.contains(topic);
        let asked = logs
            .into_iter()
            .filter(|&topic| unknown(topic) || waited_on.contains(topic));
        let asked: Vec<TopicName> = asked.cloned().collect();
        if asked.is_empty() {
            return Ok(BTreeSet::new());
        }
        let limit = budget.request_timeout;
        let ids = within(limit, admin.topic_ids(&asked, limit)).await??;
        let mut recreated = BTreeSet::new();
        for topic in asked {
            let Some(&id) = ids.get(&topic) else {
                self.nameless.insert(topic);
                continue;
            };
            self.nameless.remove(&topic);
            let before = self.known.insert(topic.clone(), id);
            if before.is_some_and(|before| before != id) {
                recreated.insert(topic);
            }
        }
        Ok(recreated)
    }

    /// Forgets topics that are not there.
    pub(super) fn retain(&mut self, topology: &Topology) {
        self.known
            .retain(|topic, _| topology.topics.contains_key(topic));
        self.nameless
            .retain(|topic| topology.topics.contains_key(topic));
    }
}

/// Returns the topics on which records wait for some group.
fn waited_on(snapshot: &ClusterSnapshot) -> BTreeSet<&TopicName> {
    let rows = snapshot.groups.iter();
    let rows = rows.flat_map(|row| row.rows_to_judge());
    let waiting = rows.filter(|row| !row.is_quiet()).filter(|row| {
        let lag = row
            .reading
            .as_ref()
            .map_or_else(|| row.latest(), Reading::lag);
        lag.records(UncommittedPolicy::Absent)
            .is_some_and(|records| records > 0)
    });
    waiting.map(|row| &row.id.topic).collect()
}
