//! One attempt to tell somebody: a command that gets the notification in its environment and on standard input,
//! or a POST.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use mainstay_model::settings::{NotifySpec, NotifyTarget, ProcessSpec, RemoteSpec};
use mainstay_model::{Condition, InstanceId, Name, Redacted};
use mainstay_supervisor::notices::Telling;
use mainstay_upstream::process::{ProcessHost, RunningProcess, StopGraces};
use mainstay_upstream::remote::{Target, post_json};
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// The way to tell somebody.
pub(super) struct Channel {
    way: Way,
    timeout: Duration,
}

enum Way {
    Command {
        host: Arc<ProcessHost>,
        spec: Box<ProcessSpec>,
        /// What its output is kept under, beside that of servers.
        name: Name,
        runs: AtomicU64,
    },
    Webhook(Arc<Target>),
    /// The address can't be used, for this reason.
    Nowhere(String),
}

/// What is told, as JSON and as variables of the environment.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Notice {
    /// What the change is called.
    event: &'static str,
    /// The name of the server.
    name: String,
    /// The condition before.
    from: &'static str,
    /// The condition now.
    state: &'static str,
    reason: String,
    /// Changes since the last notification that are not told one by one.
    left_out: u64,
    /// When this was decided, as RFC 3339.
    at: String,
    /// All of it in a sentence. Many chats show this member of a webhook.
    text: String,
}

/// Longest reason, in bytes.
const REASON_BYTES_MAX: usize = 2048;
/// Numbers of the instances whose output is kept: far from those of servers.
const FIRST_INSTANCE: u64 = 1 << 40;
/// How a command that takes too long is ended.
const GRACES: StopGraces = StopGraces::new(Duration::ZERO, Duration::from_millis(500));

// === impl Notice ===

impl Notice {
    pub(super) fn new(telling: &Telling, at: SystemTime) -> Self {
        let reason = telling.reason.clone().unwrap_or_default().replace('\0', "");
        let reason = reason[..reason.floor_char_boundary(REASON_BYTES_MAX)].to_owned();
        let (event, state) = (telling.event.as_str(), telling.to.as_str());
        let at = Timestamp::try_from(at).unwrap_or_default();
        // "files is crash-loop", "the circuit breaker of files is open"
        let mut text = match telling.to {
            Condition::BreakerClosed => {
                format!("the circuit breaker of {} is closed", telling.server)
            }
            Condition::BreakerHalfOpen => {
                format!("the circuit breaker of {} is half-open", telling.server)
            }
            Condition::BreakerOpen => format!("the circuit breaker of {} is open", telling.server),
            _ => format!("{} is {state}", telling.server),
        };
        if !reason.is_empty() {
            text.push_str(&format!(": {reason}"));
        }
        if telling.left_out > 0 {
            text.push_str(&format!(" ({} changes before are left out)", telling.left_out));
        }
        Self {
            event,
            name: telling.server.to_string(),
            from: telling.from.as_str(),
            state,
            reason,
            left_out: telling.left_out,
            at: format!("{at:.3}"),
            text,
        }
    }

