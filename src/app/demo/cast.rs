//! Who takes part: the groups, their policies and how fast each works.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::handler::{Analyse, Notify, Warehouse};
use crate::lag::{GroupId, TopicName};
use crate::task::{Backoff, Pace, Preset, TaskConfig};

/// The topic of the tasks.
pub(super) const TOPIC: &str = "task-created";

/// Where tasks go that cannot be done.
pub(super) const DEAD_LETTERS: &str = "task-created.dlq";

/// The partitions of [`TOPIC`]: more than members, so that a third one helps.
pub(super) const PARTITIONS: i32 = 6;

/// Tasks a second, always: less than one member can do.
const CALM: u32 = 2;

/// Tasks a second on top of it during a wave, and how many a wave brings.
const WAVE: (u32, u64) = (10, 180);

/// One member does some 2.5 tasks a second.
const WORK: Duration = Duration::from_millis(400);

/// The policies in the demo, in the order of their introduction.
pub(super) fn groups() -> Vec<GroupId> {
    let presets = Preset::ALL.map(|preset| TaskConfig::preset(preset).group);
    [TaskConfig::default().group]
        .into_iter()
        .chain(presets)
        .collect()
}

/// Returns a member of the group whose lag comes and goes.
pub(super) fn notifier(member: usize, directory: &Path) -> TaskConfig {
    TaskConfig {
        handler: Some(Arc::new(Notify)),
        processing_delay: WORK,
        client_id: format!("notifier-{member}"),
        ..in_demo(TaskConfig::default(), directory)
    }
}

/// Returns the consumer of a preset; the one for analytics works in a warehouse that may be closed.
pub(super) fn preset(
    preset: Preset,
    warehouse: &watch::Receiver<Warehouse>,
    directory: &Path,
) -> TaskConfig {
    let config = TaskConfig::preset(preset);
    let handler = (preset == Preset::Analytics).then(|| {
        let warehouse = warehouse.clone();
        Arc::new(Analyse { warehouse }) as Arc<_>
    });
    TaskConfig {
        handler,
        client_id: config.group.to_string(),
        ..in_demo(config, directory)
    }
}

/// Returns the pace of the tasks that always come.
pub(super) fn calm() -> Pace {
    Pace {
        rate: NonZeroU32::new(CALM),
        ..Pace::default()
    }
}

/// Returns the pace of one wave, with a few records in it that nobody can read.
pub(super) fn wave() -> Pace {
    let (rate, count) = WAVE;
    Pace {
        rate: NonZeroU32::new(rate),
        count: Some(count),
        poison_every: (count / 3).try_into().ok(),
    }
}

fn in_demo(config: TaskConfig, directory: &Path) -> TaskConfig {
    TaskConfig {
        topics: vec![TopicName::from(TOPIC)],
        dead_letter_topic: TopicName::from(DEAD_LETTERS),
        audit_log: directory.join(format!("{}.sqlite", config.group)),
        max_attempts: NonZeroU32::new(3).expect("3 is not zero"),
        backoff: Backoff {
            initial: Duration::from_millis(200),
            max: Duration::from_secs(1),
        },
        ..config
    }
}
