//! Events over a real socket: as a list, and as a stream that no reader can hold up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lagwatch::http::{HttpConfig, Limits};
use lagwatch::snapshot::EventBounds;
use serde_json::{Value, json};

use super::event_reader::{Reader, commit, rebalance};
use super::server::{LIMIT, Server};
use super::world::rich;
use crate::support::{Samples, eventually};

/// Long enough not to be reached by a loaded machine that works, short enough to be waited for.
const SHORT: Duration = Duration::from_millis(700);

/// No test gets there: whatever waits for it is told from what does not.
const NEVER: Duration = Duration::from_secs(60);

fn server() -> Server {
    Server::start(rich(Instant::now()), HttpConfig::default())
}

fn server_with(events: usize, limits: Limits) -> Server {
    let config = HttpConfig {
        limits,
        ..HttpConfig::default()
    };
    let bounds = EventBounds {
        events,
        ..EventBounds::default()
    };
    Server::start_with(rich(Instant::now()), bounds, config)
}

fn offsets(answer: &Value) -> Vec<i64> {
    let events = answer["events"].as_array().expect("a list");
    let offset = |event: &Value| event["current_offset"].as_i64().unwrap_or(-1);
    events.iter().map(offset).collect()
}

#[test]
fn the_newest_events_are_listed_newest_last() {
    let server = server();
    let (status, answer) = server.json("/api/v1/events");
    assert_eq!((status, &answer["events"]), (200, &json!([])));
    let writer = server.events.writer(Some("prod".into()));
    writer.append_all((0..150).map(|offset| commit("billing", offset)));
    let (_, answer) = server.json("/api/v1/events");
    assert_eq!(offsets(&answer), (50..150).collect::<Vec<_>>());
    assert_eq!(
        (&answer["gap"], &answer["more"]),
        (&Value::Null, &json!(false))
    );
    let (_, answer) = server.json("/api/v1/events?limit=2");
    assert_eq!(offsets(&answer), [148, 149]);
    let event = &answer["events"][1];
    assert_eq!(event["id"], answer["last_id"]);
    assert_eq!(
        (
            &event["kind"],
            &event["cluster"],
            &event["group"],
            &event["at"]
        ),
        (
            &json!("commit"),
            &json!("prod"),
            &json!("billing"),
            &json!("2023-11-14T22:13:20.125Z")
        )
    );
}

#[test]
fn pages_after_an_id_make_the_whole_and_a_filter_skips_nothing_else() {
    let server = server();
    let (_, empty) = server.json("/api/v1/events");
    let mut last = empty["last_id"].as_str().expect("an id").to_owned();
    let (prod, lab) = (
        server.events.writer(Some("prod".into())),
        server.events.writer(Some("lab".into())),
    );
    for offset in 0..1_200 {
        prod.append(commit("billing", offset));
        prod.append(commit("other", 5_000));
        lab.append(commit("billing", 6_000));
    }
    prod.append(rebalance("billing", 4));
    let mut seen = Vec::new();
    loop {
        let query = format!("cluster=prod&group=billing&kind=commit&limit=500&after={last}");
        let (status, page) = server.json(&format!("/api/v1/events?{query}"));
        assert_eq!((status, &page["gap"]), (200, &Value::Null));
        seen.extend(offsets(&page));
        last = page["last_id"].as_str().expect("an id").to_owned();
        if page["more"] == json!(false) {
            break;
        }
    }
    assert_eq!(seen, (0..1_200).collect::<Vec<_>>());
    let (_, rebalances) = server.json("/api/v1/events?kind=rebalance");
    assert_eq!(rebalances["events"][0]["joined"], json!(["mmmm"]));
    assert_eq!(rebalances["events"].as_array().map(Vec::len), Some(1));
}

#[test]
fn what_cannot_be_asked_for_says_what_can() {
    let server = server();
    for (query, expected, error, nearest) in [
        (
            "kind=comit",
            400,
            "`kind` is `commit` or `rebalance`, not `comit`",
            json!("commit"),
        ),
        (
            "limit=-1",
            400,
            "`limit` is a number from 0, not `-1`",
            Value::Null,
        ),
        (
            "after=42",
            400,
            "`after` is an event's id, not `42`: an event's id looks like `18c1d7f39a2b4c5d-42`",
            Value::Null,
        ),
        ("cluster=prodd", 404, "no cluster `prodd`", json!("prod")),
    ] {
        let path = format!("/api/v1/events?{query}");
        let (status, answer) = server.json(&path);
        assert_eq!(status, expected, "{query}");
        assert_eq!(
            (&answer["error"], &answer["nearest"]),
            (&json!(error), &nearest)
        );
        let stream = server.get_with(&path, &[("accept", "text/event-stream")]);
        assert_eq!(stream.status, expected, "{query}");
    }
}

