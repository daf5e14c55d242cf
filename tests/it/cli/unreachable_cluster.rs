//! `serve` while nobody answers at the address of its cluster: it says so, waits quietly, and finds who comes later.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    Delivery, FakeBroker, Lagwatch, Profile, Running, Script, eventually, free_port,
};

/// What starting takes does not count.
const WARM_UP: Duration = Duration::from_secs(2);
const OBSERVED: Duration = Duration::from_secs(8);
/// One per cent of a core.
const PROCESSOR_TIME: Duration = OBSERVED.checked_div(100).expect("100 is not 0");
const CONNECTS_PER_SECOND: usize = 5;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// What a loaded machine needs to start a process and to write a line.
const A_SECOND: Duration = Duration::from_secs(1);
/// One cycle of the default configuration.
const ONE_CYCLE: Duration = Duration::from_secs(10);

#[test]
fn a_port_that_refuses_is_reported_and_costs_next_to_nothing() {
    let port = free_port();
    let serve = serve(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    wait_for_a_reason(&serve, port, &["refused"], A_SECOND);
    assert_quiet(&serve);
    let broker = FakeBroker::start_on(port, Script::Truth(Profile::Modern));
    assert_recovery(&serve);
    assert!(broker.accepted() > 0);
}

#[test]
fn a_port_that_stays_silent_is_reported_and_costs_next_to_nothing() {
    let silence = Delivery::SendAndFallSilent(Vec::new());
    let reasons = ["timed out", "timeout", "not answer"];
    observe(silence, &reasons, REQUEST_TIMEOUT + A_SECOND);
}

#[test]
fn a_port_that_resets_is_reported_and_costs_next_to_nothing() {
    let reasons = ["reset", "closed", "disconnected"];
    observe(Delivery::Reset, &reasons, A_SECOND);
}

/// Runs `serve` against a port that accepts, and then treats every connection so.
fn observe(on_accept: Delivery, reasons: &[&str], limit: Duration) {
    let broker = FakeBroker::start(Script::OnAccept(on_accept));
    let port = broker.address().port();
    let begin = Instant::now();
    let serve = serve(broker.address());
    wait_for_a_reason(&serve, port, reasons, limit);
    assert_quiet(&serve);
    let seconds = usize::try_from(begin.elapsed().as_secs()).expect("a few") + 1;
    let accepted = broker.accepted();
    assert!(
        (1..=seconds * CONNECTS_PER_SECOND).contains(&accepted),
        "{accepted} connections in {seconds} seconds"
    );
    broker.play(Script::Truth(Profile::Modern));
    assert_recovery(&serve);
}

fn serve(server: SocketAddr) -> Running {
    let timeout = REQUEST_TIMEOUT.as_secs();
    let config = format!(
        "clusters:
  - bootstrap-servers: [\"{server}\"]
    poll-interval: 1s
    request-timeout: {timeout}s
"
    );
    Lagwatch::new("serve").config(&config).start()
}

/// Waits for a line of the log that names the server and why it cannot be used.
fn wait_for_a_reason(serve: &Running, port: u16, reasons: &[&str], limit: Duration) {
    let server = format!("127.0.0.1:{port}");
    let is_clear = |line: &str| {
        let line = line.to_lowercase();
        line.contains(&server) && reasons.iter().any(|reason| line.contains(reason))
    };
    let what = format!("a line with {server} and one of {reasons:?}");
    eventually(&what, limit, || serve.log().lines().any(is_clear));
}

/// Waits for eight seconds, in which the process hardly runs.
fn assert_quiet(serve: &Running) {
    thread::sleep(WARM_UP);
    let before = serve.processor_time();
    thread::sleep(OBSERVED);
    let used = serve.processor_time() - before;
    assert!(
        used < PROCESSOR_TIME,
        "{used:?} of processor time in {OBSERVED:?}"
    );
    assert_eq!(serve.scrape().value("lagwatch_up", &[]), Some(0.0));
}

fn assert_recovery(serve: &Running) {
    eventually("the cluster to be up", ONE_CYCLE, || {
        let samples = serve.scrape();
        let lag = samples.sum("kafka_consumergroup_lag", &[("consumergroup", "billing")]);
        samples.value("lagwatch_up", &[]) == Some(1.0) && lag == 9.0
    });
}
