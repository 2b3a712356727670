//! Processes as `/proc` shows them: which exist, since when, and whose child each is.

#![expect(clippy::disallowed_methods, reason = "no disk is behind the files of /proc")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, io};

use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// Identifies a process by its id and start time, so that a reused id is not taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) pid: i32,
    /// Start time, in clock ticks since the machine booted.
    pub(super) start: u64,
}

/// The part of `/proc/PID/stat` that matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) identity: Identity,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// The process has ended and waits to be reaped by its parent.
    pub(super) is_zombie: bool,
    pub(super) state: char,
}

/// Every process there was within a few milliseconds.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    processes: BTreeMap<i32, Stat>,
}

/// The process id of this process.
pub(super) fn own_pid() -> i32 {
    getpid().as_raw_nonzero().get()
}

/// Identifies the boot of this machine and the process namespace. Process ids in records from
/// elsewhere mean nothing here.
pub(super) fn place() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", boot.trim(), namespace.display())
}

/// Whether the process was started with this variable set to such a value.
///
/// False where we may not look, and for one that wrote over its own environment.
pub(super) fn environ_has(pid: i32, name: &str, is_such: impl Fn(&[u8]) -> bool) -> bool {
    environ_value(pid, name, |value| is_such(value).then_some(())).is_some()
}

/// What `read` makes of a value with which this variable was set when the process was started. None as
/// [`environ_has`] is false.
pub(super) fn environ_value<T>(
    pid: i32,
    name: &str,
    read: impl Fn(&[u8]) -> Option<T>,
) -> Option<T> {
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    environ.split(|byte| *byte == 0).find_map(|entry| {
        let value = entry.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
        value.and_then(&read)
    })
}

