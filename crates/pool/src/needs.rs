//! What tools need: while one of these is down or its circuit breaker is open, calls to such tools are refused
//! before anything reaches their server, and the other tools go on.
//!
//! `mainstay-fleet` knows the nodes and keeps the [`NeedBoard`] up to date; here it is read.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use mainstay_model::refusal::{UnmetNeed, WorkingTools};
use mainstay_model::{Need, Refusal, RefusalCode};
use mainstay_protocol::list::ListKind;
use mainstay_supervisor::breaker::{BreakerFailure, Position, Verdict};
use mainstay_telemetry::events::rounded;

use crate::breaker::{AttemptEnd, Breaker, BreakerView, Ticket, date_of};
use crate::pool::Pool;

/// All nodes that tools may need, as they are now. All pools of a daemon share it.
#[derive(Debug, Default)]
pub struct NeedBoard(ArcSwap<HashMap<Need, Arc<NeedHandle>>>);

/// A node as those see it that need it.
#[derive(Debug)]
pub struct NeedHandle {
    id: Need,
    is_down: AtomicBool,
    /// `None` for a volume.
    breaker: Option<Arc<Breaker>>,
    teller: Box<dyn Trouble>,
}

/// Says what is wrong with a node. Asked only when a call is refused because of it, or the status is shown.
pub trait Trouble: Debug + Send + Sync {
    fn tell(&self) -> TroubleTold;
}

/// What is wrong with a node that is down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TroubleTold {
    /// Its state, such as `unhealthy`.
    pub state: &'static str,
    pub since: Instant,
    /// Continues a sentence with the node: `service:db, which waits for external:disk, which is unhealthy`. Without
    /// what only the operator may know.
    pub said: String,
    /// When it is tried again, as far as is known.
    pub retry_in: Option<Duration>,
}

/// How the needs of a call let it pass. Most calls have none.
#[derive(Debug, Default)]
pub struct NeedTickets(Vec<(Arc<NeedHandle>, Ticket)>);

/// A need of tools that is not met, and which tools are refused because of it.
#[derive(Debug, Clone)]
pub struct RefusedTools {
    pub need: UnmetNeed,
    /// The patterns of the rules that name the need.
    pub patterns: Vec<String>,
    /// The tools of the server that they match, as far as its list is known.
    pub tools: Vec<String>,
}

/// Names of tools in a refusal that work.
const NAMED_MAX: usize = 5;

// === impl NeedBoard ===

impl NeedBoard {
    /// Adds a node that is down, in place of one of the same name.
    pub fn put(&self, id: &Need, breaker: Option<Arc<Breaker>>, teller: Box<dyn Trouble>) {
        let is_down = AtomicBool::new(true);
        let handle = Arc::new(NeedHandle { id: id.clone(), is_down, breaker, teller });
        self.0.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.insert(id.clone(), handle.clone());
            all
        });
    }

    /// Removes a node.
    pub fn remove(&self, id: &Need) {
        self.0.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.remove(id);
            all
        });
    }

    /// Notes whether a node is down.
    pub fn set_down(&self, id: &Need, is_down: bool) {
        if let Some(handle) = self.0.load().get(id) {
            handle.is_down.store(is_down, Ordering::Release);
        }
    }

    fn get(&self, id: &Need) -> Option<Arc<NeedHandle>> {
        self.0.load().get(id).cloned()
    }
}

// === impl NeedHandle ===

