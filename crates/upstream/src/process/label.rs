//! Labels of processes, which stay when a process empties its environment, leaves its group and loses its
//! parent.
//!
//! A label is the soft limit on file locks (`RLIMIT_LOCKS`). The kernel hands limits on to every child and
//! program, and has ignored this one since Linux 2.4. Any process can change its own limit, so a label is a
//! sign and no proof: a process without one is a stray.

#![expect(clippy::disallowed_methods, reason = "no disk is behind the files of /proc")]

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::records::Mark;

/// The label of one main process and its descendants: 42 bits of the daemon's mark and 20 bits of the
/// process's number among those that the daemon started, below a bit that no real limit has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Label(u64);

const SIGN: u64 = 1 << 62;
const LIFE_BITS: u32 = 20;

// === impl Label ===

impl Label {
    /// The label of the process with the number `life` of the daemon with this mark.
    pub(super) fn new(mark: &Mark, life: u64) -> Self {
        let lives = (1 << LIFE_BITS) - 1;
        Self(SIGN | (mark.bits() << LIFE_BITS & (SIGN - 1)) | (life & lives))
    }

    /// Reads the label of a process. `None` for a process that has none, or is gone.
    pub(super) fn of(pid: i32) -> Option<Self> {
        parse(&fs::read_to_string(format!("/proc/{pid}/limits")).ok()?)
    }

    /// Whether this is a label of the daemon with this mark.
    pub(super) fn is_of(self, mark: &Mark) -> bool {
        self.0 >> LIFE_BITS == Self::new(mark, 0).0 >> LIFE_BITS
    }

    /// Puts the label on a process, before it has children.
    ///
    /// # Errors
    /// When the kernel refuses, for example because the daemon itself runs under a lower limit.
    pub(super) fn put_on(self, pid: i32) -> std::io::Result<()> {
        let pid = Pid::from_raw(pid).ok_or(std::io::ErrorKind::InvalidInput)?;
        let limit = Rlimit { current: Some(self.0), ..getrlimit(Resource::Locks) };
        prlimit(Some(pid), Resource::Locks, limit)?;
        Ok(())
    }
}

/// Finds the label in the text of `/proc/PID/limits`.
fn parse(limits: &str) -> Option<Label> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max file locks"))?;
    let soft = line.split_ascii_whitespace().next()?.parse().ok()?;
    (SIGN..SIGN << 1).contains(&soft).then_some(Label(soft))
}

#[cfg(test)]
mod tests {
    use super::{Label, Mark, parse};

    #[test]
    fn a_label_tells_the_daemon_and_the_process() {
        let (mark, other) = (Mark::random().unwrap(), Mark::random().unwrap());
        let label = Label::new(&mark, 7);
        assert!(label.is_of(&mark) && !label.is_of(&other));
        assert_ne!(label, Label::new(&mark, 8));
        assert_ne!(label, Label::new(&other, 7));
        let text = |soft: &str| {
            format!(
                "Limit   Soft Limit  Hard Limit  Units\nMax file locks   {soft}  unlimited  locks\n"
            )
        };
        assert_eq!(parse(&text(&label.0.to_string())), Some(label));
        for none in ["unlimited", "0", "4096", "18446744073709551615"] {
            assert_eq!(parse(&text(none)), None, "{none}");
        }
        assert_eq!(parse(""), None);
    }

    #[test]
    fn a_label_stays_when_everything_else_is_emptied() {
        let label = Label::new(&Mark::random().unwrap(), 3);
        let mut child = std::process::Command::new("sh")
            .args(["-c", "read go; exec env -i setsid sleep 600"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert_eq!(Label::of(pid), None);
        label.put_on(pid).unwrap();
        drop(child.stdin.take());
        let is_sleeping = || {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|text| text.starts_with(b"sleep"))
        };
        for _ in 0..3_000 {
            if is_sleeping() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let (found, emptied) = (Label::of(pid), std::fs::read(format!("/proc/{pid}/environ")));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((found, emptied.unwrap()), (Some(label), Vec::new()));
    }
}
