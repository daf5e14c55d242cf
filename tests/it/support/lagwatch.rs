//! The `lagwatch` binary as a test runs it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use super::http::{self, Response};
use super::process::{Guarded, Scratch, Signal, free_port, show_log_on_panic};
use super::samples::Samples;
use super::vitals::{Vitals, processor_time};
use super::wait::eventually;

/// No command takes longer on a loaded machine, unless it hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// A command line being put together.
#[derive(Debug)]
pub(crate) struct Lagwatch {
    command: Command,
    scratch: Scratch,
    address: SocketAddr,
    stdin: Vec<u8>,
}

impl Lagwatch {
    /// Begins `lagwatch SUBCOMMAND`, in an empty folder and without a `LAGWATCH_` variable of the caller's.
    ///
    /// The binary is the one cargo has built for this test run, or the one that `LAGWATCH_BIN` names.
    pub(crate) fn new(subcommand: &str) -> Self {
        let built = OsString::from(env!("CARGO_BIN_EXE_lagwatch"));
        let mut command = Command::new(std::env::var_os("LAGWATCH_BIN").unwrap_or(built));
        let scratch = Scratch::new();
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LAGWATCH_") {
                command.env_remove(name);
            }
        }
        command.arg(subcommand).current_dir(scratch.path());
        Self {
            command,
            scratch,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())),
            stdin: Vec::new(),
        }
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// What it reads from its standard input, which is empty otherwise.
    pub(crate) fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = text.into();
        self
    }

    /// Writes a configuration file and names it with `--config`.
    pub(crate) fn config(mut self, yaml: &str) -> Self {
        let path = self.scratch.write("lagwatch.yaml", yaml);
        self.command.arg("--config").arg(path);
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Finished {
        self.spawn().finish(LIMIT)
    }

    /// Starts it with `--web.listen-address` on a free port, and waits until it answers there.
    pub(crate) fn start(mut self) -> Running {
        self.command
            .arg("--web.listen-address")
            .arg(self.address.to_string());
        let mut running = self.spawn();
        eventually("an answer of /healthz", LIMIT, || {
            if let Some(status) = running.process.try_wait() {
                panic!("lagwatch ended at once with {status}");
            }
            running.status("/healthz") == Some(200)
        });
        running
    }

    /// Starts it as it is, for commands that serve nothing.
    pub(crate) fn spawn(mut self) -> Running {
        let out = self.scratch.path().join("stdout");
        let log = self.scratch.path().join("stderr");
        let create = |path| File::create(path).expect("the temporary folder is writable");
        self.command
            .stdin(Stdio::piped())
            .stdout(create(&out))
            .stderr(create(&log));
        let mut process = Guarded::spawn(&mut self.command);
        let mut stdin = process.child().stdin.take().expect("it is piped");
        // On a thread: a command that does not read must not hold up the test.
        thread::spawn(move || stdin.write_all(&self.stdin));
        Running {
            process,
            out,
            log,
            address: self.address,
            _scratch: self.scratch,
        }
    }
}

/// A running `lagwatch`; killed when dropped, with its log shown if the test has failed.
#[derive(Debug)]
pub(crate) struct Running {
    process: Guarded,
    out: PathBuf,
    log: PathBuf,
    address: SocketAddr,
    _scratch: Scratch,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Running {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what it holds now.
    pub(crate) fn vitals(&self) -> Vitals {
        Vitals::of(self.process.id())
    }

    /// Returns how long its threads have been running, together.
    pub(crate) fn processor_time(&self) -> Duration {
        processor_time(self.process.id()).expect("the process runs")
    }

    /// Sends a GET request; panics when there is no answer.
    pub(crate) fn get(&self, path: &str) -> Response {
        http::get(self.address, path, &[])
            .unwrap_or_else(|error| panic!("no answer of {path}: {error}"))
    }

    /// Returns the status code of a path; nothing while nobody answers.
    pub(crate) fn status(&self, path: &str) -> Option<u16> {
        Some(http::get(self.address, path, &[]).ok()?.status)
    }

    /// Returns the samples of `/metrics`; panics when there is no answer.
    pub(crate) fn scrape(&self) -> Samples {
        Samples::parse(self.get("/metrics").text())
    }

    /// Waits until `/readyz` says 200.
    pub(crate) fn wait_until_ready(&self) {
        eventually("a complete snapshot", LIMIT, || {
            self.status("/readyz") == Some(200)
        });
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_wait().is_none()
    }

    /// Returns what it has logged so far.
    pub(crate) fn log(&self) -> String {
        read(&self.log)
    }

    /// Waits until it has logged `text`.
    pub(crate) fn wait_for_log(&self, text: &str) {
        eventually(&format!("the log line `{text}`"), LIMIT, || {
            self.log().contains(text)
        });
    }

    /// Returns what it has printed so far.
    pub(crate) fn stdout(&self) -> String {
        read(&self.out)
    }

    /// Tells it to end and waits until it has.
    pub(crate) fn stop(self) -> Finished {
        self.process.signal(Signal::Terminate);
        self.finish(LIMIT)
    }

    /// Waits for its end; panics when that takes longer than `limit`.
    pub(crate) fn finish(mut self, limit: Duration) -> Finished {
        let status = self.process.wait(limit);
        Finished {
            status,
            stdout: self.stdout(),
            stderr: self.log(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let what = match self.process.try_wait() {
            Some(status) => format!("lagwatch, which has ended with {status},"),
            None => "lagwatch, which is running,".to_owned(),
        };
        show_log_on_panic(&what, &self.log);
    }
}

impl Finished {
    /// Returns this run; panics with its log when it has failed.
    pub(crate) fn expect_success(self) -> Self {
        assert!(self.status.success(), "lagwatch failed: {self:?}");
        self
    }
}

fn read(path: &PathBuf) -> String {
    let bytes = fs::read(path).expect("the file was created before the process");
    String::from_utf8_lossy(&bytes).into_owned()
}
