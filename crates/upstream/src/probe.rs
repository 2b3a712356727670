//! Checks whether a server, a service or an external is fit. `supervisor::probe` decides when, and what the
//! results lead to.
//!
//! Each check has a deadline, and dropping it ends whatever it has started. No connection stays open between
//! checks: a new one also shows that the target still accepts connections, there is nothing that could go stale, and
//! a check every few seconds does not need the time that is saved. What can't be ended (the lookup of a name, a
//! process that the kernel holds) is there once for each target, however long it hangs: the next check waits
//! for it instead of starting another.

mod address;
mod command;
mod http;
mod late;
mod link;
mod lookup;
mod postgres;
mod redis;
mod tcp;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use mainstay_model::settings::{ProbeCheck, ProbeSpec};
use mainstay_model::{InstanceId, Name};
use mainstay_supervisor::probe::{Failure, Outcome};
use mainstay_telemetry::{ServerOutput, Sighting};

use self::address::Address;
use self::command::CommandProbe;
use self::http::HttpProbe;
use self::late::Late;
use self::link::ToolProbe;
use self::postgres::PostgresProbe;
use self::redis::RedisProbe;
use crate::link::Link;
use crate::process::ProcessHost;
use crate::secrets::Secrets;

/// Checks one target, one check at a time.
#[derive(Debug)]
pub struct Prober {
    kind: Kind,
    secrets: Secrets,
    timeout: Duration,
}

/// The run that a check is about, as far as its kind needs one. Externals have none.
#[derive(Debug, Clone, Default)]
pub struct ProbedRun {
    /// The link to the server, for `ping` and `tool`.
    pub link: Option<Arc<Link>>,
    /// What [`Prober::watch_output`] returned before the run was started, for `log`.
    pub output: Option<Sighting>,
}

#[derive(Debug)]
enum Kind {
    Ping,
    Tool(ToolProbe),
    Log(String),
    Http(Box<HttpProbe>),
    Tcp(Address),
    Command(Box<CommandProbe>),
    Redis(Box<RedisProbe>),
    Postgres(Box<PostgresProbe>),
    /// The settings can't be used. Says why.
    Unusable(String),
}

/// Longest reason. What targets say is cut before; this bounds the rest.
const REASON_CHARS_MAX: usize = 600;

// === impl Prober ===

impl Prober {
    /// The prober of the target `owner`. Opens nothing. Settings that can't be used are found by each check.
    pub fn new(spec: &ProbeSpec, owner: &Name, processes: &Arc<ProcessHost>) -> Self {
        let kind = match &spec.check {
            ProbeCheck::Command(process) => {
                Ok(Kind::Command(Box::new(CommandProbe::new(process, owner, processes))))
            }
            check => Kind::without_process(check),
        };
        Self::of_kind(spec, kind)
    }

    /// Requires a text in the standard output of a command, in its last 64 KiB. For other kinds nothing changes.
    #[must_use]
    pub fn expecting_output(mut self, text: &str) -> Self {
        if let Kind::Command(probe) = &mut self.kind {
            probe.set_output(text);
        }
        self
    }

    fn of_kind(spec: &ProbeSpec, kind: Result<Kind, String>) -> Self {
        let secrets = match &spec.check {
            ProbeCheck::Http(check) => Secrets::of_url(check.url.expose(), &check.written),
            ProbeCheck::Redis(url) => Secrets::of_login(url.expose()),
            ProbeCheck::Postgres(check) => Secrets::of_login(check.url.expose()),
            ProbeCheck::Command(process) => Secrets::of_process(process),
            ProbeCheck::Ping | ProbeCheck::Tool(_) | ProbeCheck::Tcp(_) | ProbeCheck::Log(_) => {
                Secrets::default()
            }
        };
        let kind = kind.unwrap_or_else(Kind::Unusable);
        Self { kind, secrets, timeout: spec.timeout }
    }

