//! The binary against a broker that lies: each lie ends in an error, in time, and is over when the broker is honest.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::lies::{Lie, Sort, lies};
use crate::support::{
    FakeBroker, Finished, Lagwatch, Profile, Running, Samples, Script, eventually, get,
};

const TIMEOUT: Duration = Duration::from_secs(2);
/// What a command may take beyond its deadline.
const GRACE: Duration = Duration::from_secs(2);
/// Most runs wait for their deadline; a few at once need little of the machine.
const WORKERS: usize = 12;
/// Lagwatches that serve side by side, each with a broker of its own.
const SERVERS: usize = 10;
const MEMORY_KIB: u64 = 32 * 1024;
/// One failed attempt to connect, and the cycle after it.
const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn an_honest_broker_is_believed() {
    for profile in [Profile::Modern, Profile::Old] {
        let broker = FakeBroker::start(Script::Truth(profile));
        let finished = describe(&broker).expect_success();
        let rows: Vec<Vec<&str>> = finished
            .stdout
            .lines()
            .map(|line| line.split_whitespace().take(6).collect())
            .filter(|row: &Vec<&str>| row.first() == Some(&"billing"))
            .collect();
        let truth = [
            ["billing", "orders", "0", "4", "10", "6"],
            ["billing", "orders", "1", "7", "10", "3"],
        ];
        assert_eq!(rows, truth, "{profile:?}: {finished:?}");
    }
}

