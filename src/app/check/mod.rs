//! What a configuration's credentials may see: every kind of call that is made, tried once.

mod configs;
mod grant;
mod shard;
mod stream;

use std::fmt;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use self::grant::word;
use super::CLOSE_LIMIT;
use super::config::{ClusterConfig, Config};
use crate::collect::skipped_as;
use crate::kafka::{
    Admin, ErrorCode, KafkaAdmin, KafkaError, ListedGroup, Metadata, OffsetQuery, OffsetSpec,
    TopicSelection,
};
use crate::lag::{BrokerId, GroupId, Isolation, TopicName, TopicPartition};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How it is.
    pub verdict: Verdict,
    /// What was looked at and what was found, in one line.
    pub text: String,
}

/// How a finding is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// Something polling needs is not there or not granted.
    Missing,
    /// Nobody answers.
    Unreachable,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Missing => "missing",
            Self::Unreachable => "unreachable",
        })
    }
}

/// Looks at every cluster of `config`, one after the other; `limit` is the deadline of each call.
///
/// # Errors
///
/// librdkafka refuses the properties of one.
pub async fn check(config: &Config, limit: Duration) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for cluster in &config.clusters {
        let admin = KafkaAdmin::connect(&cluster.connection, ())?;
        let prefix = cluster
            .name()
            .map_or_else(String::new, |name| format!("cluster `{name}`: "));
        let mut look = Look {
            admin: &admin,
            cluster,
            limit,
            prefix,
            findings: &mut findings,
        };
        look.at_cluster().await;
        admin.close(CLOSE_LIMIT).await;
    }
    Ok(findings)
}

struct Look<'a> {
    admin: &'a KafkaAdmin,
    cluster: &'a ClusterConfig,
    limit: Duration,
    prefix: String,
    findings: &'a mut Vec<Finding>,
}

