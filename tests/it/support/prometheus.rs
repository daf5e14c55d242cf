//! A real Prometheus server: scrapes what a test starts, evaluates rules, answers queries.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::http::{Response, connect};
use super::process::{Guarded, Scratch, free_port, show_log_on_panic};
use super::wait::eventually;

/// It starts within a second; a loaded machine takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// Labels of a series or an alert, annotations of an alert.
pub(crate) type Labels = BTreeMap<String, String>;

/// A server being put together: it scrapes and evaluates every second.
#[derive(Debug)]
pub(crate) struct PrometheusBuilder {
    scratch: Scratch,
    jobs: Vec<Value>,
    rule_files: Vec<PathBuf>,
    external_labels: Labels,
}

/// A running server; killed when dropped, with its log shown if the test has failed.
#[derive(Debug)]
pub(crate) struct Prometheus {
    process: Guarded,
    log: PathBuf,
    address: SocketAddr,
    _scratch: Scratch,
}

/// One series of an instant query.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Point {
    #[serde(rename = "metric")]
    pub(crate) labels: Labels,
    #[serde(deserialize_with = "sample_value")]
    pub(crate) value: f64,
}

/// One series of a range query.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Range {
    #[serde(rename = "metric")]
    pub(crate) labels: Labels,
    /// Seconds since the epoch, and the value.
    #[serde(deserialize_with = "samples")]
    pub(crate) values: Vec<(f64, f64)>,
}

/// An alert that is pending or firing.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Alert {
    /// With `alertname`.
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    pub(crate) state: AlertState,
}

/// What an alert does.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AlertState {
    Pending,
    Firing,
}

/// A group of rules as the server has loaded it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RuleGroup {
    pub(crate) name: String,
    pub(crate) rules: Vec<Rule>,
}

/// A rule as the server has loaded it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rule {
    /// Of the alert, or of the series that it records.
    pub(crate) name: String,
    pub(crate) query: String,
    /// `ok`, `err`, or `unknown` before it was evaluated first.
    pub(crate) health: String,
    pub(crate) last_error: Option<String>,
}

impl PrometheusBuilder {
    /// Scrapes `/metrics` of each target.
    pub(crate) fn job(mut self, name: &str, targets: &[SocketAddr]) -> Self {
        self.jobs.push(json!({
            "job_name": name,
            "static_configs": [{ "targets": targets }],
        }));
        self
    }

    /// Evaluates the rules of a YAML text.
    pub(crate) fn rules(mut self, yaml: &str) -> Self {
        let name = format!("{}.rules.yaml", self.rule_files.len());
        self.rule_files.push(self.scratch.write(&name, yaml));
        self
    }

    pub(crate) fn external_label(mut self, name: &str, value: &str) -> Self {
        self.external_labels
            .insert(name.to_owned(), value.to_owned());
        self
    }

    /// Starts it and waits until it is ready, which says nothing of its targets.
    pub(crate) fn start(self) -> Prometheus {
        let config = json!({
            "global": {
                "scrape_interval": "1s",
                "evaluation_interval": "1s",
                "external_labels": self.external_labels,
            },
            "rule_files": self.rule_files,
            "scrape_configs": self.jobs,
        });
        // JSON is YAML.
        let config = self.scratch.write("prometheus.yml", config.to_string());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let log = self.scratch.path().join("log");
        let output = File::create(&log).expect("the temporary folder is writable");
        let storage = self.scratch.path().join("data");
        let process = Guarded::spawn(
            Command::new("prometheus")
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", storage.display()))
                .arg(format!("--web.listen-address={address}"))
                .arg("--log.level=warn")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(output),
        );
        let mut server = Prometheus {
            process,
            log,
            address,
            _scratch: self.scratch,
        };
        eventually("Prometheus being ready", LIMIT, || {
            if let Some(status) = server.process.try_wait() {
                panic!("Prometheus ended at once with {status}");
            }
            let answer = server.get("/-/ready", &[]);
            answer.is_ok_and(|answer| answer.status == 200)
        });
        server
    }
}