#[test]
fn a_place_that_is_gone_is_told_as_a_gap() {
    let server = server_with(10, Limits::default());
    let writer = server.events.writer(Some("prod".into()));
    let before = server.events.newest();
    writer.append_all((0..25).map(|offset| commit("billing", offset)));
    let (_, wrapped) = server.json(&format!("/api/v1/events?after={before}"));
    assert_eq!(wrapped["gap"], json!({ "missed": 15 }));
    assert_eq!(offsets(&wrapped), (15..25).collect::<Vec<_>>());
    let (_, other_run) = server.json("/api/v1/events?after=1-7");
    assert_eq!(other_run["gap"], json!({ "missed": null }));
    assert_eq!(offsets(&other_run), (15..25).collect::<Vec<_>>());
}

#[test]
fn a_stream_begins_with_the_newest_and_goes_on() {
    let server = server();
    let writer = server.events.writer(Some("prod".into()));
    writer.append_all((0..5).map(|offset| commit("billing", offset)));
    let headers = [("accept-encoding", "gzip")];
    let mut stream = Reader::open(&server, "?limit=2&group=billing", &headers);
    for name in ["content-length", "content-encoding"] {
        assert!(!stream.head.contains(name), "{}", stream.head);
    }
    for header in [
        "content-type: text/event-stream\r\n",
        "cache-control: no-store\r\n",
        "x-accel-buffering: no\r\n",
    ] {
        assert!(stream.head.contains(header), "{}", stream.head);
    }
    assert_eq!([stream.offset(), stream.offset()], [3, 4]);
    writer.append(commit("other", 7));
    writer.append(commit("billing", 8));
    assert_eq!(stream.offset(), 8);
    writer.append(rebalance("billing", 4));
    let event = stream.event();
    assert_eq!(event.name, "rebalance");
    assert_eq!(event.id, server.events.newest().to_string());
    assert_eq!(event.data["id"], json!(event.id));
}

#[test]
fn a_reader_that_connects_again_goes_on_where_it_was() {
    let server = server();
    let writer = server.events.writer(None);
    writer.append(commit("billing", 1));
    let mut stream = Reader::open(&server, "", &[]);
    let seen = stream.event().id;
    drop(stream);
    writer.append_all((2..5).map(|offset| commit("billing", offset)));
    let id = [("last-event-id", seen.as_str())];
    // The address of a stream that is opened again is the first one: the header is newer.
    let mut again = Reader::open(&server, "?limit=1&after=1-1", &id);
    assert_eq!([(); 3].map(|()| again.offset()), [2, 3, 4]);
    let mut by_query = Reader::open(&server, &format!("?after={seen}"), &[]);
    assert_eq!(by_query.offset(), 2);
}

#[test]
fn a_reader_of_another_run_is_told_so_and_gets_what_there_is() {
    let server = server();
    server.events.writer(None).append(commit("billing", 1));
    for seen in ["18c1d7f39a2b4c5d-900", "of something else"] {
        let mut stream = Reader::open(&server, "", &[("last-event-id", seen)]);
        let gap = stream.event();
        assert_eq!((&*gap.name, &gap.data), ("gap", &json!({ "missed": null })));
        assert_eq!(stream.offset(), 1);
    }
}

#[test]
fn a_reader_that_falls_behind_is_told_how_much_it_missed_and_goes_on() {
    let server = server_with(300, Limits::default());
    let writer = server.events.writer(None);
    let mut stream = Reader::open(&server, "", &[]);
    stream.block().expect("the stream begins");
    writer.append_all((0..350).map(|offset| commit("billing", offset)));
    let gap = stream.event();
    assert_eq!((&*gap.name, &gap.data), ("gap", &json!({ "missed": 50 })));
    assert_eq!(
        [(); 300].map(|()| stream.offset()).to_vec(),
        (50..350).collect::<Vec<_>>()
    );
    // Once it has caught up, falling behind again is no reason to drop it.
    writer.append_all((350..700).map(|offset| commit("billing", offset)));
    assert_eq!(stream.event().name, "gap");
    assert_eq!(stream.offset(), 400);
}

#[test]
fn readers_that_were_dropped_are_counted_from_0() {
    let samples = Samples::parse(server().get("/metrics").text());
    let dropped = "lagwatch_http_event_streams_dropped_total";
    for reason in ["too_slow", "stalled"] {
        assert_eq!(samples.value(dropped, &[("reason", reason)]), Some(0.0));
    }
}