    fn variables(&self) -> [(&'static str, &str); 4] {
        [
            ("MAINSTAY_EVENT", self.event),
            ("MAINSTAY_NAME", &self.name),
            ("MAINSTAY_STATE", self.state),
            ("MAINSTAY_REASON", &self.reason),
        ]
    }

    fn json(&self) -> Vec<u8> {
        // Texts and numbers are always JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

// === impl Channel ===

impl Channel {
    pub(super) fn new(spec: &NotifySpec, host: Arc<ProcessHost>) -> Self {
        let number = spec.number;
        let way = match &spec.target {
            NotifyTarget::Command(spec) => Way::Command {
                host,
                spec: Box::new(spec.clone()),
                name: Name::of_notify(number),
                runs: AtomicU64::new(FIRST_INSTANCE),
            },
            NotifyTarget::Webhook(remote) => return Self::to_webhook(remote, spec.timeout),
        };
        Self { way, timeout: spec.timeout }
    }

    pub(super) fn to_webhook(remote: &RemoteSpec, timeout: Duration) -> Self {
        let way = match Target::new(remote) {
            Ok(target) => Way::Webhook(Arc::new(target)),
            Err(error) => Way::Nowhere(error.to_string()),
        };
        Self { way, timeout }
    }

    /// Makes one attempt. Dropping the future ends it: the command with all that it has started, or the
    /// connection.
    ///
    /// # Errors
    /// The reason, for the log.
    pub(super) async fn deliver(&self, notice: &Notice) -> Result<(), String> {
        match &self.way {
            Way::Nowhere(why) => Err(why.clone()),
            Way::Webhook(target) => {
                let posted = timeout(self.timeout, post_json(target, notice.json().into())).await;
                let late = |_| format!("no answer within {:?}", self.timeout);
                posted.map_err(late)?.map_err(|error| error.to_string())
            }
            Way::Command { host, spec, name, runs } => {
                let mut spec = spec.clone();
                let variables = notice
                    .variables()
                    .map(|(name, value)| (name.to_owned(), Redacted::new(value.to_owned())));
                spec.env.extend(variables);
                let id = InstanceId(runs.fetch_add(1, Ordering::Relaxed));
                let late = || format!("the command did not end within {:?}", self.timeout);
                let starting = timeout(self.timeout, host.spawn(&spec, name, id)).await;
                let started = starting.map_err(|_| late())?;
                let mut process = started.map_err(|error| error.to_string())?;
                let ended = timeout(self.timeout, run(&mut process, &notice.json())).await;
                let failure = ended.unwrap_or_else(|_| Some(late()));
                process.stop(GRACES).await;
                failure.map_or(Ok(()), Err)
            }
        }
    }
}

/// Waits for the end of a command. Returns why it failed, if it did.
async fn run(process: &mut RunningProcess, input: &[u8]) -> Option<String> {
    let (stdin, stdout) = (process.take_stdin(), process.take_stdout());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A command need not read it.
            let _ = stdin.write_all(input).await;
        }
    };
    let drain = async {
        if let Some(mut stdout) = stdout {
            // So that the command does not wait for somebody to read what it prints.
            let _ = tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await;
        }
    };
    let talk = async { tokio::join!(feed, drain) };
    let exit = tokio::select! {
        exit = process.wait() => exit,
        _ = talk => process.wait().await,
    };
    (!exit.is_success()).then(|| format!("the command {exit}"))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use mainstay_model::{ChangeKind, Condition, Name};
    use mainstay_supervisor::notices::Telling;
    use serde_json::{Value, json};

    use super::{Notice, REASON_BYTES_MAX};

    #[test]
    fn a_notice_says_what_happened_in_words_and_members() {
        let telling = Telling {
            rule: 0,
            server: Name::try_new("files").unwrap(),
            event: ChangeKind::CrashLoop,
            from: Condition::NotReady,
            to: Condition::CrashLoop,
            reason: Some("it exited\0 with code 3".to_owned()),
            left_out: 2,
        };
        let notice = Notice::new(&telling, SystemTime::UNIX_EPOCH);
        let read: Value = serde_json::from_slice(&notice.json()).unwrap();
        let expected = json!({
            "event": "crash-loop",
            "name": "files",
            "from": "not-ready",
            "state": "crash-loop",
            "reason": "it exited with code 3",
            "left_out": 2,
            "at": "1970-01-01T00:00:00.000Z",
            "text": "files is crash-loop: it exited with code 3 (2 changes before are left out)",
        });
        assert_eq!(read, expected);
        let variables = notice.variables().map(|(_, value)| value);
        assert_eq!(variables, ["crash-loop", "files", "crash-loop", "it exited with code 3"]);
        let long = Telling { reason: Some("ä".repeat(REASON_BYTES_MAX)), ..telling };
        assert_eq!(Notice::new(&long, SystemTime::UNIX_EPOCH).reason.len(), REASON_BYTES_MAX);
    }
}