/// Reads `/proc/PID/stat`. None when the process does not exist or may not be read.
///
/// # Errors
/// When the kernel would not say, most likely for want of file descriptors.
pub(super) fn stat(pid: i32) -> io::Result<Option<Stat>> {
    match fs::read(format!("/proc/{pid}/stat")) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if is_none_of_ours(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_none_of_ours(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// `PID (NAME) STATE PARENT GROUP … START …`; the name may hold anything, brackets too.
fn parse(text: &[u8]) -> Option<Stat> {
    let name_begins = text.iter().position(|byte| *byte == b'(')?;
    let name_ends = text.iter().rposition(|byte| *byte == b')')?;
    let pid = std::str::from_utf8(&text[..name_begins]).ok()?.trim().parse().ok()?;
    let rest = std::str::from_utf8(text.get(name_ends + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // proc(5) counts from 1 and includes number and name: field n is `fields[n - 3]`.
    Some(Stat {
        identity: Identity { pid, start: fields.get(19)?.parse().ok()? },
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        // A process whose first thread has ended shows as a zombie while others still run.
        is_zombie: match *fields.first()? {
            "Z" => fields.get(17)?.parse::<u32>().ok()? <= 1,
            state => state == "X",
        },
        state: fields.first()?.chars().next()?,
    })
}

// === impl Identity ===

impl Identity {
    /// The process that has this id now, if any.
    pub(super) fn of(pid: i32) -> io::Result<Option<Self>> {
        Ok(stat(pid)?.map(|stat| stat.identity))
    }

    /// Whether the process still exists, also as a zombie.
    pub(super) fn exists(self) -> bool {
        Self::of(self.pid).is_ok_and(|found| found == Some(self))
    }

    /// Sends a signal to this process, never to another that has its id since.
    pub(super) fn signal(self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        // The descriptor pins the process that has the number now, so the signal goes to the
        // process that is compared next. A failure means that it is gone already.
        if let Ok(pinned) = pidfd_open(pid, PidfdFlags::empty())
            && self.exists()
        {
            let _ = pidfd_send_signal(pinned, signal);
        }
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// Reads `/proc`; may block where the kernel does, so not on a thread of the runtime.
    ///
    /// # Errors
    /// When some process could not be read for another reason than having ended: an incomplete
    /// picture would show a tree as gone that is not.
    pub(super) fn take() -> io::Result<Self> {
        let mut processes = BTreeMap::new();
        for entry in fs::read_dir(Path::new("/proc"))? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            if let Some(stat) = stat(pid)? {
                processes.insert(pid, stat);
            }
        }
        Ok(Self { processes })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Stat> {
        self.processes.values()
    }

    pub(super) fn get(&self, pid: i32) -> Option<&Stat> {
        self.processes.get(&pid)
    }

    pub(super) fn contains(&self, identity: Identity) -> bool {
        self.get(identity.pid).is_some_and(|stat| stat.identity == identity)
    }

    /// Adds all descendants of the processes in `pids`.
    pub(super) fn add_descendants(&self, pids: &mut BTreeSet<i32>) {
        let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for stat in self.iter() {
            children.entry(stat.parent).or_default().push(stat.identity.pid);
        }
        let mut unvisited: Vec<i32> = pids.iter().copied().collect();
        while let Some(pid) = unvisited.pop() {
            for child in children.get(&pid).into_iter().flatten() {
                if pids.insert(*child) {
                    unvisited.push(*child);
                }
            }
        }
    }

    /// The living processes among `main`, its group, and their descendants.
    pub(super) fn tree_of(&self, main: i32) -> Vec<i32> {
        let group = self.iter().filter(|stat| stat.group == main).map(|stat| stat.identity.pid);
        let mut pids: BTreeSet<i32> = group.chain([main]).collect();
        self.add_descendants(&mut pids);
        let living = |pid: &i32| self.get(*pid).is_some_and(|stat| !stat.is_zombie);
        pids.into_iter().filter(living).collect()
    }

    /// `pid`, its parent, and so on up to the first process.
    pub(super) fn ancestry(&self, pid: i32) -> BTreeSet<i32> {
        let mut line = BTreeSet::new();
        let mut next = pid;
        while line.insert(next)
            && let Some(stat) = self.get(next)
        {
            next = stat.parent;
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::{Identity, Snapshot, Stat, environ_has, own_pid, parse, stat};

    #[test]
    fn a_name_with_brackets_and_spaces_is_no_obstacle() {
        let line = b"42 (a) S (b) Z 7 8 9 0 -1 4194304 1 0 0 0 1 2 3 4 20 0 1 0 100001 3133440 412";
        let expected = Stat {
            identity: Identity { pid: 42, start: 100_001 },
            parent: 7,
            group: 8,
            is_zombie: true,
            state: 'Z',
        };
        assert_eq!(parse(line), Some(expected));
        let threaded = b"42 (a) Z 7 8 9 0 -1 4194304 1 0 0 0 1 2 3 4 20 0 2 0 100001 3133440 412";
        assert_eq!(parse(threaded), Some(Stat { is_zombie: false, ..expected }));
        for broken in [&b""[..], b"42", b"42 (a", b"42 (a) S 1", b"x (a) S 1 2 3", b")("] {
            assert_eq!(parse(broken), None);
        }
    }

    #[test]
    fn we_find_ourselves() {
        let us = own_pid();
        let stat = stat(us).unwrap().expect("we exist");
        assert!(stat.identity.exists());
        assert!(!Identity { start: stat.identity.start + 1, ..stat.identity }.exists());

        let all = Snapshot::take().unwrap();
        assert_eq!(all.get(us).map(|stat| stat.identity), Some(stat.identity));
        assert!(all.ancestry(us).contains(&stat.parent));
        let mut family = [stat.parent].into();
        all.add_descendants(&mut family);
        assert!(family.contains(&us));
    }

    #[test]
    fn the_environment_is_matched_by_whole_names() {
        let (name, value) = std::env::vars().find(|(_, value)| value.len() > 1).expect("any");
        let is_value = |found: &[u8]| found == value.as_bytes();
        assert!(environ_has(own_pid(), &name, is_value));
        assert!(!environ_has(own_pid(), &name[1..], is_value));
        assert!(!environ_has(own_pid(), &name, |found| !is_value(found)));
    }
}
