//! Whether the daemon runs in a terminal, and whether that was closed.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;
use tokio::time::sleep;

/// The terminal that controls this process, whichever it is.
const TERMINAL: &str = "/dev/tty";

/// How often, and how many times, the daemon looks after a HUP whether its terminal is gone. The kernel sends
/// another HUP when that takes longer.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: u32 = 25;

/// The bit of HUP, signal 1, in the masks of `/proc/self/status`.
const HUP: u64 = 1;

/// What the daemon knew of its terminal when it started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    /// It ran in the foreground of a terminal, and whoever started it did not have it ignore HUP, as
    /// `nohup` does.
    ends_with_it: bool,
}

impl Terminal {
    /// Must be called before a handler for HUP is installed.
    pub(super) fn of_this_process() -> Self {
        let in_foreground = open().is_some_and(|tty| tcgetpgrp(tty).ok() == Some(getpgrp()));
        Self { ends_with_it: in_foreground && !is_hup_ignored() }
    }

    /// Whether a HUP means that the terminal closes. From then on the process has none. A shell that ends
    /// passes the HUP on just before, so this waits a moment for the end of the terminal.
    pub(super) async fn closes(self) -> bool {
        if !self.ends_with_it {
            return false;
        }
        for _ in 0..LOOKS {
            if open().is_none() {
                return true;
            }
            sleep(LOOK).await;
        }
        false
    }
}

fn open() -> Option<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(TERMINAL, flags, Mode::empty()).ok()
}

fn is_hup_ignored() -> bool {
    #[expect(clippy::disallowed_methods, reason = "procfs, once, before anything is served")]
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignores_hup(&status)
}

/// Reads the mask of ignored signals.
fn ignores_hup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|m| m & HUP != 0)
}

#[cfg(test)]
mod tests {
    use super::ignores_hup;

    #[test]
    fn the_mask_of_nohup_is_recognized() {
        let with = |mask| format!("SigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t0\n");
        for (mask, expected) in [
            ("0000000000000000", false),
            ("0000000000000001", true),
            ("0000000000001000", false),
            ("0000000000001003", true),
            ("", false),
        ] {
            assert_eq!(ignores_hup(&with(mask)), expected, "{mask}");
        }
    }
}
