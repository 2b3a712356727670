//! What became of each server's package, in words and in JSON.

use std::error::Error;
use std::time::Duration;

use mainstay_config::packages::Package;
use mainstay_model::Name;
use serde_json::{Value, json};

use crate::output::{Look, Output, format};
use crate::packages::record::Digests;

/// What became of one server's package.
pub(super) struct Outcome {
    pub(super) server: Name,
    pub(super) packages: Vec<Package>,
    pub(super) state: State,
    pub(super) took: Duration,
}

pub(super) enum State {
    Fetched(Vec<Digests>),
    /// It was there already, and is what the registry has.
    There(Vec<Digests>),
    /// It was there already; why the registry could not be asked.
    Uncompared(String),
    /// What is written, and what to write in its place.
    Unpinned(Vec<(String, String)>),
    /// Why there is nothing to be done.
    Skipped(String),
    Failed(String),
    /// Whoever asked does not want it any more.
    Interrupted,
}

// === impl Outcome ===

impl Outcome {
    /// Says it in a line, or a few.
    pub(super) fn tell(&self, out: &Output) {
        let names: Vec<_> = self.packages.iter().map(|package| package.written.as_str()).collect();
        let what = names.join(", ");
        let seconds = self.took.as_secs_f64();
        let text = match &self.state {
            State::Fetched(_) => {
                format!("{} {what} in {seconds:.1} s", out.paint(Look::Good, "fetched"))
            }
            State::There(_) => format!("{} {what}", out.paint(Look::Good, "there already:")),
            State::Uncompared(why) => format!(
                "{} {what}; the registry could not be asked whether it is still the same: {why}",
                out.paint(Look::Doubtful, "there already:")
            ),
            State::Unpinned(pins) => {
                let write =
                    pins.iter().map(|(now, pin)| format!("write {pin:?} in place of {now:?}"));
                let write = write.collect::<Vec<_>>().join(", ");
                format!(
                    "{}: {write}",
                    out.paint(Look::Doubtful, "not fetched, for it is not pinned")
                )
            }
            State::Skipped(why) => format!("not fetched: {why}"),
            State::Failed(why) => format!("{}: {why}", out.paint(Look::Bad, "failed")),
            State::Interrupted => out.paint(Look::Bad, "interrupted"),
        };
        out.line(format!("{}: {}", self.server, format::harmless(&text)));
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

/// Says everything to programs, and to people what is left to say.
pub(super) fn close(outcomes: &[Outcome], out: &Output) {
    if out.json {
        let servers: Vec<_> = outcomes.iter().map(Outcome::json).collect();
        return out.value(&json!({ "servers": servers }));
    }
    if outcomes.is_empty() {
        return out.line("no server is started by a package runner");
    }
    if outcomes.iter().any(|outcome| matches!(outcome.state, State::Fetched(_))) {
        out.next(&["restart the daemon: servers start from what was fetched"]);
    }
}

/// An error with everything that caused it.
pub(super) fn words(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let mut words: Vec<_> = causes.map(ToString::to_string).collect();
    words.dedup();
    words.join(": ")
}
