//! Looking at processes by identity, so that a test can tell whether anything is left.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Process {
    pub pid: i32,
    parent: i32,
    /// Start time in clock ticks since boot.
    started: u64,
    pub command: String,
}

// === impl Process ===

impl Process {
    /// The process with this number now; none if there is none or only its remains.
    #[must_use]
    pub fn find(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in brackets and may hold any character, brackets too.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        if matches!(fields.first(), Some(&"Z" | &"X")) {
            return None;
        }
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
            command: String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned(),
        })
    }

    /// All visible processes of the machine.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter_map(Self::find)
            .collect()
    }

    /// The children of a process, their children, and so on.
    #[must_use]
    pub fn below(pid: i32) -> Vec<Self> {
        let all = Self::all();
        let mut family = HashSet::from([pid]);
        // Parents may be listed after their children, so this repeats until nothing is new.
        loop {
            let before = family.len();
            family.extend(
                all.iter()
                    .filter(|one| family.contains(&one.parent))
                    .map(|one| one.pid)
                    .collect::<Vec<_>>(),
            );
            if family.len() == before {
                break;
            }
        }
        all.into_iter().filter(|one| one.pid != pid && family.contains(&one.pid)).collect()
    }

    /// Processes that were started with this variable in their environment.
    #[must_use]
    pub fn with_variable(name: &str, value: &str) -> Vec<Self> {
        let wanted = format!("{name}={value}").into_bytes();
        let has = |one: &Self| {
            let environment = fs::read(format!("/proc/{}/environ", one.pid)).unwrap_or_default();
            environment.split(|&byte| byte == 0).any(|variable| variable == wanted)
        };
        Self::all().into_iter().filter(has).collect()
    }

    /// Whether this very process still runs.
    #[must_use]
    pub fn lives(&self) -> bool {
        Self::find(self.pid).is_some_and(|now| now.started == self.started)
    }

    /// The time since this process was started, to a hundredth of a second. None where that can't be read.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
        let ticks_per_second = rustix::param::clock_ticks_per_second();
        #[expect(clippy::cast_precision_loss, reason = "ticks since boot fit")]
        let started = self.started as f64 / ticks_per_second as f64;
        Duration::try_from_secs_f64(uptime - started).ok()
    }

    /// Sends a signal if this very process still runs.
    pub fn signal(&self, signal: Signal) {
        if self.lives()
            && let Some(pid) = Pid::from_raw(self.pid)
        {
            let _ = kill_process(pid, signal);
        }
    }
}

/// Waits until none of these live; gives back those that still do at the deadline.
#[must_use]
pub fn wait_gone(processes: &[Process], within: Duration) -> Vec<Process> {
    let deadline = Instant::now() + within;
    loop {
        let left: Vec<Process> = processes.iter().filter(|one| one.lives()).cloned().collect();
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
