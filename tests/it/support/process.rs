//! Child processes, folders and ports that never outlive the test that took them.

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::wait::wait_for;

/// A child process that is killed when this is dropped, and also when the test process dies by any means.
#[derive(Debug)]
pub(crate) struct Guarded {
    child: Child,
    guard: Child,
}

/// What a child process can be told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    /// Asks it to end in order.
    Terminate,
    /// Asks it to end in order, from a keyboard.
    Interrupt,
    /// Asks it to read its configuration again.
    HangUp,
    /// Ends it at once.
    Kill,
    /// Freezes it: its sockets stay open and answer nothing.
    Stop,
    /// Lets it go on.
    Continue,
}

impl Guarded {
    /// Starts the command in a process group of its own.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let child = command
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
        let guard = guard(r#"kill -9 "$1" 2>/dev/null"#, child.id().to_string());
        Self { child, guard }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends a signal; panics when the process is gone.
    pub(crate) fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Terminate => "TERM",
            Signal::Interrupt => "INT",
            Signal::HangUp => "HUP",
            Signal::Kill => "KILL",
            Signal::Stop => "STOP",
            Signal::Continue => "CONT",
        };
        let sent = Command::new("kill")
            .args(["-s", name, &self.id().to_string()])
            .status()
            .expect("every system has kill");
        assert!(sent.success(), "process {} is gone already", self.id());
    }

    /// Returns how the process ended; nothing while it runs.
    pub(crate) fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("a child of this process can be waited for")
    }

    /// Waits for its end; panics when that takes longer than `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        wait_for("the end of the process", limit, || self.try_wait())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // The guard goes first: once the child is reaped its id may belong to somebody else.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a shell that runs `script` with one argument once this process has ended, however it ended.
///
/// The shell waits for the end of its standard input, which the kernel closes with this process. It is the one way
/// that works for SIGKILL and for values in statics, and does not end children with the thread that started them.
fn guard(script: &str, argument: impl AsRef<OsStr>) -> Child {
    Command::new("sh")
        .arg("-c")
        .arg(format!("while read -r _; do :; done; {script}"))
        .arg("guard")
        .arg(argument)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("every system has sh")
}

/// A temporary folder, removed when this is dropped and also when the test process dies.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    guard: Child,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let path = tempfile::Builder::new()
            .prefix("lagwatch-test-")
            .tempdir()
            .expect("the temporary folder is writable")
            .keep();
        // A process that writes here is being killed at the same moment: try until it has stopped.
        let script = r#"for _ in 1 2 3 4 5; do sleep 0.2; rm -rf -- "$1"; done"#;
        let guard = guard(script, &path);
        Self { path, guard }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path.join(name);
        fs::write(&path, content).expect("the temporary folder is writable");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Returns a port nobody listens on and nobody else in this process was given.
///
/// It lies below the range from which the kernel takes ports for outgoing connections, so that a server that is
/// down for a while finds its port free when it comes back.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        // Processes start far apart, so that two test runs at once rarely look at the same port.
        let offset = process::id() * 97 + TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + offset % COUNT).expect("below 32,000");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// Returns a name nobody else uses, as tests share servers.
pub(crate) fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{}-{count}", process::id())
}

/// Returns the last lines of a log file, for the message of a failure.
pub(crate) fn tail(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(80)..].join("\n")
}

/// Runs a command to its end and returns its standard output; panics with all it said when it fails.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (said(&output.stdout), said(&output.stderr));
    assert!(output.status.success(), "{command:?} failed:\n{out}\n{err}");
    out
}

/// Prints the log of a process when the test that started it has failed.
#[expect(
    clippy::print_stderr,
    reason = "the test runner shows it beside the failure"
)]
pub(crate) fn show_log_on_panic(what: &str, path: &Path) {
    if thread::panicking() {
        eprintln!("--- the log of {what} ends with ---\n{}\n---", tail(path));
    }
}
