//! What a process holds at one moment: memory, descriptors, threads. And what it has used: processor time.

use std::time::Duration;
use std::{fs, io};

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

/// What a running process holds.
///
/// Source: proc(5), `VmRSS` and `Threads` of `/proc/PID/status`, and the entries of `/proc/PID/fd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vitals {
    pub(crate) resident_kib: u64,
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
}

impl Vitals {
    /// Reads what the process holds; panics when it is gone.
    pub(super) fn of(process: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status"));
        let status = status.expect("the process runs");
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|rest| rest.split_ascii_whitespace().next());
            let number = number.unwrap_or_else(|| panic!("no {name} in {status}"));
            number.parse().expect("a number")
        };
        let descriptors = fs::read_dir(format!("/proc/{process}/fd"));
        let descriptors = descriptors.expect("the process is the caller's").count();
        Self {
            resident_kib: field("VmRSS:"),
            descriptors: u64::try_from(descriptors).expect("a few hundred at most"),
            threads: field("Threads:"),
        }
    }
}

/// Returns how long the threads of a process have been running, together, those that have ended among them.
///
/// Source: clock_getcpuclockid(3), which counts nanoseconds; `/proc/PID/stat` counts hundredths of a second.
///
/// # Errors
///
/// There is no such process.
pub(crate) fn processor_time(process: u32) -> io::Result<Duration> {
    let id = i32::try_from(process).expect("Linux has no greater process ids");
    let clock = clock_getcpuclockid(Pid::from_raw(id))?;
    Ok(clock.now()?.into())
}
