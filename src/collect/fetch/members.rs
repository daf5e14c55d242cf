//! What members of groups left with their coordinators, held against what the cluster has.

use std::collections::{BTreeMap, BTreeSet};

use super::groups::{Described, GroupAnswer};
use super::topology::Topology;
use crate::kafka::{GroupDescription, MalformedMembers};
use crate::lag::{GroupId, TopicName};

/// The groups whose members named partitions that their topics did not have in the newest cycle.
pub(in crate::collect) type Suspects = BTreeSet<GroupId>;

/// Leaves out partitions that their topics do not have, and returns the groups that name such.
///
/// An assignment may be younger than the metadata: it counts as malformed only where the group named such partitions in the
/// cycle before, too.
pub(in crate::collect) fn check_assignments(
    groups: &mut BTreeMap<GroupId, GroupAnswer>,
    topology: &Topology,
    suspects: &Suspects,
) -> Suspects {
    let mut suspected = Suspects::new();
    for (id, answer) in groups {
        let Described::Answered(description) = &mut answer.description else {
            continue;
        };
        let found = leave_out_unknown(description, topology);
        let Some(first) = found else {
            continue;
        };
        if suspects.contains(id) {
            let malformed = description
                .malformed
                .get_or_insert(MalformedMembers { count: 0, first });
            malformed.count += 1;
        }
        suspected.insert(id.clone());
    }
    suspected
}

/// Leaves out partitions that their topics do not have; returns what is wrong with the first member that names one.
fn leave_out_unknown(description: &mut GroupDescription, topology: &Topology) -> Option<String> {
    let mut first = None;
    for member in &mut description.members {
        let mut newest: Option<(TopicName, Option<usize>)> = None;
        let member_id = &member.id;
        member.assignment.retain(|partition| {
            let count = match &newest {
                Some((topic, count)) if *topic == partition.topic => *count,
                _ => {
                    let count = topology.partition_count(&partition.topic);
                    newest = Some((partition.topic.clone(), count));
                    count
                }
            };
            let is_there = count.is_none_or(|count| {
                usize::try_from(partition.partition.0).is_ok_and(|number| number < count)
            });
            if !is_there && first.is_none() {
                first = Some(format!(
                    "member `{member_id}` has partition {partition}, which its topic does not have"
                ));
            }
            is_there
        });
    }
    first
}
