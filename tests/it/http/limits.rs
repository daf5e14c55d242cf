//! Clients that are slow, silent, greedy or many cannot hold the server up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lagwatch::http::{HttpConfig, Limits};

use super::server::{LIMIT, Server, content_length};
use super::world::{uniform, world};
use crate::support::{Samples, eventually};

const REQUEST: &str = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n";

/// Long enough not to be reached by a loaded machine that works, short enough to be waited for.
const SHORT: Duration = Duration::from_millis(700);

fn server(groups: usize, limits: Limits) -> Server {
    let config = HttpConfig {
        limits,
        ..HttpConfig::default()
    };
    Server::start(world(vec![uniform(groups, 7, Instant::now())]), config)
}

fn nobody_is_connected(server: &Server) {
    let connections = &server.own.http().connections;
    eventually("the end of all connections", LIMIT, || {
        connections.get() == 0
    });
}

/// More than the socket buffers of both sides hold.
const LARGE: usize = 10_000;

#[test]
fn a_client_that_does_not_read_is_cut_off_and_delays_nobody() {
    let server = server(
        LARGE,
        Limits {
            write_timeout: SHORT,
            ..Limits::default()
        },
    );
    let mut lazy: Vec<_> = (0..5).map(|_| server.send(REQUEST)).collect();
    let lengths: Vec<_> = lazy
        .iter_mut()
        .map(|client| content_length(&client.head()))
        .collect();
    let scrape = server.get("/metrics");
    assert_eq!(scrape.body.len(), content_length_of(&scrape));
    nobody_is_connected(&server);
    for (client, length) in lazy.iter_mut().zip(lengths) {
        assert!(client.drain() < length, "the answer was cut off");
    }
}

fn content_length_of(answer: &crate::support::Response) -> usize {
    answer.headers["content-length"].parse().expect("a number")
}

#[test]
fn a_client_that_trickles_is_cut_off_too() {
    let server = server(
        LARGE,
        Limits {
            write_timeout: SHORT,
            ..Limits::default()
        },
    );
    let mut trickling = server.send(REQUEST);
    let length = content_length(&trickling.head());
    let mut read = 0;
    eventually("the end of the connection", LIMIT, || {
        read += usize::from(matches!(trickling.byte(), Ok(Some(_))));
        server.own.http().connections.get() == 0
    });
    assert!(read + trickling.drain() < length, "the answer was cut off");
}

#[test]
fn a_head_that_never_ends_is_cut_off() {
    let server = server(
        1,
        Limits {
            header_timeout: SHORT,
            ..Limits::default()
        },
    );
    let mut silent = server.send("");
    let mut trickling = server.send("GET /metrics HTTP/1.1\r\n");
    eventually("the end of both connections", LIMIT, || {
        // Each header is progress, and none is an end. Once cut off, sending fails; that is no matter.
        let _ = trickling.send("x: y\r\n");
        server.own.http().connections.get() == 0
    });
    assert_eq!(silent.drain(), 0);
    assert_eq!(trickling.drain(), 0);
}

#[test]
fn a_connection_is_kept_for_the_next_request_but_not_for_ever() {
    let server = server(
        1,
        Limits {
            idle_timeout: SHORT,
            ..Limits::default()
        },
    );
    let mut client = server.send(REQUEST);
    client.answer();
    client.send(REQUEST).expect("it is still open");
    let (head, _) = client.answer();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(client.drain(), 0, "then it is closed");
}

