//! The demo: everything it promises moves within its first minute, and it ends as it is told to.

use std::time::Duration;

use crate::support::{Lagwatch, Running, Samples, eventually};

const MINUTE: Duration = Duration::from_secs(60);

fn lag(samples: &Samples, group: &str) -> f64 {
    let labels = [("consumergroup", group), ("topic", "task-created")];
    samples
        .value("kafka_consumergroup_lag_sum", &labels)
        .unwrap_or(0.0)
}

fn lag_now(demo: &Running, group: &str) -> f64 {
    lag(&demo.scrape(), group)
}

#[test]
fn everything_moves_within_the_first_minute() {
    let demo = Lagwatch::new("demo").start();
    demo.wait_until_ready();
    let (notifications, analytics) = ("task-notification-service", "task-analytics");
    let mut peak = 0.0_f64;
    eventually(
        "a wave that two members cannot keep up with",
        MINUTE,
        || {
            peak = peak.max(lag_now(&demo, notifications));
            peak >= 40.0
        },
    );
    eventually("a consumer that hangs", MINUTE, || {
        peak = peak.max(lag_now(&demo, notifications));
        lag_now(&demo, analytics) >= 40.0
    });
    eventually("its recovery", MINUTE, || {
        peak = peak.max(lag_now(&demo, notifications));
        lag_now(&demo, analytics) <= 10.0
    });
    eventually("a lag that drains", MINUTE, || {
        lag_now(&demo, notifications) <= peak / 2.0
    });
    let samples = demo.scrape();
    let total = |name: &str| samples.sum(name, &[("topic", "task-created")]);
    assert!(total("lagwatch_task_dead_letters_total") >= 4.0);
    assert!(total("lagwatch_task_retries_total") >= 1.0);
    // Five members at the beginning; the third one of the notifications makes three more.
    assert!(total("lagwatch_task_rebalances_total") >= 7.0);
    let commits = samples.sum("lagwatch_task_commits_total", &[("result", "ok")]);
    assert!(commits >= 20.0, "{commits} commits");
    assert_eq!(samples.value("lagwatch_up", &[]), Some(1.0));
    let finished = demo.stop().expect_success();
    for url in ["/metrics", "/api/v1/groups"] {
        assert!(finished.stdout.contains(url), "{}", finished.stdout);
    }
    assert!(
        finished.stderr.contains("consumer closed"),
        "{}",
        finished.stderr
    );
    assert!(!finished.stderr.contains("ERROR"), "{}", finished.stderr);
}

#[test]
fn it_ends_by_itself_after_its_duration() {
    let finished = Lagwatch::new("demo")
        .args(["--duration", "2s", "--web.listen-address", "127.0.0.1:0"])
        .run();
    assert!(finished.expect_success().stderr.contains("the demo ends"));
}
