//! Waits until all servers and services are ready, and shows what is still in the way.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use mainstay_admin::api::events::EventRecord;
use mainstay_admin::api::status::DaemonStatus;
use mainstay_admin::client::EventsAsked;
use mainstay_admin::{Client, ClientError};
use mainstay_model::Need;
use mainstay_model::status::InstanceState;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::commands::trouble::Part;
use crate::exit::{Exit, Failure};
use crate::output::{Output, Waiting, format};

/// How often the daemon is asked when it tells of nothing. Not every change of a state is an event.
const ASK: Duration = Duration::from_millis(500);
/// How often it is asked whether what was restarted is ready.
const SETTLE: Duration = Duration::from_millis(100);
/// The wait before the stream of events is opened again.
const AGAIN: Duration = Duration::from_secs(1);
/// Most names in the line about progress.
const SHOWN_MAX: usize = 3;

/// How far the start of everything has come.
#[derive(Debug, Default)]
pub(super) struct Readiness<'a> {
    pub(super) ready: usize,
    pub(super) all: usize,
    /// What is not ready.
    pub(super) in_the_way: Vec<Part<'a>>,
    /// What was stopped by hand, or is held for that. Nobody waits for it.
    pub(super) by_hand: Vec<Part<'a>>,
}

/// Waits until everything is ready, for `most` at most.
///
/// # Errors
/// When the time is up, with what is not ready and why; at once where nothing of it is tried again in time;
/// when the daemon ends.
pub(super) async fn wait(client: &Client, most: Duration, out: &Output) -> Result<(), Failure> {
    let changed = Notify::new();
    let waiting = out.waiting("waiting until everything is ready");
    let looking = look(client, most, &changed, &waiting, out);
    waiting
        .during(async {
            tokio::select! {
                waited = looking => waited,
                never = follow(client, &changed) => match never {},
            }
        })
        .await
}

/// Waits until these servers and services are ready, or none of those that are not is tried again in time, for
/// `most` at most. Returns whether all of them are ready.
pub(in crate::commands) async fn settle(
    client: &Client,
    names: &[String],
    most: Duration,
) -> Result<bool, ClientError> {
    let begun = Instant::now();
    loop {
        let status = client.status().await?;
        let mut progress = Readiness::of(&status);
        progress.in_the_way.retain(|part| names.iter().any(|name| name == part.name));
        let left = most.saturating_sub(begun.elapsed());
        if progress.in_the_way.is_empty() || left.is_zero() || progress.is_hopeless(left) {
            return Ok(progress.in_the_way.is_empty());
        }
        sleep(SETTLE.min(left)).await;
    }
}

async fn look(
    client: &Client,
    most: Duration,
    changed: &Notify,
    waiting: &Waiting,
    out: &Output,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut asks = interval(ASK);
    asks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = String::new();
    loop {
        let status = client.status().await.map_err(ended)?;
        let progress = Readiness::of(&status);
        if progress.in_the_way.is_empty() {
            progress.say_done(out);
            return Ok(());
        }
        let left = most.saturating_sub(begun.elapsed());
        if left.is_zero() || progress.is_hopeless(left) {
            return Err(progress.failure(begun.elapsed(), !left.is_zero()));
        }
        let line = progress.line();
        if line != said && !out.json && !waiting.is_on() {
            out.remark(&line);
        }
        waiting.say(&line);
        said = line;
        tokio::select! {
            _ = asks.tick() => {}
            () = changed.notified() => {}
            () = sleep(left) => {}
        }
    }
}

/// Tells of each event. A stream that can't be opened costs no more than the wait for the next question.
async fn follow(client: &Client, changed: &Notify) -> std::convert::Infallible {
    let newest = EventsAsked { limit: Some(1), ..EventsAsked::default() };
    loop {
        let mut tell = |_: EventRecord| {
            changed.notify_one();
            true
        };
        let _ = client.follow_events(&newest, &mut tell).await;
        sleep(AGAIN).await;
    }
}

