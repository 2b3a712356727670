//! What the kernel counts for a group.

use std::path::Path;
use std::time::Duration;

use super::{Controller, Folders, GroupVersion, files};

/// What a group uses, and how often a limit stopped it, since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::process) struct GroupUsage {
    /// Memory in bytes, without the contents of files that the kernel can give up at once.
    pub(in crate::process) memory_bytes: Option<u64>,
    pub(in crate::process) processes: Option<u64>,
    /// CPU time.
    pub(in crate::process) cpu: Option<Duration>,
    /// Processes that the kernel killed for want of memory.
    pub(in crate::process) oom_kills: u64,
    /// Processes and threads that could not be started.
    pub(in crate::process) forks_refused: u64,
    /// Periods of a tenth of a second in which it had to wait for the next one.
    pub(in crate::process) throttled: u64,
}

pub(super) fn usage(version: GroupVersion, folders: &Folders) -> GroupUsage {
    let mut usage = GroupUsage::default();
    if let Some(at) = folders.get(&Controller::Memory) {
        let (used, files_held) = match version {
            GroupVersion::V1 => ("memory.usage_in_bytes", "total_inactive_file"),
            GroupVersion::V2 => ("memory.current", "inactive_file"),
        };
        let given_up_at_once = files::number_of(at, "memory.stat", files_held).unwrap_or(0);
        let used = files::number(at, used);
        usage.memory_bytes = used.map(|used| used.saturating_sub(given_up_at_once));
        usage.oom_kills = oom_kills(version, folders);
    }
    if let Some(at) = folders.get(&Controller::Pids) {
        usage.processes = files::number(at, "pids.current");
        usage.forks_refused = files::number_of(at, "pids.events", "max").unwrap_or(0);
    }
    if let Some(at) = folders.get(&Controller::Cpu) {
        usage.throttled = files::number_of(at, "cpu.stat", "nr_throttled").unwrap_or(0);
    }
    usage.cpu = cpu_time(version, folders);
    usage
}

pub(super) fn oom_kills(version: GroupVersion, folders: &Folders) -> u64 {
    let events = match version {
        GroupVersion::V1 => "memory.oom_control",
        GroupVersion::V2 => "memory.events",
    };
    let at = folders.get(&Controller::Memory);
    at.and_then(|at| files::number_of(at, events, "oom_kill")).unwrap_or(0)
}

fn cpu_time(version: GroupVersion, folders: &Folders) -> Option<Duration> {
    let of = |controller| folders.get(&controller).map(|path| -> &Path { path });
    match version {
        GroupVersion::V1 => {
            let nanoseconds = files::number(of(Controller::CpuAccount)?, "cpuacct.usage")?;
            Some(Duration::from_nanos(nanoseconds))
        }
        GroupVersion::V2 => {
            let microseconds = files::number_of(of(Controller::Cpu)?, "cpu.stat", "usage_usec")?;
            Some(Duration::from_micros(microseconds))
        }
    }
}
