//! Reports the outcome of a fetch for each server, as text and as JSON.

use std::error::Error;
use std::time::Duration;

use mainstay_config::packages::Package;
use mainstay_model::Name;
use serde_json::{Value, json};

use crate::output::{Look, Output, format};
use crate::packages::record::Digests;

/// The outcome for one server.
pub(super) struct Outcome {
    pub(super) server: Name,
    pub(super) packages: Vec<Package>,
    pub(super) state: State,
    pub(super) took: Duration,
}

pub(super) enum State {
    Fetched(Vec<Digests>),
    /// Installed before, with the registry's digests.
    There(Vec<Digests>),
    /// Installed before. The registry could not be asked, for this reason.
    Uncompared(String),
    /// Not pinned: each package as written, and what to write instead.
    Unpinned(Vec<(String, String)>),
    /// Nothing to fetch, for this reason.
    Skipped(String),
    Failed(String),
    /// The fetch was interrupted by a signal.
    Interrupted,
}

// === impl Outcome ===

impl Outcome {
    /// Prints the outcome in one or a few lines.
    pub(super) fn tell(&self, out: &Output) {
        let names: Vec<_> = self.packages.iter().map(|package| package.written.as_str()).collect();
        let what = format::harmless(&names.join(", "));
        let seconds = self.took.as_secs_f64();
        let text = match &self.state {
            State::Fetched(_) => {
                format!("{} {what} in {seconds:.1} s", out.paint(Look::Good, "fetched"))
            }
            State::There(_) => format!("{} {what}", out.paint(Look::Good, "already installed:")),
            State::Uncompared(why) => format!(
                "{} {what}; the registry can't be asked for its digests: {}",
                out.paint(Look::Doubtful, "already installed:"),
                format::harmless(why)
            ),
            State::Unpinned(pins) => {
                let write =
                    pins.iter().map(|(now, pin)| format!("write {pin:?} in place of {now:?}"));
                let write = write.collect::<Vec<_>>().join(", ");
                format!(
                    "{}: {write}",
                    out.paint(Look::Doubtful, "not fetched, because the version is not pinned")
                )
            }
            State::Skipped(why) => format!("not fetched: {}", format::harmless(why)),
            State::Failed(why) => {
                format!("{}: {}", out.paint(Look::Bad, "failed"), format::harmless(why))
            }
            State::Interrupted => out.paint(Look::Bad, "interrupted"),
        };
        out.line(format!("{}: {text}", self.server));
    }

    fn json(&self) -> Value {
        let mut value = json!({
            "server": self.server,
            "state": self.state.word(),
            "took_ms": self.took.as_millis() as u64,
        });
        match &self.state {
            State::Fetched(digests) | State::There(digests) => value["packages"] = json!(digests),
            State::Unpinned(pins) => {
                let pins = pins.iter().map(|(now, pin)| json!({ "written": now, "pinned": pin }));
                value["write"] = pins.collect();
            }
            State::Uncompared(why) | State::Skipped(why) | State::Failed(why) => {
                value["reason"] = json!(why);
            }
            State::Interrupted => {}
        }
        value
    }
}

// === impl State ===

impl State {
    fn word(&self) -> &'static str {
        match self {
            Self::Fetched(_) => "fetched",
            Self::There(_) => "there",
            Self::Uncompared(_) => "uncompared",
            Self::Unpinned(_) => "unpinned",
            Self::Skipped(_) => "skipped",
            Self::Failed(_) => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Prints all outcomes for programs, or the summary for people.
pub(super) fn close(outcomes: &[Outcome], out: &Output) {
    if out.json {
        let servers: Vec<_> = outcomes.iter().map(Outcome::json).collect();
        return out.value(&json!({ "servers": servers }));
    }
    if outcomes.is_empty() {
        return out.line("no package runner starts any of the servers");
    }
    if outcomes.iter().any(|outcome| matches!(outcome.state, State::Fetched(_))) {
        out.next(&[
            "mainstay reload: a running daemon then starts servers from the installed packages",
        ]);
    }
}

/// The text of an error with all its causes.
pub(super) fn words(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let mut words: Vec<_> = causes.map(ToString::to_string).collect();
    words.dedup();
    words.join(": ")
}