#[test]
fn describe_reports_each_lie_in_time() {
    let failures = in_parallel(WORKERS, lies(), |lie| {
        let broker = FakeBroker::start(lie.script.clone());
        let begin = Instant::now();
        let finished = describe(&broker);
        let elapsed = begin.elapsed();
        let mut wrong = Vec::new();
        if elapsed > TIMEOUT + GRACE {
            wrong.push(format!("it took {elapsed:?}"));
        }
        if broker.lies() == 0 && lie.sort == Sort::Plain {
            wrong.push("nobody asked for the lie".to_owned());
        }
        let expected: &[i32] = match lie.sort {
            Sort::Plain => &[1],
            Sort::Subtle | Sort::Avoidable => &[0, 1],
        };
        match finished.status.code() {
            Some(code) if expected.contains(&code) => {}
            _ => wrong.push(format!("it ended with {}", finished.status)),
        }
        if finished.status.code() == Some(1) {
            wrong.extend(complaint_about(&finished));
        }
        match wrong.as_slice() {
            [] => None,
            wrong => Some(format!(
                "{}: {}\n{}",
                lie.name,
                wrong.join(", "),
                finished.stderr
            )),
        }
    });
    assert!(
        failures.is_empty(),
        "{} lies:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn serve_outlives_each_lie_and_recovers() {
    let lies = lies();
    let size = lies.len().div_ceil(SERVERS);
    let shares: Vec<Vec<Lie>> = lies.chunks(size).map(<[Lie]>::to_vec).collect();
    let failures = in_parallel(SERVERS, shares, |lies| outlive(&lies));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Returns what is wrong with the errors that a run has printed.
///
/// Where nothing could be read there is one. Otherwise each row may have its own: the group is one and its partitions
/// are two.
fn complaint_about(finished: &Finished) -> Option<String> {
    let is_remark = |line: &&str| line.is_empty() || line.starts_with("Consumer group ");
    let lines: Vec<&str> = finished
        .stderr
        .lines()
        .filter(|line| !is_remark(line))
        .collect();
    if let Some(line) = lines.iter().find(|line| !line.starts_with("error: ")) {
        return Some(format!("it prints `{line}`"));
    }
    let different: BTreeSet<&&str> = lines.iter().collect();
    let is_in_vain = |line: &&str| line.starts_with("error: reading from");
    let most = if lines.iter().any(is_in_vain) { 1 } else { 3 };
    let is_clear = different.len() == lines.len() && (1..=most).contains(&lines.len());
    (!is_clear).then(|| format!("{} errors are printed", lines.len()))
}

/// Tells one `serve` these lies, with the truth after each; returns what went wrong.
fn outlive(lies: &[Lie]) -> Option<String> {
    let broker = FakeBroker::start(Script::Truth(Profile::Modern));
    let mut serve = believing(&broker);
    let mut before = serve.vitals().resident_kib;
    let mut failures = Vec::new();
    for lie in lies {
        broker.play(lie.script.clone());
        let problem = problem_under(lie, &broker, &mut serve, before);
        broker.play(Script::Truth(Profile::Modern));
        let recovers = || serve.status("/healthz") == Some(200) && is_right(&serve.scrape());
        let problem = match problem {
            None if !holds_within(LIMIT, recovers) => {
                Some("the truth is not believed again".into())
            }
            problem => problem,
        };
        let Some(problem) = problem else {
            if lie.name.starts_with("ApiVersions") {
                // What a broker says of its versions counts as long as the connection does.
                serve = believing(&broker);
                before = serve.vitals().resident_kib;
            }
            continue;
        };
        let log = serve.log();
        let last = log.lines().last().unwrap_or("nothing is logged");
        failures.push(format!("{}: {problem}\n    {last}", lie.name));
        // The lies that are left are told to another one.
        serve = believing(&broker);
        before = serve.vitals().resident_kib;
    }
    (!failures.is_empty()).then(|| failures.join("\n"))
}

/// Returns what goes wrong until a cycle has ended that may have heard the lie.
fn problem_under(
    lie: &Lie,
    broker: &FakeBroker,
    serve: &mut Running,
    before: u64,
) -> Option<String> {
    let must_ask = lie.sort == Sort::Plain;
    let is_met = holds_within(LIMIT, || {
        broker.lies() > 0 || !must_ask || !serve.is_running()
    });
    if !is_met {
        return Some("nobody asked for the lie".to_owned());
    }
    let polls = polls(serve);
    let has_polled = |serve: &Running| self::polls(serve) > polls;
    let ends_a_cycle = holds_within(LIMIT, || !serve.is_running() || has_polled(serve));
    if !serve.is_running() {
        return Some("serve has ended".to_owned());
    }
    if !ends_a_cycle {
        return Some("no cycle ends".to_owned());
    }
    let grown = serve.vitals().resident_kib.saturating_sub(before);
    (grown >= MEMORY_KIB).then(|| format!("serve has grown by {grown} KiB"))
}

/// Starts a `serve` that has read the truth.
fn believing(broker: &FakeBroker) -> Running {
    let serve = serve(broker);
    eventually("the lag", LIMIT, || is_right(&serve.scrape()));
    serve
}

fn describe(broker: &FakeBroker) -> Finished {
    Lagwatch::new("describe")
        .args(["--all-groups", "--timeout", "2s"])
        .args(["--bootstrap-server", &broker.address().to_string()])
        .run()
}

fn serve(broker: &FakeBroker) -> Running {
    let config = format!(
        "clusters:
  - bootstrap-servers: [\"{}\"]
    mode: poll
    poll-interval: 200ms
    request-timeout: 500ms
",
        broker.address()
    );
    Lagwatch::new("serve").config(&config).start()
}

/// Returns how many cycles have ended, however they did; nothing where there is no answer.
fn polls(serve: &Running) -> Option<f64> {
    let answer = get(serve.address(), "/metrics", &[]).ok()?;
    Some(Samples::parse(answer.text()).sum("lagwatch_polls_total", &[]))
}

fn is_right(samples: &Samples) -> bool {
    let lag = |partition| {
        let labels = [("consumergroup", "billing"), ("partition", partition)];
        samples.value("kafka_consumergroup_lag", &labels)
    };
    samples.value("lagwatch_up", &[]) == Some(1.0) && (lag("0"), lag("1")) == (Some(6.0), Some(3.0))
}

fn holds_within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !holds() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(25));
    }
    true
}

/// Runs `work` on every item, a few at once, and returns what was found, in no order.
fn in_parallel<T: Send>(
    workers: usize,
    items: Vec<T>,
    work: impl Fn(T) -> Option<String> + Sync,
) -> Vec<String> {
    let queue = Mutex::new(VecDeque::from(items));
    let found = Mutex::new(Vec::new());
    let next = || queue.lock().expect("nobody panics with it").pop_front();
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(item) = next() {
                    let result = work(item);
                    found.lock().expect("nobody panics with it").extend(result);
                }
            });
        }
    });
    found.into_inner().expect("nobody panics with it")
}