/// The daemon has ended meanwhile, or hangs.
fn ended(error: ClientError) -> Failure {
    let is_gone = matches!(error, ClientError::NoDaemon { .. } | ClientError::Http(_));
    if is_gone {
        return Failure::new(Exit::Failed, "the daemon has ended before everything was ready")
            .hint("its log says why: daemon.log in the state folder");
    }
    error.into()
}

// === impl Readiness ===

impl<'a> Readiness<'a> {
    pub(super) fn of(status: &'a DaemonStatus) -> Self {
        let mut progress = Self::default();
        for part in Part::all(status) {
            let is_held = part.state == InstanceState::Held.into();
            if part.stopped_by_hand || is_held {
                progress.by_hand.push(part);
                continue;
            }
            progress.all += 1;
            if part.state.serves() {
                progress.ready += 1;
            } else {
                progress.in_the_way.push(part);
            }
        }
        progress
    }

    /// `3 of 11 are ready; not yet: db (starting), search (waiting for service:db)`.
    pub(super) fn line(&self) -> String {
        let names: Vec<_> = self.in_the_way.iter().take(SHOWN_MAX).map(Part::brief).collect();
        let rest = match self.in_the_way.len().saturating_sub(SHOWN_MAX) {
            0 => String::new(),
            rest => format!(" and {rest} more"),
        };
        let (ready, all) = (self.ready, self.all);
        format!("{ready} of {all} are ready; not yet: {}{rest}", names.join(", "))
    }

    /// Whether nothing of what is in the way is tried again in this time.
    pub(super) fn is_hopeless(&self, left: Duration) -> bool {
        let given_up = |part: &Part<'_>| {
            let states = [InstanceState::Failed, InstanceState::CrashLooping];
            let is_given_up = states.iter().any(|state| part.state == (*state).into());
            let is_tried = part.retry_in_ms.is_some_and(|ms| Duration::from_millis(ms) <= left);
            is_given_up && !is_tried
        };
        let is_lost = |need: &Need| {
            let mut parts = self.in_the_way.iter();
            parts.any(|it| it.name == need.name.as_str() && it.kind == need.kind && given_up(it))
        };
        let waits_in_vain =
            |part: &Part<'_>| part.waiting_for.iter().any(|it| is_lost(it.at_the_end().0));
        self.in_the_way.iter().all(|part| given_up(part) || waits_in_vain(part))
    }

    fn say_done(&self, out: &Output) {
        if out.json {
            return;
        }
        out.done(&self.done());
    }

    /// `the other 3 are ready; not waited for: db (stopped)`.
    pub(super) fn done(&self) -> String {
        let names: Vec<_> = self.by_hand.iter().map(Part::brief).collect();
        let names = names.join(", ");
        match (self.all, &*names) {
            (0, "") => "there is nothing to wait for".to_owned(),
            (1, "") => "the only server or service is ready".to_owned(),
            (all, "") => format!("all {all} servers and services are ready"),
            (0, names) => format!("there is nothing to wait for: {names}"),
            (1, names) => format!("the other one is ready; not waited for: {names}"),
            (all, names) => format!("the other {all} are ready; not waited for: {names}"),
        }
    }

    fn failure(&self, took: Duration, is_early: bool) -> Failure {
        let now = Timestamp::now();
        let (missing, all) = (self.in_the_way.len(), self.all);
        let took = format::duration(took);
        let mut message = if is_early {
            format!("{missing} of {all} are not ready, and none of them is tried again in time:")
        } else {
            format!("{missing} of {all} are not ready after {took}:")
        };
        for part in &self.in_the_way {
            let state = || {
                let since = format::ago(part.since, now);
                format!("{}, {} for {since}", part.name, part.state.as_str())
            };
            let why = part.trouble(now).unwrap_or_else(state);
            message.push_str(&format!("\n  {why}"));
        }
        let names = self
            .in_the_way
            .iter()
            .map(|part| json!({ "name": part.name, "kind": part.kind, "state": part.state }));
        Failure::new(Exit::Failed, message)
            .hint(
                "the daemon goes on running, and goes on trying: `mainstay status` shows how it is",
            )
            .hint("`mainstay up --wait 10m` waits longer; `mainstay stop` stops the daemon")
            .details(json!({ "not_ready": names.collect::<Vec<_>>() }))
    }
}