#[test]
fn connections_beyond_the_limit_are_closed_and_counted() {
    let server = server(
        1,
        Limits {
            max_connections: 2,
            ..Limits::default()
        },
    );
    let mut seated: Vec<_> = (0..2).map(|_| server.send("")).collect();
    let connections = &server.own.http().connections;
    eventually("both connections", LIMIT, || connections.get() == 2);
    assert_eq!(server.send("").drain(), 0);
    assert_eq!(server.own.http().rejected.get(), 1);

    seated[0].send(REQUEST).expect("it has its seat");
    let (head, _) = seated[0].answer();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    seated.pop();
    eventually("a free seat", LIMIT, || connections.get() == 1);
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let server = server(1, Limits::default());
    let padding = "x".repeat(Limits::default().max_header_bytes);
    let mut client = server.send(&format!(
        "GET / HTTP/1.1\r\nhost: x\r\npadding: {padding}\r\n\r\n"
    ));
    let head = client.head();
    assert!(head.starts_with("HTTP/1.1 431"), "{head}");
    client.drain();
    let padding = "x".repeat(Limits::default().max_header_bytes / 2);
    let scrape = server.get_with("/healthz", &[("padding", &padding)]);
    assert_eq!(scrape.status, 200);
}

#[test]
fn each_scrape_sees_one_whole_snapshot_while_they_are_swapped() {
    let server = server(50, Limits::default());
    let done = Arc::new(AtomicBool::new(false));
    let publisher = thread::spawn({
        let (store, done) = (Arc::clone(&server.store), Arc::clone(&done));
        move || {
            let mut published = 7;
            while !done.load(Ordering::Relaxed) {
                published += 1;
                store.slots()[0].publish(uniform(50, published, Instant::now()));
                thread::yield_now();
            }
            published
        }
    });
    thread::scope(|scope| {
        for encoding in ["identity", "identity", "gzip", "gzip", "zstd"] {
            let server = &server;
            scope.spawn(move || {
                let mut newest = 0.0;
                for _ in 0..10 {
                    let headers = [("accept-encoding", encoding)];
                    let lags = lags(&server.get_with("/metrics", &headers));
                    assert_eq!(lags.len(), 500);
                    assert!(lags.iter().all(|lag| *lag == lags[0]), "{lags:?}");
                    assert!(lags[0] >= newest, "{} came after {newest}", lags[0]);
                    newest = lags[0];
                }
            });
        }
    });
    done.store(true, Ordering::Relaxed);
    let published = publisher.join().expect("publishing does not panic");
    let lags = lags(&server.get("/metrics"));
    assert_eq!(lags[0], published as f64, "the newest is seen");
}

fn lags(scrape: &crate::support::Response) -> Vec<f64> {
    let mut text = String::new();
    match scrape.headers.get("content-encoding") {
        None => text.push_str(scrape.text()),
        Some(encoding) if encoding == "zstd" => {
            let plain = zstd::decode_all(scrape.body.as_slice()).expect("valid zstd");
            text.push_str(std::str::from_utf8(&plain).expect("it is text"));
        }
        Some(_) => {
            let mut decoder = flate2::read::GzDecoder::new(scrape.body.as_slice());
            std::io::Read::read_to_string(&mut decoder, &mut text).expect("valid gzip");
        }
    }
    let samples = Samples::parse(&text);
    let lags = samples.all("kafka_consumergroup_lag", &[]);
    lags.map(|sample| sample.value).collect()
}

#[test]
fn a_shutdown_ends_idle_connections_and_lets_answers_end() {
    let mut server = server(LARGE, Limits::default());
    let mut idle = server.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    idle.answer();
    let mut reading = server.send(REQUEST);
    let head = reading.head();
    server.stop();
    assert_eq!(idle.drain(), 0, "closed without waiting for its timeout");
    assert_eq!(
        reading.drain(),
        content_length(&head),
        "the answer is whole"
    );
    server.join();
    assert_eq!(server.own.http().connections.get(), 0);
}

#[test]
fn a_shutdown_does_not_wait_for_a_client_that_does_not_read() {
    let mut server = server(
        LARGE,
        Limits {
            drain_timeout: Duration::from_millis(100),
            ..Limits::default()
        },
    );
    let mut lazy = server.send(REQUEST);
    let length = content_length(&lazy.head());
    server.stop();
    server.join();
    assert!(lazy.drain() < length, "the answer was cut off");
}
