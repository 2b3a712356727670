//! Exit codes and failures of commands.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use mainstay_admin::ClientError;
use mainstay_admin::client::CallError;
use mainstay_config::Problems;
use serde_json::json;

use crate::output::format;

/// The exit codes. Scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    /// Wrong usage, or an invalid configuration.
    Usage = 2,
    NoDaemon = 3,
    /// The reader of standard output closed it before everything was written. The same code that shells use for a
    /// program that SIGPIPE ended.
    PipeClosed = 141,
}

/// Why a command failed: a message for its user.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    /// What the user can do about it.
    pub(crate) hints: Vec<String>,
    /// Further facts for programs.
    pub(crate) details: Option<serde_json::Value>,
}

// === impl Exit ===

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

// === impl Failure ===

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hints: Vec::new(), details: None }
    }

    /// A failure from an error and all its causes.
    pub(crate) fn of(exit: Exit, error: &(dyn Error + 'static)) -> Self {
        let causes = std::iter::successors(Some(error), |&error| error.source());
        Self::new(exit, causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(crate) fn details(mut self, details: serde_json::Value) -> Self {
        self.details = Some(details).filter(|details| !details.is_null());
        self
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::NoDaemon { .. } => {
                // "No daemon is running" says why the socket can't be opened.
                Self::new(Exit::NoDaemon, error.to_string())
                    .hint("start one with `mainstay up`, or try `mainstay demo`")
                    .hint("use --state DIR for a daemon with another state folder")
            }
            ClientError::NotAllowed { .. } => Self::of(Exit::NoDaemon, &error)
                .hint("run the command as the user the daemon runs as"),
            ClientError::Connect { .. } => Self::of(Exit::NoDaemon, &error),
            ClientError::Problem(problem) => {
                let failure = Self::new(Exit::Failed, problem.error.clone());
                problem.hint.iter().cloned().fold(failure, Self::hint)
            }
            ClientError::Http(_) => {
                Self::of(Exit::Failed, &error).hint("the daemon may be stopping; see its log")
            }
            _ => Self::of(Exit::Failed, &error),
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Client(error) => error.into(),
            CallError::Refused { code, message, data } => {
                let limit = data["limit"].as_str().map(|limit| format!("the limit is {limit}"));
                let hint = data["hint"].as_str().map(str::to_owned);
                let again = data["retry_after_ms"].as_u64().map(again);
                // Pages about troubles are sorted by this name.
                let message = match data["code"].as_str() {
                    Some(name) => format!("{message} ({name})"),
                    None => message,
                };
                let failure =
                    Self::new(Exit::Failed, message).details(json!({ "code": code, "data": data }));
                limit.into_iter().chain(hint).chain(again).fold(failure, Self::hint)
            }
            other => Self::of(Exit::Failed, &other),
        }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        let details = json!({ "problems": problems });
        let message = format!("the configuration is invalid\n{problems}");
        Self::new(Exit::Usage, message).details(details)
    }
}

impl From<&clap::Error> for Failure {
    fn from(error: &clap::Error) -> Self {
        let text = error.to_string();
        let mut parts = text.split("\n\n").map(str::trim);
        let message = parts.next().unwrap_or_default();
        let failure = Self::new(Exit::Usage, message.trim_start_matches("error: "));
        let lines = parts.flat_map(str::lines).map(|line| line.trim().trim_start_matches("tip: "));
        lines.filter(|line| !line.is_empty()).fold(failure, Self::hint)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::of(Exit::Failed, error.as_ref())
    }
}

/// When to try again, in seconds rounded up.
fn again(after_ms: u64) -> String {
    let after = Duration::from_secs(after_ms.div_ceil(1000));
    format!("try again in {}", format::duration(after))
}

#[cfg(test)]
mod tests {
    use std::io;

    use mainstay_admin::ClientError;
    use mainstay_admin::client::CallError;

    use super::{Exit, Failure};

    #[test]
    fn no_daemon_is_three_and_says_how_to_start_one() {
        let failure = Failure::from(CallError::Client(ClientError::NoDaemon {
            socket: "/state/control.sock".into(),
            source: io::ErrorKind::NotFound.into(),
        }));
        assert_eq!(failure.exit, Exit::NoDaemon);
        assert_eq!(failure.message(), "no daemon is running for /state");
        assert!(failure.hints[0].contains("mainstay up"), "{failure:?}");
    }

    #[test]
    fn a_refusal_keeps_its_code_and_its_hint() {
        let failure = Failure::from(CallError::Refused {
            code: 1004,
            message: "it is down".to_owned(),
            data: serde_json::json!({
                "code": "SERVER_UNAVAILABLE", "hint": "see status", "retry_after_ms": 1200,
            }),
        });
        let hints = vec!["see status".to_owned(), "try again in 2 s".to_owned()];
        assert_eq!(failure.message(), "it is down (SERVER_UNAVAILABLE)");
        assert_eq!((failure.exit, failure.hints), (Exit::Failed, hints));
        assert_eq!(failure.details.unwrap()["data"]["code"], "SERVER_UNAVAILABLE");
    }
}
