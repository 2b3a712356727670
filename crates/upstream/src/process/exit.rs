//! How a process ended, in plain words.

use std::fmt;

/// How the main process of an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// The process exited with this code; 0 is success.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
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
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(signal) => match explain(*signal) {
                Some(words) => write!(f, "{words}"),
                None => write!(f, "ended by signal {signal}"),
            },
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
            (Exit::Stuck, "does not end, even after SIGKILL"),
        ] {
            assert_eq!(exit.to_string(), words);
        }
        assert!(Exit::Code(0).is_success() && !Exit::Code(1).is_success());
    }
}
