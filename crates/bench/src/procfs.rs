//! Reads facts about processes and the machine from the kernel.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// CPU time of a process and of everything it started that still lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CpuTime {
    pub(crate) own: Duration,
    pub(crate) children: Duration,
}

/// The fields of `/proc/PID/stat` that matter here.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    ticks: u64,
}

/// CPU time of `pid`; zero when it is gone.
pub(crate) fn cpu_time(pid: u32) -> CpuTime {
    let own = stat(pid).map_or(0, |stat| stat.ticks);
    let children = descendants(pid).into_iter().filter_map(stat).map(|stat| stat.ticks).sum();
    CpuTime { own: from_ticks(own), children: from_ticks(children) }
}

/// CPU time of everything that runs on the machine, all cores together, since it started.
pub(crate) fn machine_cpu_time() -> Duration {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    from_ticks(busy_ticks(&text))
}

/// All descendants of `pid`, without itself.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let all: Vec<(u32, u32)> =
        pids().into_iter().filter_map(|child| Some((child, stat(child)?.parent))).collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(
            all.iter().filter(|(_, its_parent)| *its_parent == parent).map(|(child, _)| *child),
        );
        next += 1;
    }
    found.remove(0);
    found
}

/// The living processes that run `program` with `words` among their arguments.
pub(crate) fn running(program: &Path, words: &[&str]) -> Vec<u32> {
    let fits = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let args: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        words.iter().all(|word| args.contains(&word.as_bytes()))
            && fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program)
            && stat(*pid).is_some()
    };
    pids().into_iter().filter(fits).collect()
}

/// Resident memory in KiB; none when the process is gone.
pub(crate) fn resident_kib(pid: u32) -> Option<u64> {
    // The roll-up is exact; the counters in `status` may lag by some pages a thread.
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .or_else(|_| fs::read_to_string(format!("/proc/{pid}/status")))
        .ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Rss:").or_else(|| line.strip_prefix("VmRSS:")))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in parentheses may hold anything, so fields count from the last parenthesis.
fn parse_stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    if *fields.first()? == "Z" {
        return None;
    }
    Some(Stat { parent: u32::try_from(number(1)?).ok()?, ticks: number(11)? + number(12)? })
}

/// All ticks except idle and waiting for disks. Guests are part of user time.
fn busy_ticks(text: &str) -> u64 {
    let numbers = text.lines().next().unwrap_or_default().split_ascii_whitespace().skip(1).take(8);
    numbers
        .enumerate()
        .filter(|(at, _)| !matches!(at, 3 | 4))
        .filter_map(|(_, field)| field.parse::<u64>().ok())
        .sum()
}

fn from_ticks(ticks: u64) -> Duration {
    Duration::from_nanos(ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_with_odd_names() {
        let line = "42 (a) b (c)) S 7 42 42 0 -1 4194560 100 0 0 0 30 12 0 0 20 0 1 0 100 0 0";
        assert_eq!(parse_stat(line), Some(Stat { parent: 7, ticks: 42 }));
        assert_eq!(parse_stat("42 (x) Z 7 42 42 0 -1 4194560 100 0 0 0 30 12 0 0"), None);
        assert_eq!(parse_stat("nonsense"), None);
    }

    #[test]
    fn busy_is_all_but_idle() {
        assert_eq!(busy_ticks("cpu  10 1 5 1000 50 2 3 4 9 9\ncpu0 1"), 25);
        assert_eq!(busy_ticks(""), 0);
    }

    #[test]
    fn this_process_is_there() {
        let pid = std::process::id();
        assert!(resident_kib(pid).is_some_and(|kib| kib > 100));
        assert!(machine_cpu_time() > Duration::ZERO);
        assert_eq!(resident_kib(u32::MAX), None);
    }
}
