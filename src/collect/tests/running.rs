//! The schedule: ticks, overruns, the end, and clusters beside each other.

use tokio::time::{Instant, advance};
use tokio_util::sync::CancellationToken;

use super::fake::Call;
use super::world::Fault;
use super::*;
use crate::collect::Memory;
use crate::kafka::ErrorCode;
use crate::lag::Method;
use crate::metrics::table;

fn cycles(cluster: &FakeCluster) -> usize {
    let calls = cluster.take_calls();
    calls.iter().filter(|call| **call == Call::Metadata).count()
}

struct Running {
    cluster: Arc<FakeCluster>,
    slot: Arc<SnapshotSlot>,
    metrics: ClusterMetrics,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<Memory>,
}

fn run(watch: Watch) -> Running {
    let shutdown = CancellationToken::new();
    let Watch {
        cluster,
        slot,
        metrics,
        poller,
    } = watch;
    Running {
        cluster,
        slot,
        metrics,
        task: tokio::spawn(poller.run(shutdown.clone())),
        shutdown,
    }
}

/// Passes `seconds` in small steps, so that every timer on the way fires in its turn.
async fn pass(seconds: u64) {
    for _ in 0..seconds * 10 {
        advance(Duration::from_millis(100)).await;
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn failures_that_are_counted_over_cycles_are_counted_from_0() {
    let own = OwnMetrics::new("test");
    let slot = Arc::clone(&SnapshotStore::new([None]).slots()[0]);
    let cluster = Arc::new(FakeCluster::new());
    Poller::new(PollConfig::default(), cluster, slot, own.cluster(None));
    let families = own.registry().gather();
    for metric in [&table::POLLS, &table::GROUP_COLLECTION_ERRORS] {
        let is_there = families.iter().any(|family| family.name() == metric.name);
        assert!(is_there, "{}", metric.name);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_cycle_runs_at_once_and_the_others_on_their_ticks() {
    let running = run(Watch::new(PollConfig::default(), orders));
    pass(1).await;
    assert!(running.slot.load().is_some());
    assert_eq!(cycles(&running.cluster), 1);
    pass(30).await;
    assert_eq!(cycles(&running.cluster), 3);
    assert_eq!(running.metrics.polls("skipped").get(), 0);
    running.shutdown.cancel();
    running.task.await.expect("the task ends");
}

#[tokio::test(start_paused = true)]
async fn a_cycle_that_overruns_skips_ticks_and_overlaps_none() {
    let config = PollConfig {
        max_in_flight: 1,
        ..PollConfig::default()
    };
    let running = run(Watch::new(config, |world| {
        orders(world);
        // Three requests of a hundred groups one after the other: 12 s, on a 10 s interval.
        world.group_latency = Duration::from_secs(4);
        for number in 0..250 {
            world.group(&format!("g{number}"), 1, &[("orders", 0, 1)]);
        }
    }));
    pass(60).await;
    assert_eq!(
        cycles(&running.cluster),
        3,
        "at 0, 20 and 40 s; the next is due"
    );
    assert_eq!(running.metrics.polls("skipped").get(), 3);
    assert!(
        running.cluster.most_groups_in_flight() <= 2,
        "one cycle's worth"
    );
    running.shutdown.cancel();
    running.task.await.expect("the task ends");
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_a_cycle_in_the_middle() {
    let running = run(Watch::new(PollConfig::default(), |world| {
        orders(world);
        world.faults.metadata = Some(Fault::Silence);
    }));
    pass(1).await;
    let cancelled = Instant::now();
    running.shutdown.cancel();
    running.task.await.expect("the task ends");
    assert_eq!(cancelled.elapsed(), Duration::ZERO);
    assert!(
        running.slot.load().is_none(),
        "half a cycle is not published"
    );
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_comes_late_is_seen_within_a_second() {
    let running = run(Watch::new(PollConfig::default(), |world| {
        orders(world);
        world.faults.metadata = Some(Fault::Error(ErrorCode::ALL_BROKERS_DOWN));
    }));
    pass(5).await;
    let outcome = |slot: &SnapshotSlot| slot.load().map(|snapshot| snapshot.outcome);
    assert_eq!(outcome(&running.slot), Some(CycleOutcome::Failed));
    running.cluster.world().faults.metadata = None;
    pass(1).await;
    assert_eq!(outcome(&running.slot), Some(CycleOutcome::Complete));
    running.shutdown.cancel();
    running.task.await.expect("the task ends");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_down_does_not_touch_another() {
    let config = |name: &str| PollConfig {
        cluster: Some(name.into()),
        ..PollConfig::default()
    };
    let down = run(Watch::new(config("down"), |world| {
        orders(world);
        world.faults.metadata = Some(Fault::Silence);
    }));
    let up = run(Watch::new(config("up"), orders));
    pass(30).await;
    let snapshot = up.slot.load().expect("it was polled");
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
    assert_eq!(snapshot.cluster, Some("up".into()));
    assert_eq!(billing(&snapshot), [Some(10), Some(20), Some(30)]);
    assert_eq!(up.metrics.polls("skipped").get(), 0);
    let snapshot = down.slot.load().expect("it was polled");
    assert_eq!(snapshot.outcome, CycleOutcome::Failed);
    for running in [down, up] {
        running.shutdown.cancel();
        running.task.await.expect("the task ends");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_poller_goes_on_from_the_snapshot_of_the_old_one() {
    let mut watch = Watch::new(PollConfig::default(), |world| {
        orders(world);
        world.group("other", 1, &[("orders", 0, 1)]);
    });
    watch.poll().await;
    watch.world().faults.metadata = Some(Fault::Error(ErrorCode::TRANSPORT));
    let config = PollConfig {
        groups: crate::collect::Filter::new(&["^billing$"], &[]).expect("the pattern is valid"),
        ..PollConfig::default()
    };
    let mut reloaded = Poller::new(
        config,
        Arc::clone(&watch.cluster) as Arc<dyn crate::kafka::Admin>,
        Arc::clone(&watch.slot),
        watch.metrics.clone(),
    );
    reloaded.poll_once().await;
    let snapshot = watch.snapshot();
    assert_eq!(ids(&snapshot), ["billing"], "the new filter holds at once");
    assert_eq!(billing(&snapshot), [Some(10), Some(20), Some(30)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_over_time_outlives_a_poller() {
    let watch = Watch::new(PollConfig::default(), orders);
    let (cluster, slot, metrics) = (
        Arc::clone(&watch.cluster),
        Arc::clone(&watch.slot),
        watch.metrics.clone(),
    );
    let running = run(watch);
    pass(1).await;
    // Records come in behind the commit, between two looks.
    cluster.world().group_mut("billing").commits = [(TopicPartition::new("orders", 0), 100)].into();
    cluster.world().log("orders", 0).end = 150;
    running.shutdown.cancel();
    let memory = running.task.await.expect("the task ends");
    let poller = |memory| {
        Poller::new(
            PollConfig::default(),
            Arc::clone(&cluster) as Arc<dyn crate::kafka::Admin>,
            Arc::clone(&slot),
            metrics.clone(),
        )
        .remembering(memory)
    };
    let method = || {
        let snapshot = slot.load().expect("it was polled");
        let reading = reading(&snapshot, "billing", "orders", 0).expect("it was read");
        let measured = group(&snapshot, "billing").expect("it was read").measured;
        reading.age(measured).map(|age| age.method)
    };
    poller(Memory::default()).poll_once().await;
    assert_eq!(method(), Some(Method::Bound));
    poller(memory).poll_once().await;
    assert_eq!(method(), Some(Method::History));
}

#[tokio::test(start_paused = true)]
async fn logs_that_no_configuration_names_any_more_are_forgotten_however_often_it_changes() {
    const TOPICS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    let watch = Watch::new(PollConfig::default(), |world| {
        for topic in TOPICS {
            world.topic(topic, 3, 100);
        }
    });
    let mut memory = Memory::default();
    for topic in TOPICS {
        let config = PollConfig {
            topic_names: vec![topic.into()],
            ..PollConfig::default()
        };
        let mut poller = Poller::new(
            config,
            Arc::clone(&watch.cluster) as Arc<dyn crate::kafka::Admin>,
            Arc::clone(&watch.slot),
            watch.metrics.clone(),
        )
        .remembering(memory);
        poller.poll_once().await;
        assert_eq!(
            poller.collector.memory.ages().logs(),
            3,
            "those of `{topic}`"
        );
        memory = poller.collector.memory.handed_over();
    }
}
