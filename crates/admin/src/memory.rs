//! How much memory this process holds and how much it may hold, as the Linux kernel says.

#![expect(
    clippy::disallowed_methods,
    reason = "no disk is behind the files of /proc and of control groups"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::api::status::Memory;

/// A few small reads of `/proc` and `/sys`. Zero for what the system does not say.
pub fn now() -> Memory {
    read(Path::new("/"))
}

/// The resident memory of this process in bytes.
pub fn resident_bytes() -> u64 {
    resident(Path::new("/")).unwrap_or_default()
}

fn resident(root: &Path) -> Option<u64> {
    kibibytes(&root.join("proc/self/status"), "VmRSS:")
}

fn read(root: &Path) -> Memory {
    let resident = resident(root);
    let machine = kibibytes(&root.join("proc/meminfo"), "MemTotal:");
    let limit = match (cgroup_limit(root), machine) {
        // Version 1 writes a number near 2^63 where there is no limit.
        (Some(limit), Some(machine)) => Some(limit.min(machine)),
        (limit, machine) => limit.or(machine),
    };
    let resident_bytes = resident.unwrap_or_default();
    Memory {
        servers_bytes: 0,
        budgets: BTreeMap::new(),
        resident_bytes,
        usage_bytes: resident_bytes,
        limit_bytes: limit.unwrap_or_default(),
    }
}

/// The value of a line like `VmRSS:   1234 kB`, in bytes.
fn kibibytes(file: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(number * 1024)
}

/// The tightest limit on the way from the process's control group to the root.
fn cgroup_limit(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    text.lines().filter_map(|line| group_limit(root, line)).min()
}

/// Lines are `0::/path` for version 2 and `9:memory:/path` for version 1.
fn group_limit(root: &Path, line: &str) -> Option<u64> {
    let (_, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let (mount, file) = match controllers {
        "" => ("sys/fs/cgroup", "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => {
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return None,
    };
    let mount = root.join(mount);
    let mut group = PathBuf::from(path.trim_start_matches('/'));
    let mut limit = None;
    loop {
        let number = fs::read_to_string(mount.join(&group).join(file));
        // `max` is no number and no limit.
        if let Some(number) = number.ok().and_then(|text| text.trim().parse::<u64>().ok()) {
            limit = Some(limit.map_or(number, |limit: u64| limit.min(number)));
        }
        if !group.pop() {
            return limit;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{now, read};

    #[track_caller]
    fn check(files: &[(&str, &str)], resident: u64, limit: u64) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let memory = read(root.path());
        assert_eq!((memory.resident_bytes, memory.limit_bytes), (resident, limit));
    }

    const STATUS: (&str, &str) = ("proc/self/status", "Name:\tx\nVmRSS:\t    2 kB\nThreads:\t1\n");
    const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal:    8000 kB\nMemFree:  1 kB\n");

    #[test]
    fn the_tightest_limit_counts() {
        check(&[], 0, 0);
        check(&[STATUS, MACHINE], 2048, 8_192_000);
        check(
            &[
                STATUS,
                MACHINE,
                ("proc/self/cgroup", "0::/a/b\n"),
                ("sys/fs/cgroup/a/b/memory.max", "max\n"),
                ("sys/fs/cgroup/a/memory.max", "5000\n"),
            ],
            2048,
            5000,
        );
        // In a container the group's path is the root of what is mounted.
        check(
            &[MACHINE, ("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "7000\n")],
            0,
            7000,
        );
        check(
            &[
                MACHINE,
                ("proc/self/cgroup", "9:cpu:/x\n4:memory:/x\n0::/\n"),
                ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "6000\n"),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ],
            0,
            6000,
        );
        check(
            &[
                MACHINE,
                ("proc/self/cgroup", "4:memory:/\n"),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ],
            0,
            8_192_000,
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory() {
        let memory = now();
        assert!(memory.resident_bytes > 0);
        assert!(memory.limit_bytes >= memory.resident_bytes);
    }
}