impl Look<'_> {
    async fn at_cluster(&mut self) {
        for server in &self.cluster.connection.bootstrap_servers {
            let (verdict, text) = match reach(server, self.limit).await {
                Ok(()) => (
                    Verdict::Good,
                    format!("bootstrap server `{server}` answers"),
                ),
                Err(problem) => (
                    Verdict::Missing,
                    format!("bootstrap server `{server}`: {problem}"),
                ),
            };
            self.find(verdict, text);
        }
        let topics = &self.cluster.poll.topic_names;
        let selection = match topics.as_slice() {
            [] => TopicSelection::All,
            names => TopicSelection::Named(names),
        };
        let metadata = match self.admin.metadata(selection, self.limit).await {
            Ok(metadata) => metadata,
            Err(error) => {
                let servers = self.cluster.connection.bootstrap_servers.join(",");
                self.find(
                    Verdict::Unreachable,
                    format!("reading metadata from `{servers}`: {error}"),
                );
                return;
            }
        };
        let brokers: Vec<BrokerId> = metadata.brokers.iter().map(|broker| broker.id).collect();
        self.find(Verdict::Good, format!("brokers alive: {}", brokers.len()));
        let partition = self.at_topics(&metadata);
        let group = self.at_groups(&brokers).await;
        if let Some(group) = group {
            self.at_group(&group, partition.as_ref().map(|query| &query.partition))
                .await;
        }
        match partition {
            Some(query) => {
                let topic = query.partition.topic.clone();
                self.at_log(query).await;
                self.at_configs(&metadata, topic).await;
            }
            None => self.find(
                Verdict::Note,
                "log ends: not tried, as no topic can be seen".to_owned(),
            ),
        }
        self.at_offsets_topic().await;
        self.at_shard_group().await;
    }

    /// Tells which topics can be seen; returns a question about one of them.
    fn at_topics(&mut self, metadata: &Metadata) -> Option<OffsetQuery> {
        let is_watched = |topic: &TopicName| {
            let poll = &self.cluster.poll;
            !poll.topic_names.is_empty() || poll.topics.admits(topic.as_str())
        };
        let watched = metadata
            .topics
            .iter()
            .filter(|(topic, _)| is_watched(topic));
        let (mut seen, mut hidden, mut query) = (0_usize, Vec::new(), None);
        for (topic, partitions) in watched {
            match partitions {
                Ok(partitions) => {
                    seen += 1;
                    let led = partitions
                        .iter()
                        .find_map(|partition| Some((partition.id, partition.leader?)));
                    if let (None, Some((id, leader))) = (&query, led) {
                        query = Some(OffsetQuery {
                            partition: TopicPartition {
                                topic: topic.clone(),
                                partition: id,
                            },
                            leader,
                            spec: OffsetSpec::Latest,
                        });
                    }
                }
                Err(error) => hidden.push((topic.clone(), error.clone())),
            }
        }
        match seen {
            0 if hidden.is_empty() => self.find(
                Verdict::Missing,
                "no topic can be seen: there is none, the filter admits none, or Describe on the topics is not granted".to_owned(),
            ),
            seen => self.find(Verdict::Good, format!("topics that can be seen: {seen}")),
        }
        for (topic, error) in hidden {
            self.failed(
                &format!("topic `{topic}`"),
                &error,
                &format!("--operation Describe --topic {}", word(topic.as_str())),
            );
        }
        query
    }

    /// Tells which groups can be seen; returns one of them.
    async fn at_groups(&mut self, brokers: &[BrokerId]) -> Option<GroupId> {
        if let Some(group) = self.cluster.poll.group_names.first() {
            let named = self.cluster.poll.group_names.len();
            self.find(
                Verdict::Good,
                format!("groups named: {named}; none is listed"),
            );
            return Some(group.clone());
        }
        let (mut groups, mut others) = (Vec::new(), Vec::new());
        for (broker, listing) in self.admin.list_groups(brokers, self.limit).await {
            match listing {
                Ok(listed) => {
                    for ListedGroup {
                        id,
                        state,
                        group_type,
                        protocol_type,
                    } in listed
                    {
                        match skipped_as(group_type, &protocol_type) {
                            Some(word) => others.push(format!("{word} group `{id}` ({state})")),
                            None => groups.push(id),
                        }
                    }
                }
                Err(error) => self.failed(
                    &format!("listing the groups of broker {broker}"),
                    &error,
                    "--operation Describe --group '*'",
                ),
            }
        }
        groups.retain(|group| self.cluster.poll.groups.admits(group.as_str()));
        groups.sort_unstable();
        self.note_others(others);
        if groups.is_empty() {
            self.find(
                Verdict::Missing,
                "no group can be seen: there is none, the filter admits none, or Describe on the groups is not granted".to_owned(),
            );
        } else {
            self.find(
                Verdict::Good,
                format!("groups that can be seen: {}", groups.len()),
            );
        }
        // Coordinators refuse to describe the group without a name, whatever the rights are.
        groups.into_iter().find(|group| !group.as_str().is_empty())
    }

    /// Names groups that do not consume partitions; a few of them where they are many.
    fn note_others(&mut self, mut others: Vec<String>) {
        const MOST: usize = 10;
        if others.is_empty() {
            return;
        }
        others.sort_unstable();
        let count = others.len();
        others.truncate(MOST);
        let mut named = others.join(", ");
        if count > MOST {
            named.push_str(&format!(" and {} more", count - MOST));
        }
        self.find(
            Verdict::Note,
            format!("groups that do not consume partitions, which are only counted: {named}"),
        );
    }

    async fn at_group(&mut self, group: &GroupId, partition: Option<&TopicPartition>) {
        let right = format!("--operation Describe --group {}", word(group.as_str()));
        match self.admin.describe_group(group, self.limit).await {
            Ok(description) => {
                let members = description.members.len();
                self.find(
                    Verdict::Good,
                    format!(
                        "group `{group}` can be described: {}, members: {members}",
                        description.state
                    ),
                );
            }
            Err(error) if error.code == ErrorCode::GROUP_ID_NOT_FOUND => self.find(
                Verdict::Good,
                format!("group `{group}` does not exist, and could be described if it did"),
            ),
            Err(error) if error.code.is_unsupported() => self.find(
                Verdict::Note,
                "the cluster cannot describe groups: members and states will not be shown"
                    .to_owned(),
            ),
            Err(error) => self.failed(&format!("describing group `{group}`"), &error, &right),
        }
        let named: Option<&[TopicPartition]> =
            match (self.cluster.poll.topic_names.is_empty(), partition) {
                (false, Some(partition)) => Some(std::slice::from_ref(partition)),
                _ => None,
            };
        match self
            .admin
            .committed_offsets_of(group, named, self.limit)
            .await
        {
            Ok(_) => self.find(
                Verdict::Good,
                format!("committed offsets of group `{group}` can be read"),
            ),
            Err(error) => self.failed(
                &format!("reading the committed offsets of group `{group}`"),
                &error,
                &right,
            ),
        }
    }

    async fn at_log(&mut self, query: OffsetQuery) {
        let topic = query.partition.topic.clone();
        let answers = self
            .admin
            .list_offsets(vec![query], Isolation::ReadUncommitted, self.limit)
            .await;
        match answers.into_iter().next() {
            Some((_, Ok(_))) => self.find(
                Verdict::Good,
                format!("log ends can be read: topic `{topic}`"),
            ),
            Some((_, Err(error))) => self.failed(
                &format!("reading the log end of topic `{topic}`"),
                &error,
                &format!("--operation Describe --topic {}", word(topic.as_str())),
            ),
            None => {}
        }
    }

    /// Tells what cannot be done, and where it is not granted, the command that grants `right`.
    fn failed(&mut self, what: &str, error: &KafkaError, right: &str) {
        let hint = self.hint(error, right);
        self.find(Verdict::Missing, format!("{what}: {error}{hint}"));
    }

    /// Returns the command that grants `right`, where that is what is wrong.
    fn hint(&self, error: &KafkaError, right: &str) -> String {
        if error.code.is_authorization() {
            format!("; grant it with {}", self.grant(right))
        } else {
            String::new()
        }
    }

    fn grant(&self, right: &str) -> String {
        grant::command(&self.cluster.connection, right)
    }

    fn find(&mut self, verdict: Verdict, text: String) {
        let text = format!("{}{text}", self.prefix);
        self.findings.push(Finding { verdict, text });
    }
}

/// Opens a connection to `server` and closes it again.
async fn reach(server: &str, limit: Duration) -> Result<(), String> {
    let address = server
        .rsplit_once("://")
        .map_or(server, |(_, address)| address);
    let connecting = async {
        let addresses: Vec<_> = lookup_host(address)
            .await
            .map_err(|error| format!("cannot be resolved: {error}"))?
            .collect();
        let connected = TcpStream::connect(addresses.as_slice()).await;
        connected
            .map(drop)
            .map_err(|error| format!("cannot be reached: {error}"))
    };
    match timeout(limit, connecting).await {
        Ok(outcome) => outcome,
        Err(_) => Err("does not answer in time".to_owned()),
    }
}
