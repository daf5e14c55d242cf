//! Lessons of the task consumer that only a real Kafka can teach: leaving a group, sharing a busy topic, a record
//! that fails for ever.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use lagwatch::task::dead_letter::{
    ATTEMPTS, ERROR, ORIGINAL_OFFSET, ORIGINAL_PARTITION, ORIGINAL_TOPIC,
};
use lagwatch::task::{Backoff, HandlerError, TaskConfig};

use super::deployment::{Deployment, LIMIT, counted, owned, say, wait_for_shares};
use super::world::{Recorder, TOPIC, World, until};
use crate::support::{Lagwatch, Running, Signal, eventually};

const EAGER: &str = "partition.assignment.strategy=range";
const COOPERATIVE: &str = "partition.assignment.strategy=cooperative-sticky";
const KIP_848: &str = "group.protocol=consumer";

/// How soon a group goes on after a member that has left.
const AT_ONCE: Duration = Duration::from_secs(2);

#[test]
#[ignore = "needs Java 17 and Maven"]
fn sigterm_hands_over_at_once_and_nothing_is_done_twice() {
    for protocol in [EAGER, COOPERATIVE, KIP_848] {
        let deployment = Deployment::new(4);
        deployment.produce(400);
        let member = |audit_log: &str| {
            deployment
                .consumer(audit_log)
                .args(["-X", protocol, "--processing-delay", "10ms"])
                // Nothing is committed but when partitions are given up: the hardest case.
                .args(["--commit-strategy", "per-batch", "--commit-records", "1000"])
                .args(["--commit-interval", "1h"])
                .start()
        };
        let (leaver, stayer) = (member("leaver"), member("stayer"));
        wait_for_shares(&[&leaver, &stayer], 4, 1);
        for log in ["leaver", "stayer"] {
            eventually("work on its share", LIMIT, || {
                deployment.audited(log).len() > 5
            });
        }
        let handed_over = time_until_alone(leaver, &stayer, 4, Signal::Terminate);
        say(&format!(
            "{protocol}: SIGTERM to handed over in {handed_over:.2?}"
        ));
        assert!(handed_over < AT_ONCE, "{protocol}: {handed_over:?}");

        let all = deployment.produced();
        let counts = || counted(["leaver", "stayer"].map(|log| deployment.audited(log)));
        eventually("every task", LIMIT, || counts().len() == all.len());
        stayer.stop().expect_success();
        let counts = counts();
        assert!(counts.keys().eq(&all), "{protocol}: {counts:?}");
        let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "{protocol}: done twice: {twice:?}");
        assert_eq!(deployment.committed(), all.len(), "{protocol}");
    }
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn close_leaves_the_group_at_once_and_without_it_others_wait_for_the_session_timeout() {
    const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
    let deployment = Deployment::new(2);
    let member = |audit_log: &str| {
        deployment
            .consumer(audit_log)
            .args([
                "-X",
                "session.timeout.ms=6000",
                "-X",
                "heartbeat.interval.ms=1000",
            ])
            .start()
    };
    let stayer = member("stayer");
    let [closed, killed] = [Signal::Terminate, Signal::Kill].map(|signal| {
        let leaver = member("leaver");
        wait_for_shares(&[&leaver, &stayer], 2, 1);
        time_until_alone(leaver, &stayer, 2, signal)
    });
    say(&format!(
        "others go on {closed:.2?} after a close, {killed:.2?} after a kill with a session timeout of {SESSION_TIMEOUT:?}"
    ));
    assert!(closed < AT_ONCE, "{closed:?}");
    // The session began with the last heartbeat.
    assert!(killed > SESSION_TIMEOUT - AT_ONCE, "{killed:?}");
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn lag_grows_with_one_member_drains_with_three_and_a_fourth_is_idle_and_told_so() {
    let deployment = Deployment::new(3);
    let servers = deployment.kafka.bootstrap_servers();
    // Fifty a second and no more.
    let member = |number: usize| {
        deployment
            .consumer(&format!("member-{number}"))
            .args(["--processing-delay", "20ms"])
            .start()
    };
    let mut members = vec![member(1)];
    wait_for_shares(&[&members[0]], 3, 3);
    let _producer = Lagwatch::new("produce")
        .args(["--bootstrap-server", &servers, "--topic", &deployment.topic])
        .args(["--rate", "100"])
        .spawn();
    let group = &deployment.group;
    let monitor = Lagwatch::new("serve")
        .config(&format!(
            "clusters:
  - bootstrap-servers: [\"{servers}\"]
    poll-interval: 500ms
    groups: {{ names: [\"{group}\"] }}
"
        ))
        .start();
    let lag = || {
        let scrape = monitor.scrape();
        let samples: Vec<f64> = scrape
            .all("kafka_consumergroup_lag", &[("consumergroup", group)])
            .map(|sample| sample.value)
            .collect();
        // Until each partition has a commit there is no lag to add up.
        (samples.len() == 3).then(|| samples.iter().sum::<f64>())
    };
    eventually("a lag that grows", LIMIT, || {
        lag().is_some_and(|lag| lag > 200.0)
    });

    members.extend([member(2), member(3)]);
    wait_for_shares(&members.iter().collect::<Vec<_>>(), 3, 1);
    eventually("the lag drained", LIMIT, || {
        lag().is_some_and(|lag| lag < 100.0)
    });

    members.push(member(4));
    eventually("one idle member, which says so", LIMIT, || {
        let idle = |member: &Running| owned(member) == 0 && member.log().contains("stands by");
        members.iter().filter(|member| idle(member)).count() == 1
    });
    wait_for_shares(&members.iter().collect::<Vec<_>>(), 3, 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java 17 and Maven"]
async fn a_record_that_fails_for_ever_holds_up_its_own_partition_alone_until_it_is_a_dead_letter() {
    let world = World::on_kafka(3);
    world.cluster.create_topic("dead", 1);
    world.send_all(0, ["0-a", "poison", "0-b", "0-c"]).await;
    for partition in 1..3 {
        let ids = (0..20).map(|number| format!("{partition}-{number}"));
        world.send_all(partition, ids).await;
    }
    let (handler, calls) = Recorder::new(|id, _| match id {
        "poison" => Err(HandlerError::Transient("the mail server says no".into())),
        _ => Ok(()),
    });
    let task = world.start(TaskConfig {
        handler: Some(handler),
        max_attempts: NonZeroU32::new(4).expect("not zero"),
        // Long enough to look at the world between two attempts.
        backoff: Backoff {
            initial: Duration::from_secs(2),
            max: Duration::from_secs(2),
        },
        ..world.config("g")
    });
    until("the other partitions' records", async || {
        let committed = world.committed("g", 3).await;
        committed.get(&1) == Some(&20) && committed.get(&2) == Some(&20)
    })
    .await;
    let tried = calls.lock().expect("no writer panics").clone();
    let attempts = tried.iter().filter(|(id, _)| id == "poison").count();
    assert!((1..4).contains(&attempts), "{tried:?}");
    assert_eq!(world.committed("g", 1).await, [(0, 1)].into());
    assert!(world.cluster.read_all("dead").is_empty());

    world.wait_for_commit("g", 0, 4).await;
    let summary = task.stop().await;
    assert_eq!((summary.dead_letters, summary.retries), (1, 3));
    let on_first: Vec<_> = calls
        .lock()
        .expect("no writer panics")
        .iter()
        .filter(|(id, _)| id.starts_with("0-") || id == "poison")
        .cloned()
        .collect();
    let expected = [
        ("0-a", 1),
        ("poison", 1),
        ("poison", 2),
        ("poison", 3),
        ("poison", 4),
        ("0-b", 1),
        ("0-c", 1),
    ];
    assert_eq!(
        on_first,
        expected.map(|(id, attempt)| (id.to_owned(), attempt))
    );

    let letters = world.cluster.read_all("dead");
    let [letter] = &letters[..] else {
        panic!("one dead letter: {letters:?}");
    };
    let value = letter.value.as_deref().unwrap_or_default();
    assert!(value.contains(r#""id":"poison""#), "{value}");
    assert_eq!(letter.key.as_deref(), Some("key"));
    let headers = [
        (ORIGINAL_TOPIC, TOPIC),
        (ORIGINAL_PARTITION, "0"),
        (ORIGINAL_OFFSET, "1"),
        (ERROR, "the mail server says no"),
        (ATTEMPTS, "4"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(letter.headers, headers.into());
}

/// Sends `leaver` a signal and returns how long it takes until `stayer` has all `partitions`.
fn time_until_alone(
    leaver: Running,
    stayer: &Running,
    partitions: u64,
    signal: Signal,
) -> Duration {
    let sent = Instant::now();
    leaver.signal(signal);
    eventually("all partitions at the member that stays", LIMIT, || {
        owned(stayer) == partitions
    });
    let taken = sent.elapsed();
    let finished = leaver.finish(LIMIT);
    assert_eq!(
        finished.status.success(),
        matches!(signal, Signal::Terminate)
    );
    taken
}