impl Prometheus {
    /// Begins a server that scrapes nothing.
    pub(crate) fn builder() -> PrometheusBuilder {
        PrometheusBuilder {
            scratch: Scratch::new(),
            jobs: Vec::new(),
            rule_files: Vec::new(),
            external_labels: Labels::new(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the newest scrape of every target has succeeded.
    pub(crate) fn wait_for_targets(&self, count: usize) {
        eventually("a scrape of every target", LIMIT, || {
            self.query("up == 1").len() == count
        });
    }

    /// Returns the series of an expression now; panics where it is wrong.
    pub(crate) fn query(&self, expression: &str) -> Vec<Point> {
        #[derive(Deserialize)]
        struct Vector {
            result: Vec<Point>,
        }
        let answer: Vector = self.api("query", &[("query", expression)]);
        answer.result
    }

    /// Returns the series of an expression between two times in seconds since the epoch; panics where it is wrong.
    pub(crate) fn query_range(
        &self,
        expression: &str,
        (start, end): (f64, f64),
        step: Duration,
    ) -> Vec<Range> {
        #[derive(Deserialize)]
        struct Matrix {
            result: Vec<Range>,
        }
        let answer: Matrix = self.api(
            "query_range",
            &[
                ("query", expression),
                ("start", &start.to_string()),
                ("end", &end.to_string()),
                ("step", &step.as_secs_f64().to_string()),
            ],
        );
        answer.result
    }

    /// Returns the alerts that are pending or firing.
    pub(crate) fn alerts(&self) -> Vec<Alert> {
        #[derive(Deserialize)]
        struct Alerts {
            alerts: Vec<Alert>,
        }
        self.api::<Alerts>("alerts", &[]).alerts
    }

    /// Returns the groups of rules that it has loaded.
    pub(crate) fn rule_groups(&self) -> Vec<RuleGroup> {
        #[derive(Deserialize)]
        struct Groups {
            groups: Vec<RuleGroup>,
        }
        self.api::<Groups>("rules", &[]).groups
    }

    /// Asks the API and returns its data; panics with what it says where it refuses.
    fn api<T: DeserializeOwned>(&self, what: &str, parameters: &[(&str, &str)]) -> T {
        #[derive(Deserialize)]
        struct Answer {
            status: String,
            #[serde(default)]
            data: Value,
            error: Option<String>,
        }
        let response = self
            .get(&format!("/api/v1/{what}"), parameters)
            .unwrap_or_else(|error| panic!("no answer of Prometheus: {error}"));
        let text = response.text();
        let answer: Answer = serde_json::from_str(text)
            .unwrap_or_else(|error| panic!("{what} {parameters:?}: {error} in {text}"));
        assert_eq!(
            answer.status, "success",
            "{what} {parameters:?}: {:?}",
            answer.error
        );
        serde_json::from_value(answer.data)
            .unwrap_or_else(|error| panic!("{what} {parameters:?}: {error} in {text}"))
    }

    fn get(&self, path: &str, parameters: &[(&str, &str)]) -> io::Result<Response> {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let mut stream = connect(self.address)?;
        // HTTP/1.0, as its answers never come in chunks.
        write!(stream, "GET {path}?{query} HTTP/1.0\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Response::parse(&answer).ok_or_else(|| io::Error::other("the answer is no HTTP"))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        show_log_on_panic("Prometheus", &self.log);
    }
}

/// Reads `[seconds, "value"]`, the value alone.
fn sample_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let (_, text): (f64, String) = Deserialize::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

/// Reads a list of `[seconds, "value"]`.
fn samples<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(f64, f64)>, D::Error> {
    let samples: Vec<(f64, String)> = Deserialize::deserialize(deserializer)?;
    let parsed = samples.into_iter().map(|(at, text)| {
        let value = text.parse().map_err(D::Error::custom)?;
        Ok((at, value))
    });
    parsed.collect()
}
