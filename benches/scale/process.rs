//! A running exporter, and what the kernel says of it.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use crate::exporter::{Place, Subject};
use crate::support::process::{Guarded, Scratch, free_port, tail};
use crate::support::vitals::processor_time;
use crate::world::World;

/// A process that is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Exporter {
    process: Guarded,
    address: SocketAddr,
    scratch: Scratch,
}

/// Which figure of `/proc/PID/status`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Memory {
    Resident,
    /// The most that ever was resident.
    Peak,
}

impl Exporter {
    pub(crate) fn start(subject: &Subject, world: &World, poll_interval: Duration) -> Self {
        let scratch = Scratch::new();
        let port = free_port();
        let mut command = subject.command(&Place {
            bootstrap_servers: &world.bootstrap_servers(),
            port,
            poll_interval,
            scratch: &scratch,
        });
        let log = File::create(scratch.path().join("log")).expect("the folder is writable");
        command
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be opened twice"))
            .stderr(log);
        Self {
            process: Guarded::spawn(&mut command),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            scratch,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.try_wait().is_some()
    }

    /// Returns the end of what it has logged.
    pub(crate) fn log(&self) -> String {
        tail(&self.scratch.path().join("log"))
    }

    /// Returns how long its threads have been running, together.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub(crate) fn processor_time(&self) -> io::Result<Duration> {
        processor_time(self.process.id())
    }

    /// Returns a figure of its memory in bytes.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub(crate) fn memory(&self, which: Memory) -> io::Result<f64> {
        let name = match which {
            Memory::Resident => "VmRSS:",
            Memory::Peak => "VmHWM:",
        };
        let status = self.read("status")?;
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok())
            .ok_or_else(|| io::Error::other("the exporter has no memory left: it has ended"))?;
        Ok(kib * 1024.0)
    }

    fn read(&self, file: &str) -> io::Result<String> {
        fs::read_to_string(format!("/proc/{}/{file}", self.process.id()))
    }
}
