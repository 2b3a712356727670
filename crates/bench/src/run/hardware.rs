//! The machine of a measurement.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::procfs;

/// A machine with fewer busy cores than this is calm.
const CALM_CORES: f64 = 0.2;
/// Twenty ticks of the kernel's clock: the shortest time in which a fifth of a core can be
/// measured.
const CALM_LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Hardware {
    pub(crate) cores: usize,
    pub(crate) cpu: String,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    /// Load average of the last minute before the run.
    pub(crate) load_before: f64,
}

// === impl Hardware ===

impl Hardware {
    pub(crate) fn read() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let memory = field(&text("/proc/meminfo"), "MemTotal");
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: field(&text("/proc/cpuinfo"), "model name"),
            memory_mib: memory.trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024,
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: load_average(),
        }
    }

    /// The part of a file's name that identifies the machine.
    pub(crate) fn slug(&self) -> String {
        let words = self
            .cpu
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty());
        let cpu: Vec<String> = words.take(4).map(str::to_ascii_lowercase).collect();
        format!(
            "{}c-{}",
            self.cores,
            if cpu.is_empty() { "unknown".to_owned() } else { cpu.join("-") }
        )
    }
}

impl fmt::Display for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, cpu, memory_mib, kernel, load_before } = self;
        write!(
            f,
            "{cores} cores, {cpu}, {memory_mib} MiB of memory, Linux {kernel}; load average before the run {load_before:.2}"
        )
    }
}

/// Waits until the machine is nearly idle, at most `limit`: a cell measured beside a compiler would
/// measure the compiler.
pub(crate) async fn calm(limit: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        let before = procfs::machine_cpu_time();
        tokio::time::sleep(CALM_LOOK).await;
        let busy = procfs::machine_cpu_time().saturating_sub(before);
        if busy.as_secs_f64() < CALM_CORES * CALM_LOOK.as_secs_f64() {
            return;
        }
    }
}

pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace().next().and_then(|field| field.parse().ok()).unwrap_or(0.0)
}

fn field(text: &str, name: &str) -> String {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map_or_else(String::new, |(_, value)| value.trim().to_owned())
}
