//! Watches a ready run for a server that hangs. `supervisor::hang` decides.

use std::sync::Arc;
use std::time::Instant;

use mainstay_protocol::Era;
use mainstay_protocol::list::ListKind;
use mainstay_supervisor::hang::{Evidence, Habit, HangDecision, HangPolicy, HangWatch};
use mainstay_upstream::facts::{Facts, ListFailure};
use mainstay_upstream::host::Boxed;
use mainstay_upstream::{Link, handshake};
use tokio::time::sleep_until;

use super::Run;
use crate::instance::ReadyRun;

impl Run {
    /// Watches until the server hangs, and returns what was seen. Closes the link when the server turns out to
    /// be gone; the run ends by that.
    pub(super) async fn watch_for_hang(&self, link: &Arc<Link>, run: &ReadyRun) -> String {
        let mut watch = self.hang_watch(link, run);
        let mut asking: Option<Boxed<'_, Result<(), String>>> = None;
        loop {
            tokio::select! {
                biased;
                answer = answered(&mut asking) => {
                    asking = None;
                    match answer {
                        Ok(()) => {
                            watch.note_answer(Instant::now(), link.signs());
                            self.keep_habit(link, &watch);
                            continue;
                        }
                        Err(reason) => link.close(&reason),
                    }
                }
                () = link.call_overdue() => {}
                () = sleep_until(watch.next_look().into()) => {}
            }
            match watch.look(Instant::now(), link.signs()) {
                HangDecision::Wait => {}
                HangDecision::Ask(question) => {
                    let link = link.clone();
                    asking =
                        Some(Box::pin(
                            async move { handshake::sign_of_life(&link, question).await },
                        ));
                }
                HangDecision::Hung(evidence) => return in_words(evidence, link),
            }
        }
    }

    fn hang_watch(&self, link: &Link, run: &ReadyRun) -> HangWatch {
        // Instances of one daemon do not ask at the same moment.
        let seed = self.pool.seed.wrapping_add(self.instance.id.0);
        let policy = match self.pool.host.abilities().has_pid {
            true => HangPolicy::process(seed),
            false => HangPolicy::remote(seed),
        };
        let ping = match link.era() {
            // The handshake asks the same.
            Era::Modern => Habit::Answers,
            Era::Legacy => *self.pool.pings.lock(),
        };
        let tools = habit_of_lists(&run.facts.load());
        HangWatch::new(policy, ping, tools, Instant::now(), link.signs())
    }

    /// Keeps what was learned for the next run.
    fn keep_habit(&self, link: &Link, watch: &HangWatch) {
        if link.era() == Era::Legacy {
            *self.pool.pings.lock() = watch.ping_habit();
        }
    }
}

/// Whether the server answered `tools/list` in the handshake.
fn habit_of_lists(facts: &Facts) -> Habit {
    let Some(list) = facts.lists.get(ListKind::Tools) else { return Habit::Unknown };
    match list.gaps.failed {
        None | Some(ListFailure::Refused { .. } | ListFailure::NoList { .. }) => Habit::Answers,
        Some(ListFailure::Lost { .. } | ListFailure::Silent { .. } | ListFailure::Slow { .. }) => {
            Habit::Unknown
        }
    }
}

/// The answer to the open question. Stays pending without one.
async fn answered(asking: &mut Option<Boxed<'_, Result<(), String>>>) -> Result<(), String> {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

/// What was seen, as a sentence about the server.
fn in_words(evidence: Evidence, link: &Link) -> String {
    let Evidence { silent_for, question, misses, answer_within, is_overdue, is_input_stuck } =
        evidence;
    let method = handshake::method_of(question, link.era());
    let silent = silent_for.as_secs();
    let mut words = format!(
        "it hangs: nothing came from it for {silent} s, and {misses} times no answer to {method} within {} s",
        answer_within.as_secs()
    );
    if is_overdue {
        words.push_str("; calls got no answer by their deadlines");
    }
    if is_input_stuck {
        words.push_str("; it does not read its input");
    }
    words
}
