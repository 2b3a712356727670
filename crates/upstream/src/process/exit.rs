//! How a process ended, in plain words.

use std::fmt;

use mainstay_model::resource::size_in_words;

/// How the main process of an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// The process exited with this code; 0 is success.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
    /// Killed by the kernel, because memory ran out. `limit_bytes`: the limit of the control group that was
    /// reached. None: the memory of the machine.
    OutOfMemory { limit_bytes: Option<u64> },
    /// Killed by the kernel, because it used more memory than its own limit.
    OverMemoryLimit { limit_bytes: u64 },
    /// Killed by signal 9, and not by the kernel for want of memory.
    KilledBySomebody,
    /// The process outlived KILL, because the kernel can't end it: it waits for a network mount
    /// that hangs, for example. Mainstay watches it until it is gone.
    Stuck,
    /// The exit was not observed, because the daemon is shutting down.
    Unknown,
}

impl Exit {
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(0) => write!(f, "exited by itself, without an error"),
            Self::Code(126) => write!(f, "exited with code 126 (a command can't be executed)"),
            Self::Code(127) => write!(f, "exited with code 127 (a command was not found)"),
            Self::Code(code @ 129..=159) => match name_of(code - 128) {
                Some(name) => write!(
                    f,
                    "exited with code {code} (128 + {}: a program that it started ended by signal {name})",
                    code - 128
                ),
                None => write!(f, "exited with code {code}"),
            },
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(signal) => match explain(*signal) {
                Some(words) => write!(f, "{words}"),
                None => write!(f, "ended by signal {signal}"),
            },
            Self::OutOfMemory { limit_bytes: Some(limit) } => write!(
                f,
                "was killed by the kernel because memory ran out (limit {} MiB of its control group)",
                limit >> 20
            ),
            Self::OutOfMemory { limit_bytes: None } => {
                write!(f, "was killed by the kernel because the machine's memory ran out")
            }
            Self::OverMemoryLimit { limit_bytes } => write!(
                f,
                "was killed by the kernel because it used more memory than its limit (`limits.memory` = {})",
                size_in_words(*limit_bytes)
            ),
            Self::KilledBySomebody => {
                write!(f, "was killed by signal 9 (KILL: by somebody; memory had not run out)")
            }
            Self::Stuck => write!(f, "does not end, even after SIGKILL"),
            Self::Unknown => write!(f, "ended with an unknown exit code"),
        }
    }
}

fn explain(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "ended by signal 1 (HUP: its terminal went away)",
        2 => "ended by signal 2 (INT: interrupted)",
        3 => "ended by signal 3 (QUIT)",
        4 => "crashed with signal 4 (ILL: an instruction this processor does not have)",
        6 => "crashed with signal 6 (ABRT: it aborted itself)",
        7 => "crashed with signal 7 (BUS: memory that is not there)",
        8 => "crashed with signal 8 (FPE: a division by zero)",
        9 => "was killed by signal 9 (KILL: by somebody, or because memory ran out)",
        11 => "crashed with signal 11 (SEGV: memory that is not its own)",
        13 => "ended by signal 13 (PIPE: nobody reads its output)",
        15 => "ended by signal 15 (TERM: asked to end)",
        24 => "was killed by signal 24 (XCPU: its limit of processor time)",
        25 => "was killed by signal 25 (XFSZ: its limit of file size)",
        31 => "was killed by signal 31 (SYS: a forbidden system call)",
        _ => return None,
    })
}

/// The name of a signal that ends programs.
fn name_of(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        6 => "ABRT",
        7 => "BUS",
        8 => "FPE",
        9 => "KILL",
        11 => "SEGV",
        13 => "PIPE",
        15 => "TERM",
        24 => "XCPU",
        25 => "XFSZ",
        31 => "SYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn in_plain_words() {
        for (exit, words) in [
            (Exit::Code(0), "exited by itself, without an error"),
            (Exit::Code(3), "exited with code 3"),
            (Exit::Code(127), "exited with code 127 (a command was not found)"),
            (Exit::Signal(11), "crashed with signal 11 (SEGV: memory that is not its own)"),
            (Exit::Signal(64), "ended by signal 64"),
            (
                Exit::Code(137),
                "exited with code 137 (128 + 9: a program that it started ended by signal KILL)",
            ),
            (
                Exit::Code(143),
                "exited with code 143 (128 + 15: a program that it started ended by signal TERM)",
            ),
            (Exit::Code(126), "exited with code 126 (a command can't be executed)"),
            (Exit::Code(200), "exited with code 200"),
            (
                Exit::OutOfMemory { limit_bytes: Some(300 << 20) },
                "was killed by the kernel because memory ran out (limit 300 MiB of its control group)",
            ),
            (
                Exit::OutOfMemory { limit_bytes: None },
                "was killed by the kernel because the machine's memory ran out",
            ),
            (
                Exit::OverMemoryLimit { limit_bytes: 4 << 30 },
                "was killed by the kernel because it used more memory than its limit (`limits.memory` = 4.0 GiB)",
            ),
            (Exit::Stuck, "does not end, even after SIGKILL"),
        ] {
            assert_eq!(exit.to_string(), words);
        }
        assert!(Exit::Code(0).is_success() && !Exit::Code(1).is_success());
    }
}
