//! What a process holds at one moment: memory, descriptors, threads.

use std::fs;

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