impl NeedHandle {
    fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Acquire)
    }

    /// Lets a call pass that needs the node, if it is not down and its breaker does not refuse it.
    fn admit(&self) -> Result<Option<Ticket>, UnmetNeed> {
        if self.is_down() {
            return Err(self.down());
        }
        match &self.breaker {
            Some(breaker) => breaker.admit().map(Some).map_err(|view| refused_by(&view)),
            None => Ok(None),
        }
    }

    /// What is wrong with the node, if calls are refused because of it. Takes no trial.
    fn trouble(&self) -> Option<UnmetNeed> {
        if self.is_down() {
            return Some(self.down());
        }
        let breaker = self.breaker.as_ref().filter(|breaker| !breaker.is_closed())?;
        let view = breaker.view();
        // A half-open breaker refuses only while its trial is under way.
        (view.position == Position::Open || view.is_trying).then(|| refused_by(&view))
    }

    fn down(&self) -> UnmetNeed {
        let TroubleTold { state, since, said, retry_in } = self.teller.tell();
        UnmetNeed {
            need: self.id.clone(),
            state: state.to_owned(),
            since: date_of(since),
            reason: said,
            retry_after_ms: retry_in.map(millis),
        }
    }
}

fn refused_by(view: &BreakerView) -> UnmetNeed {
    let (failures, error) = (view.failures_in_a_row, view.brief_error());
    let (state, next) = match (view.position, view.next_trial_in) {
        (Position::Open, Some(left)) => {
            ("breaker-open", format!("the next trial is in {}", rounded(left)))
        }
        _ => ("breaker-half-open", "a trial call is under way".to_owned()),
    };
    let word = if state == "breaker-open" { "open" } else { "half-open" };
    let times = if failures == 1 {
        "a failure".to_owned()
    } else {
        format!("{failures} failures in a row")
    };
    UnmetNeed {
        need: view.id.clone(),
        state: state.to_owned(),
        since: view.since_date(),
        reason: format!(
            "{}, whose circuit breaker is {word} after {times}: {error}; {next}",
            view.id
        ),
        retry_after_ms: Some(millis(view.retry_in())),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

// === impl NeedTickets ===

impl NeedTickets {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the call is the trial of a breaker.
    pub(crate) fn has_trial(&self) -> bool {
        self.0.iter().any(|(_, ticket)| ticket.is_trial())
    }

    /// Tells the breakers of all needs how the call ended.
    #[cold]
    pub(crate) fn report(self, pool: &Pool, end: AttemptEnd<'_>) {
        let verdict = match end.verdict() {
            Verdict::Failure(BreakerFailure { kind, reason }) => {
                let reason = format!("a call of {} that needs it failed: {reason}", pool.name);
                Verdict::Failure(BreakerFailure { kind, reason })
            }
            verdict => verdict,
        };
        for (handle, ticket) in self.0 {
            let Some(breaker) = &handle.breaker else { continue };
            match &verdict {
                Verdict::Success => breaker.succeeded(ticket),
                verdict => breaker.report(ticket, verdict),
            }
        }
    }
}

// === impl Pool ===

impl Pool {
    /// Checks what a tool needs beside its server. Of a need whose breaker is half-open, one call is the trial.
    ///
    /// # Errors
    /// A refusal that says what is down, since when, and which tools of the server work.
    pub fn admit_needs(&self, tool: &str, needs: &[Need]) -> Result<NeedTickets, Refusal> {
        let mut tickets = Vec::with_capacity(needs.len());
        let mut unmet = Vec::new();
        for need in needs {
            // The configuration has been checked, so a need that is not there is being replaced.
            let Some(handle) = self.needs.get(need) else { continue };
            match handle.admit() {
                Ok(Some(ticket)) => tickets.push((handle, ticket)),
                Ok(None) => {}
                Err(why) => unmet.push(why),
            }
        }
        match unmet.is_empty() {
            true => Ok(NeedTickets(tickets)),
            // Trials that were taken are given back.
            false => Err(self.degraded(tool, unmet)),
        }
    }

    /// Checks the needs of a call again that has waited since it was admitted. Trials stay what they are.
    ///
    /// # Errors
    /// As [`admit_needs`](Self::admit_needs).
    pub fn admit_needs_again(
        &self,
        tool: &str,
        tickets: NeedTickets,
    ) -> Result<NeedTickets, Refusal> {
        let mut again = Vec::with_capacity(tickets.0.len());
        for (handle, ticket) in tickets.0 {
            let Some(breaker) = &handle.breaker else { continue };
            let admitted = match handle.is_down() {
                true => Err(handle.down()),
                false => breaker.admit_again(ticket).map_err(|view| refused_by(&view)),
            };
            match admitted {
                Ok(ticket) => again.push((handle, ticket)),
                Err(why) => return Err(self.degraded(tool, vec![why])),
            }
        }
        Ok(NeedTickets(again))
    }

    /// The needs of tools that are not met at the moment, and which tools are refused because of them.
    pub fn refused_tools(&self) -> Vec<RefusedTools> {
        let spec = self.spec();
        let mut found: Vec<RefusedTools> = Vec::new();
        for need in spec.tools.iter().flat_map(|rule| &rule.needs) {
            if found.iter().any(|known| known.need.need == *need) {
                continue;
            }
            let Some(unmet) = self.needs.get(need).and_then(|handle| handle.trouble()) else {
                continue;
            };
            let rules = spec.tools.iter().filter(|rule| rule.needs.contains(need));
            let patterns: Vec<_> = rules.map(|rule| &rule.pattern).collect();
            let is_refused = |name: &&str| patterns.iter().any(|pattern| pattern.matches(name));
            let tools = self.with_tools(|names| {
                names.iter().copied().filter(is_refused).map(str::to_owned).collect()
            });
            let patterns = patterns.iter().map(ToString::to_string).collect();
            found.push(RefusedTools { need: unmet, patterns, tools });
        }
        found
    }

    fn degraded(&self, tool: &str, unmet: Vec<UnmetNeed>) -> Refusal {
        let reasons: Vec<_> = unmet.iter().map(|need| need.reason.as_str()).collect();
        let works = self.working_tools();
        let server = &self.name;
        let say = format!(
            "{tool} of server {server} can't be used now: it needs {}",
            reasons.join(", and ")
        );
        let hint = match works.count {
            0 => format!("no tool of {server} works without it; other servers go on working"),
            1 => format!("{} of {server} works without it", works.names.join(", ")),
            count => {
                let more = count.saturating_sub(works.names.len());
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!(
                    "{count} tools of {server} work without it: {}{more}",
                    works.names.join(", ")
                )
            }
        };
        let retry = unmet.iter().filter_map(|need| need.retry_after_ms).max();
        let mut refusal = Refusal::new(RefusalCode::Degraded, say).server(server).hint(hint);
        refusal.data.since = unmet.iter().map(|need| need.since.clone()).min();
        refusal.data.retry_after_ms = retry;
        refusal.data.needs = unmet;
        refusal.data.works = Some(works);
        refusal
    }

    /// The tools of the server that need nothing that is down.
    fn working_tools(&self) -> WorkingTools {
        let spec = self.spec();
        let is_unmet = |need: &Need| self.needs.get(need).is_some_and(|it| it.trouble().is_some());
        let stopped: Vec<_> =
            spec.tools.iter().filter(|rule| rule.needs.iter().any(is_unmet)).collect();
        self.with_tools(|names| {
            let works = |name: &&&str| !stopped.iter().any(|rule| rule.pattern.matches(name));
            let names: Vec<_> = names.iter().filter(works).collect();
            WorkingTools {
                count: names.len(),
                names: names.into_iter().take(NAMED_MAX).map(|name| (*name).to_owned()).collect(),
            }
        })
    }

    /// Reads the names of the server's tools.
    fn with_tools<T>(&self, read: impl FnOnce(&[&str]) -> T) -> T {
        let facts = self.primary_facts();
        let tools = facts.as_ref().map_or(&[][..], |facts| facts.lists.of(ListKind::Tools));
        let names: Vec<&str> = tools.iter().map(|tool| &*tool.key).collect();
        read(&names)
    }
}
