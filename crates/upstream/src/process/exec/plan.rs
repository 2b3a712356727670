//! The plan that the daemon sends the helper, and the helper's answer when it fails.

use std::io;

use serde::{Deserialize, Serialize};

/// How a server's program is to be started. The environment is not in it: the helper has it already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::process) struct Plan {
    /// The program, followed by the arguments.
    pub(in crate::process) command: Vec<String>,
    pub(in crate::process) cwd: Option<String>,
    pub(in crate::process) files: Files,
    pub(in crate::process) rlimits: Rlimits,
    pub(in crate::process) user: Option<String>,
    pub(in crate::process) group: Option<String>,
    /// Variables that the configuration gives the server: a change of user leaves these alone.
    pub(in crate::process) own_variables: Vec<String>,
    /// Whether the daemon gave up transparent huge pages, which the server may have.
    pub(in crate::process) huge_pages: bool,
}

/// Limits of the process itself, where no control group keeps them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::process) struct Rlimits {
    /// Memory that the process has for itself and may write to, which is little more than what it uses. Address
    /// space would be simpler, and many runtimes reserve much more of that than they ever use.
    pub(in crate::process) data_bytes: Option<u64>,
    /// Processes and threads of its user.
    pub(in crate::process) processes: Option<u64>,
}

/// The limit on open files; none is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::process) struct Files {
    pub(in crate::process) soft: Option<u64>,
    pub(in crate::process) hard: Option<u64>,
    /// Whether the user is configured for this server, and not only inherited from the daemon.
    pub(in crate::process) configured: bool,
}

/// Why the helper could not become the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::process) enum Failure {
    NotFound {
        program: String,
    },
    NotExecutable {
        path: String,
    },
    NoInterpreter {
        path: String,
    },
    /// The file begins with neither a known format nor `#!`.
    NotAProgram {
        path: String,
        /// Why, as far as its first bytes tell.
        fault: Option<String>,
        remedy: Option<String>,
    },
    Cwd {
        cwd: String,
        cause: Cause,
    },
    Files {
        files: u64,
        cause: Cause,
    },
    UnknownUser {
        name: String,
    },
    UnknownGroup {
        name: String,
    },
    User {
        name: String,
        cause: Cause,
    },
    Start {
        path: String,
        cause: Cause,
    },
}

/// An [`io::Error`] on its way between two processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::process) struct Cause {
    errno: Option<i32>,
    text: String,
}

// === impl Plan ===

impl Plan {
    /// The program as it is written.
    pub(super) fn program(&self) -> String {
        self.command.first().cloned().unwrap_or_default()
    }
}

// === impl Cause ===

impl Cause {
    pub(super) fn of(error: &io::Error) -> Self {
        Self { errno: error.raw_os_error(), text: error.to_string() }
    }

    pub(in crate::process) fn into_error(self) -> io::Error {
        match self.errno {
            Some(errno) => io::Error::from_raw_os_error(errno),
            // Only an error that did not come from the kernel has no number: a zero byte in an
            // argument.
            None => io::Error::new(io::ErrorKind::InvalidInput, self.text),
        }
    }
}