    /// Begins to look for the line of a `log` probe in the output of a run. Call it before the run is started,
    /// so that no line is missed, and keep the result with the run. `None` for other kinds.
    pub fn watch_output(
        &self,
        output: &ServerOutput,
        owner: &Name,
        instance: InstanceId,
    ) -> Option<Sighting> {
        match &self.kind {
            Kind::Log(text) => Some(output.look_for(owner, instance, text)),
            _ => None,
        }
    }

    /// Makes one check. Takes no longer than the time limit, a second for ending an earlier command aside. The caller
    /// makes no other check of the same target meanwhile. Dropping the future ends what it has started.
    pub async fn check(&self, run: &ProbedRun) -> Outcome {
        if let Kind::Command(probe) = &self.kind {
            probe.settle().await;
        }
        let late = Late::new(self.timeout);
        let checked = tokio::time::timeout(self.timeout, self.kind.check(run, &late)).await;
        let checked = checked.unwrap_or_else(|_| Err(late.into_outcome()));
        match checked {
            Ok(()) | Err(Outcome::Passed) => Outcome::Passed,
            Err(Outcome::Unfit(failure)) => Outcome::Unfit(self.shown(failure)),
            Err(Outcome::Silent(failure)) => Outcome::Silent(self.shown(failure)),
        }
    }

    /// The failure without secrets, and of bounded length.
    fn shown(&self, failure: Failure) -> Failure {
        let Failure { reason, brief } = failure;
        let reason = self.secrets.hide(&reason);
        let mut cut: String = reason.chars().take(REASON_CHARS_MAX).collect();
        if cut.len() < reason.len() {
            cut.push('…');
        }
        Failure { reason: cut, brief }
    }
}

// === impl Kind ===

impl Kind {
    /// The kind of a check that starts no process.
    ///
    /// # Errors
    /// Says why its settings can't be used.
    fn without_process(check: &ProbeCheck) -> Result<Self, String> {
        Ok(match check {
            ProbeCheck::Ping => Self::Ping,
            ProbeCheck::Tool(check) => Self::Tool(ToolProbe::new(check)),
            ProbeCheck::Log(text) => Self::Log(text.clone()),
            ProbeCheck::Http(check) => Self::Http(Box::new(HttpProbe::new(check)?)),
            ProbeCheck::Tcp(address) => Self::Tcp(
                Address::parse(address, None)
                    .ok_or_else(|| "its address is not HOST:PORT".to_owned())?,
            ),
            ProbeCheck::Redis(url) => Self::Redis(Box::new(RedisProbe::new(url.expose())?)),
            ProbeCheck::Postgres(check) => Self::Postgres(Box::new(PostgresProbe::new(check)?)),
            ProbeCheck::Command(_) => return Err("no process can be started".to_owned()),
        })
    }

    /// # Errors
    /// The outcome, if the check does not pass.
    async fn check(&self, run: &ProbedRun, late: &Late) -> Result<(), Outcome> {
        match self {
            Self::Ping => link::ping(run.link.as_ref(), late).await,
            Self::Tool(probe) => probe.check(run.link.as_ref(), late).await,
            Self::Log(text) => seen(text, run.output.as_ref(), late).await,
            Self::Http(probe) => probe.check(late).await,
            Self::Tcp(address) => tcp::check(address, late).await,
            Self::Command(probe) => probe.check(late).await,
            Self::Redis(probe) => probe.check(late).await,
            Self::Postgres(probe) => probe.check(late).await,
            Self::Unusable(why) => {
                Err(Outcome::unfit(format!("it can't be used: {why}"), "its probe can't be used"))
            }
        }
    }
}

/// Waits for the line of a `log` probe, so that it is noticed at once.
async fn seen(text: &str, output: Option<&Sighting>, late: &Late) -> Result<(), Outcome> {
    let missing = || {
        let reason = format!("no line of its output contains {text:?} so far");
        Outcome::unfit(reason, "the line that it is to write has not come yet")
    };
    late.means(missing());
    match output {
        Some(sighting) => {
            sighting.seen().await;
            Ok(())
        }
        None => Err(missing()),
    }
}
