//! What each route answers, over a real socket.

use std::io::Read;
use std::time::Instant;

use lagwatch::http::HttpConfig;
use lagwatch::snapshot::ClusterSnapshot;

use super::server::{Server, content_length};
use super::world::{ODD_GROUP, empty, group, partition, rich, uniform, world};
use crate::support::Samples;

fn rich_server() -> Server {
    Server::start(rich(Instant::now()), HttpConfig::default())
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";

#[test]
fn metrics_come_in_the_format_that_is_asked_for() {
    let server = rich_server();
    let text = server.get("/metrics");
    assert_eq!(text.status, 200);
    assert_eq!(
        text.headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let samples = Samples::parse(text.text());
    let labels = [
        ("consumergroup", "billing"),
        ("topic", "orders"),
        ("partition", "0"),
    ];
    assert_eq!(
        samples.value("kafka_consumergroup_lag", &labels),
        Some(17.0)
    );
    assert!(!text.text().contains("# EOF"));

    let openmetrics = server.get_with("/metrics", &[("accept", OPENMETRICS)]);
    assert_eq!(
        openmetrics.headers["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let text = openmetrics.text();
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    assert_eq!(text.matches("# EOF").count(), 1);
    let counter = "# TYPE lagwatch_http_requests counter\nlagwatch_http_requests_total{";
    assert!(text.contains(counter), "{text}");
}

#[test]
fn gzip_holds_the_same_scrape_in_one_member() {
    let server = rich_server();
    for accept in ["text/plain", OPENMETRICS] {
        let plain = server.get_with("/metrics", &[("accept", accept)]);
        assert!(!plain.headers.contains_key("content-encoding"));
        let headers = [("accept", accept), ("accept-encoding", "gzip, deflate")];
        let packed = server.get_with("/metrics", &headers);
        assert_eq!(packed.headers["content-encoding"], "gzip");
        assert_eq!(
            packed.headers["content-type"],
            plain.headers["content-type"]
        );
        let mut decoder = flate2::read::GzDecoder::new(packed.body.as_slice());
        let mut unpacked = String::new();
        let inflated = decoder.read_to_string(&mut unpacked);
        inflated.expect("the stream is valid, its checksum included");
        assert!(
            decoder.into_inner().is_empty(),
            "nothing follows the first member"
        );

        let kafka = |text: &str| -> Vec<String> {
            let lines = text.lines().map(str::to_owned);
            lines
                .filter(|line| line.contains("kafka_consumergroup"))
                .collect()
        };
        assert_eq!(kafka(&unpacked), kafka(plain.text()));
        assert!(
            unpacked.contains("\nprocess_"),
            "this process's part is there"
        );
    }
}

#[test]
fn zstd_holds_the_same_scrape_for_those_who_like_it_best() {
    let server = rich_server();
    for (accept, expected) in [
        ("zstd", "zstd"),
        ("gzip;q=0.8, zstd;q=0.9", "zstd"),
        ("gzip, deflate, br, zstd", "gzip"),
    ] {
        let headers = [("accept-encoding", accept)];
        let packed = server.get_with("/metrics", &headers);
        assert_eq!(packed.headers["content-encoding"], expected, "{accept}");
        assert_eq!(packed.headers["vary"], "accept, accept-encoding");
    }
    let packed = server.get_with("/metrics", &[("accept-encoding", "zstd")]);
    let unpacked = zstd::decode_all(packed.body.as_slice()).expect("its frames are valid");
    let unpacked = String::from_utf8(unpacked).expect("it is text");
    let of_groups = |text: &str| -> Vec<String> {
        let lines = text.lines().map(str::to_owned);
        lines
            .filter(|line| line.contains("kafka_consumergroup"))
            .collect()
    };
    let plain = server.get("/metrics");
    assert_eq!(of_groups(&unpacked), of_groups(plain.text()));
    assert!(unpacked.contains("\nprocess_"));
}

#[test]
fn head_answers_like_get_without_a_body() {
    let server = rich_server();
    for path in [
        "/",
        "/metrics",
        "/healthz",
        "/readyz",
        "/api/v1/groups",
        "/nowhere",
    ] {
        let mut client = server.send(&format!("HEAD {path} HTTP/1.1\r\nhost: x\r\n\r\n"));
        let head = client.head();
        assert!(content_length(&head) > 0, "{path}: {head}");
        // The next answer on the connection begins where a body would be.
        client
            .send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            .expect("it is open");
        let (head, body) = client.answer();
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        assert_eq!(body, b"ok\n", "{path}");
    }
}

#[test]
fn what_is_not_served_says_what_is() {
    let server = rich_server();
    let lost = server.get("/metric");
    assert_eq!(lost.status, 404);
    assert_eq!(
        lost.text(),
        "no route `/metric`; there are: / /metrics /healthz /readyz /api/v1/clusters /api/v1/groups \
         /api/v1/groups/{group} /api/v1/events /openapi.json\n"
    );
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let request =
            format!("{method} /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi");
        let (head, _) = server.send(&request).answer();
        assert!(head.starts_with("HTTP/1.1 405"), "{head}");
        assert!(head.contains("\r\nallow: GET, HEAD\r\n"), "{head}");
    }
}

#[test]
fn the_telemetry_path_moves_with_its_configuration() {
    let config = HttpConfig {
        telemetry_path: "/lag/metrics".to_owned(),
        ..HttpConfig::default()
    };
    let server = Server::start(rich(Instant::now()), config);
    assert_eq!(server.get("/lag/metrics").status, 200);
    assert_eq!(server.get("/metrics").status, 404);
    let index = server.get("/");
    assert!(
        index.text().contains("href=\"/lag/metrics\""),
        "{}",
        index.text()
    );
}

#[test]
fn requests_are_counted_by_route_and_not_by_path() {
    let server = rich_server();
    for path in [
        "/healthz",
        "/healthz",
        "/api/v1/groups/a",
        "/api/v1/groups/b",
        "/x",
        "/y",
    ] {
        server.get(path);
    }
    let scrape = server.get("/metrics");
    let samples = Samples::parse(scrape.text());
    let requests = |route, code| {
        samples.value(
            "lagwatch_http_requests_total",
            &[("route", route), ("code", code)],
        )
    };
    assert_eq!(requests("/healthz", "200"), Some(2.0));
    assert_eq!(requests("/api/v1/groups/{group}", "404"), Some(2.0));
    assert_eq!(requests("other", "404"), Some(2.0));
    let timed = samples.value(
        "lagwatch_http_request_duration_seconds_count",
        &[("route", "/healthz")],
    );
    assert_eq!(timed, Some(2.0));
}

#[test]
fn health_and_readiness_tell_different_things() {
    let server = rich_server();
    assert_eq!(server.get("/healthz").status, 200);
    let unready = server.get("/readyz");
    assert_eq!(unready.status, 503);
    assert_eq!(
        unready.text(),
        "not ready: cluster `lab` was not read yet (newest cycle: failed); cluster `new` was not polled yet\n"
    );

    let server = Server::start(
        world(vec![uniform(1, 1, Instant::now())]),
        HttpConfig::default(),
    );
    let ready = server.get("/readyz");
    assert_eq!((ready.status, ready.text()), (200, "ready\n"));
}

#[test]
fn a_group_is_found_by_its_encoded_name() {
    let server = rich_server();
    let encoded =
        percent_encoding::utf8_percent_encode(ODD_GROUP, percent_encoding::NON_ALPHANUMERIC);
    let (status, odd) = server.json(&format!("/api/v1/groups/{encoded}"));
    assert_eq!(status, 200);
    assert_eq!(odd["group"], ODD_GROUP);
    assert_eq!(odd["topic_list"][0]["partitions"][0]["blocked"], 2);
}

#[test]
fn a_group_that_is_not_there_names_its_nearest() {
    let server = rich_server();
    let (status, answer) = server.json("/api/v1/groups/biling");
    assert_eq!(status, 404);
    assert_eq!(answer["error"], "no group `biling`");
    assert_eq!(answer["nearest"], "billing");
    let (status, answer) = server.json("/api/v1/groups?cluster=prodd");
    assert_eq!(status, 404);
    assert_eq!(answer["nearest"], "prod");
    let (status, answer) = server.json("/api/v1/groups?limit=many");
    assert_eq!(status, 400);
    assert_eq!(answer["error"], "`limit` is a number from 0, not `many`");
    assert_eq!(server.json("/api/v1/groups/%FF").0, 400);
}

#[test]
fn a_group_of_several_clusters_is_chosen_by_cluster() {
    let taken = Instant::now();
    let with_lag = |cluster, log_end| ClusterSnapshot {
        groups: vec![group(
            "g",
            vec![partition("t", 0, Some(0), [0, log_end], taken)],
        )],
        ..empty(Some(cluster), taken)
    };
    let both = world(vec![with_lag("a", 1), with_lag("b", 2)]);
    let server = Server::start(both, HttpConfig::default());
    let (status, answer) = server.json("/api/v1/groups/g");
    assert_eq!(status, 400);
    assert_eq!(answer["clusters"], serde_json::json!(["a", "b"]));
    let (status, answer) = server.json("/api/v1/groups/g?cluster=b");
    assert_eq!((status, &answer["lag"]), (200, &serde_json::json!(2)));
    let (_, answer) = server.json("/api/v1/groups?cluster=a");
    assert_eq!(
        (&answer["total"], &answer["groups"][0]["lag"]),
        (&1.into(), &1.into())
    );
}

#[test]
fn pages_of_groups_make_the_whole() {
    let server = Server::start(
        world(vec![uniform(25, 1, Instant::now())]),
        HttpConfig::default(),
    );
    let mut offset = serde_json::json!(0);
    let mut names = Vec::new();
    while !offset.is_null() {
        let (status, page) = server.json(&format!("/api/v1/groups?limit=10&offset={offset}"));
        assert_eq!((status, &page["total"]), (200, &25.into()));
        let groups = page["groups"].as_array().expect("a list");
        names.extend(
            groups
                .iter()
                .map(|row| row["group"].as_str().expect("a name").to_owned()),
        );
        offset = page["next_offset"].clone();
    }
    let expected: Vec<_> = (0..25).map(|index| format!("group-{index:05}")).collect();
    assert_eq!(names, expected);
    let (_, past) = server.json("/api/v1/groups?offset=100");
    assert_eq!(past["groups"], serde_json::json!([]));
    assert!(past["next_offset"].is_null());
}