#[test]
fn a_reader_that_never_catches_up_is_dropped_and_told_so() {
    let server = server_with(300, Limits::default());
    let writer = server.events.writer(None);
    let mut stream = Reader::open(&server, "", &[]);
    stream.block().expect("the stream begins");
    let done = AtomicBool::new(false);
    let last = thread::scope(|scope| {
        // Each time twice as much as there is room for.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                writer.append_all((0..600).map(|offset| commit("billing", offset)));
            }
        });
        let mut last = None;
        while let Ok(Some(block)) = stream.block() {
            last = Some(block);
        }
        done.store(true, Ordering::Relaxed);
        last
    });
    let last = last.expect("there were some");
    assert_eq!(
        (&*last.name, &last.data),
        ("dropped", &json!({ "reason": "too_slow" }))
    );
    assert_eq!(dropped(&server, "too_slow"), 1);
    no_stream_is_open(&server);
    // What it has missed is told when it comes again.
    let mut again = Reader::open(&server, "", &[("last-event-id", &last.id)]);
    assert_eq!(again.event().name, "gap");
}

#[test]
fn a_reader_that_takes_nothing_is_cut_off_and_delays_nobody() {
    let server = server_with(
        10_000,
        Limits {
            write_timeout: SHORT,
            ..Limits::default()
        },
    );
    let writer = server.events.writer(None);
    let mut lazy = Reader::open(&server, "", &[]);
    let mut keen = Reader::open(&server, "?kind=commit", &[]);
    // More than the socket buffers of both sides hold, and less than the log does: only the socket is the reason.
    eventually("the end of the lazy reader's stream", LIMIT, || {
        writer.append(rebalance("billing", 200_000));
        writer.append(commit("billing", 1));
        assert_eq!(keen.offset(), 1);
        server.own.http().event_streams.get() == 1
    });
    assert_eq!(dropped(&server, "stalled"), 1);
    let cut = loop {
        match lazy.block() {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    assert!(cut.is_some(), "the end is not mistaken for a whole answer");
}

#[test]
fn a_quiet_stream_stays_open_and_keeps_its_readers_place() {
    let server = server_with(
        10,
        Limits {
            header_timeout: SHORT,
            idle_timeout: SHORT,
            write_timeout: SHORT,
            event_heartbeat: 2 * SHORT,
            ..Limits::default()
        },
    );
    let mut stream = Reader::open(&server, "?kind=rebalance", &[]);
    let start = stream
        .block()
        .expect("it is open")
        .expect("the stream begins");
    assert_eq!(start.id, server.events.newest().to_string());
    let writer = server.events.writer(None);
    for round in 0..2 {
        writer.append(commit("billing", round));
        let newest = server.events.newest().to_string();
        let mut silence = Vec::new();
        while silence.last() != Some(&newest) {
            let block = stream.block().expect("it is open").expect("it goes on");
            assert_eq!((&*block.name, &block.data), ("", &Value::Null));
            silence.push(block.id);
        }
    }
    assert_eq!(dropped(&server, "stalled"), 0);
}

#[test]
fn streams_beyond_the_limit_are_refused_until_one_ends() {
    let server = server_with(
        10,
        Limits {
            max_event_streams: 2,
            ..Limits::default()
        },
    );
    let first = Reader::open(&server, "", &[]);
    let _second = Reader::open(&server, "", &[]);
    let refused = server.get_with("/api/v1/events", &[("accept", "text/event-stream")]);
    assert_eq!(refused.status, 503);
    assert_eq!(refused.headers["retry-after"], "10");
    assert!(
        refused.text().contains("too many event streams"),
        "{}",
        refused.text()
    );
    assert_eq!(server.json("/api/v1/events").0, 200, "lists need no seat");
    drop(first);
    let streams = &server.own.http().event_streams;
    eventually("a free seat", LIMIT, || streams.get() == 1);
    Reader::open(&server, "", &[]);
}

#[test]
fn a_shutdown_ends_streams_at_once() {
    let mut server = server_with(
        10_000,
        Limits {
            write_timeout: NEVER,
            drain_timeout: NEVER,
            ..Limits::default()
        },
    );
    let mut quiet = Reader::open(&server, "", &[]);
    quiet.block().expect("the stream begins");
    let _lazy = Reader::open(&server, "", &[]);
    let writer = server.events.writer(None);
    // More than the socket buffers of both sides hold.
    for _ in 0..60 {
        writer.append(rebalance("lazy", 200_000));
        assert_eq!(quiet.event().name, "rebalance");
    }
    server.stop();
    let farewell = quiet.event();
    assert_eq!(
        (&*farewell.name, &farewell.data),
        ("dropped", &json!({ "reason": "shutdown" }))
    );
    assert!(matches!(quiet.block(), Ok(None)), "the answer is whole");
    let connections = &server.own.http().connections;
    eventually("the end of all connections", LIMIT, || {
        connections.get() == 0
    });
    server.join();
    assert_eq!(server.own.http().event_streams.get(), 0);
}

fn dropped(server: &Server, reason: &str) -> u64 {
    let dropped = &server.own.http().event_streams_dropped;
    dropped.with_label_values(&[reason]).get()
}

fn no_stream_is_open(server: &Server) {
    let streams = &server.own.http().event_streams;
    eventually("the end of all streams", LIMIT, || streams.get() == 0);
}
