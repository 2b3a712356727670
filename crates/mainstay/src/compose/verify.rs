//! Makes the checks of `mainstay verify`: those that are built in, and those that the configuration declares.
//!
//! Tool calls go through the command socket to `/mcp/NAME`, so they take the way of a client's calls. Addresses
//! and commands are checked as probes check them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use mainstay_admin::api::graph::Node;
use mainstay_admin::api::verify::{CheckOutcome, CheckResult, VerifyReport};
use mainstay_admin::{Client, NothingCalled, Source, Verification, Verifier, Verifying, View};
use mainstay_model::settings::{CallCheck, CheckKind, TargetCheck, ToolsCheck};
use mainstay_model::{Name, NodeKind};
use mainstay_upstream::Secrets;
use parking_lot::RwLock;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use self::asking::Asking;
pub(super) use self::declared::Declared;
use self::declared::DeclaredCheck;
use self::selection::{Selection, select};
use self::verdict::Verdict;
use crate::cli::shell::quoted;
use crate::output::format;

mod asking;
mod built_in;
mod declared;
mod expected;
mod judge;
mod selection;
#[cfg(test)]
mod tests;
mod verdict;

/// Checks that are made at the same time. Others wait, so it is more than are likely to hang.
const AT_ONCE: usize = 16;
/// Verifications that are made at the same time. Later ones wait within their time limit.
const VERIFICATIONS: usize = 16;
/// The time limit for a check that is built in.
const BUILT_IN: Duration = Duration::from_secs(10);

/// Makes the checks of one daemon.
pub(super) struct StackChecks {
    source: Arc<dyn Source>,
    /// The way to this daemon, as commands have it.
    client: Client,
    /// What the configuration in force declares.
    declared: Arc<RwLock<Declared>>,
    places: Semaphore,
}

/// One check of a verification.
enum Item {
    BuiltIn(Box<Node>),
    Declared(Arc<DeclaredCheck>),
}

/// A check that is being made.
struct Running {
    begun: Instant,
    /// When it must have ended.
    deadline: Instant,
    /// Its own time limit.
    limit: Duration,
    /// What its result must not show.
    secrets: Secrets,
}

// === impl StackChecks ===

impl StackChecks {
    pub(super) fn new(
        source: Arc<dyn Source>,
        client: Client,
        declared: Arc<RwLock<Declared>>,
    ) -> Self {
        Self { source, client, declared, places: Semaphore::new(VERIFICATIONS) }
    }

    async fn report(&self, asked: Verification) -> Result<VerifyReport, NothingCalled> {
        let begun = Instant::now();
        let end = begun + asked.timeout;
        // Where none comes in time, each check says that it could not begin.
        let _place = timeout(asked.timeout, self.places.acquire()).await;
        let declared = self.declared.read().clone();
        let nodes = self.source.graph(View::Operator).nodes;
        let Selection { nodes, checks } = select(nodes, &declared.checks, &asked.names)?;
        let items = nodes.into_iter().map(|node| Item::BuiltIn(Box::new(node)));
        let items = items.chain(checks.into_iter().map(Item::Declared)).enumerate();
        let results = items.map(|(at, item)| {
            let declared = &declared;
            async move { (at, self.result(&item, declared, end, asked.timeout).await) }
        });
        let mut results: Vec<_> = stream::iter(results).buffer_unordered(AT_ONCE).collect().await;
        results.sort_by_key(|(at, _)| *at);
        let checks: Vec<_> = results.into_iter().map(|(_, result)| result).collect();
        let passed = checks.iter().all(|check| check.outcome != CheckOutcome::Failed);
        let declared = declared.checks.len();
        Ok(VerifyReport { passed, took_ms: millis(begun.elapsed()), declared, checks })
    }

    /// Makes one check before `end`, the end of the time limit `whole` for all of them.
    async fn result(
        &self,
        item: &Item,
        declared: &Declared,
        end: Instant,
        whole: Duration,
    ) -> CheckResult {
        let begun = Instant::now();
        let limit = item.limit();
        let secrets = item.server().map(|name| declared.secrets_of(name)).unwrap_or_default();
        let running = Running { begun, deadline: end.min(begun + limit), limit, secrets };
        let verdict = match running.left().is_zero() {
            true => Verdict::failed("the time for all checks was over before it could begin")
                .hint("`--timeout` of `mainstay verify` is that time"),
            false => match item {
                Item::BuiltIn(node) => self.built_in(node, &running).await,
                Item::Declared(check) => self.declared(check, &running).await,
            },
        };
        let verdict = running.explained(verdict, whole);
        let secrets = &running.secrets;
        let Verdict { outcome, found, hint, .. } = verdict.shown(secrets);
        let took_ms = millis(begun.elapsed());
        match item {
            Item::BuiltIn(node) => CheckResult {
                name: node.name.to_string(),
                of: Some(node.name.clone()),
                kind: "ready".to_owned(),
                outcome,
                took_ms,
                expected: built_in::expected(node.kind).to_owned(),
                found,
                hint,
            },
            Item::Declared(check) => CheckResult {
                name: check.spec.name.clone(),
                of: check.spec.of().cloned(),
                kind: check.spec.kind.word().to_owned(),
                outcome,
                took_ms,
                expected: expected::of(&check.spec.kind, &check.members, secrets),
                found,
                hint,
            },
        }
    }

    async fn built_in(&self, node: &Node, running: &Running) -> Verdict {
        if let Some(verdict) = built_in::unready(node) {
            return verdict;
        }
        if let Some(verdict) = built_in::refusing(node) {
            return verdict;
        }
        if node.kind != NodeKind::Server {
            return Verdict::passed(built_in::ready(node));
        }
        match self.asking(running).tools(&node.name).await {
            Ok(tools) => {
                let tools = format::count(tools.len(), "tool");
                Verdict::passed(format!("{}, and lists {tools}", built_in::ready(node)))
            }
            // It has none, and that is no fault.
            Err(failure) if failure.is_no_such_method() => {
                Verdict::passed(format!("{}, and has no tools", built_in::ready(node)))
            }
            Err(failure) => failure.verdict(&node.name),
        }
    }

    async fn declared(&self, check: &DeclaredCheck, running: &Running) -> Verdict {
        if let Some(lack) = check.spec.lacks.first() {
            return declared::lacking(lack);
        }
        match &check.spec.kind {
            CheckKind::Call(call) => match self.unready(call.server.as_str()) {
                Some(verdict) => verdict,
                None => self.call(call, check, running).await,
            },
            CheckKind::Tools(tools) => match self.unready(tools.server.as_str()) {
                Some(verdict) => verdict,
                None => self.tools(tools, running).await,
            },
            CheckKind::Target(target) => match self.stopped_by_hand(target) {
                Some(verdict) => verdict,
                None => self::target(target, check, running).await,
            },
        }
    }

    async fn call(&self, call: &CallCheck, check: &DeclaredCheck, running: &Running) -> Verdict {
        let answer = self.asking(running).call(call).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => return failure.verdict(&call.server),
        };
        match judge::call(call, &check.members, &running.secrets, &answer) {
            Ok(found) => Verdict::passed(found),
            Err(found) => {
                let mut again = format!("mainstay call {} {}", call.server, quoted(&call.tool));
                if call.args != "{}" {
                    again.push_str(&format!(" --args {}", quoted(&call.args)));
                }
                Verdict::failed(found).hint(format!("`{again}` shows the whole answer"))
            }
        }
    }

    async fn tools(&self, check: &ToolsCheck, running: &Running) -> Verdict {
        match self.asking(running).tools(&check.server).await {
            Ok(tools) => match judge::tools(check, &tools) {
                Ok(found) => Verdict::passed(found),
                Err(found) => {
                    let hint = format!("`mainstay tools {}` lists them", check.server);
                    Verdict::failed(found).hint(hint)
                }
            },
            Err(failure) => failure.verdict(&check.server),
        }
    }

    /// Why a server can't be asked, as the graph knows it.
    fn unready(&self, server: &str) -> Option<Verdict> {
        match self.node(server) {
            Some(node) => built_in::unready(&node),
            None => Some(Verdict::failed(format!("there is no server {server} any more"))),
        }
    }

    /// Whether the address is that of a service that nobody wants to run now. What a server uses is there
    /// without the server, too.
    fn stopped_by_hand(&self, target: &TargetCheck) -> Option<Verdict> {
        let node = self.node(target.of.as_ref()?.as_str())?;
        let verdict = built_in::unready(&node).filter(|_| node.kind == NodeKind::Service)?;
        (verdict.outcome == CheckOutcome::Skipped).then_some(verdict)
    }

    fn node(&self, name: &str) -> Option<Node> {
        let nodes = self.source.graph(View::Operator).nodes;
        nodes.into_iter().find(|node| node.name.as_str() == name)
    }

    fn asking(&self, running: &Running) -> Asking<'_> {
        Asking { client: &self.client, deadline: running.deadline }
    }
}

impl Verifier for StackChecks {
    fn verify(&self, asked: Verification) -> Verifying<'_> {
        Box::pin(self.report(asked))
    }
}

/// Checks an address or runs a command.
async fn target(target: &TargetCheck, check: &DeclaredCheck, running: &Running) -> Verdict {
    let Some(prober) = &check.prober else {
        return Verdict::failed("it can't be checked");
    };
    match timeout(running.left(), prober.check()).await {
        Ok(outcome) => match outcome.failure() {
            None => Verdict::passed(expected::met(&target.check)),
            Some(failure) => {
                let verdict = Verdict::failed(failure.reason.clone());
                match &target.of {
                    Some(of) => verdict.hint(format!("`mainstay status {of}` says how {of} is")),
                    None => verdict,
                }
            }
        },
        Err(_) => Verdict::late(),
    }
}

// === impl Item ===

impl Item {
    fn limit(&self) -> Duration {
        match self {
            Self::BuiltIn(_) => BUILT_IN,
            Self::Declared(check) => check.spec.timeout,
        }
    }

    /// The server whose words it shows.
    fn server(&self) -> Option<&str> {
        match self {
            Self::BuiltIn(node) => Some(node.name.as_str()),
            Self::Declared(check) => check.spec.of().map(Name::as_str),
        }
    }
}

// === impl Running ===

impl Running {
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The verdict, with the time limit that was too short in it.
    fn explained(&self, verdict: Verdict, whole: Duration) -> Verdict {
        if !verdict.is_late {
            return verdict;
        }
        let is_own = self.deadline >= self.begun + self.limit;
        let (took, hint) = match is_own {
            true => (self.limit, "`timeout` in its section of [[checks]] is the time limit"),
            false => (whole, "`--timeout` of `mainstay verify` is the time for all checks"),
        };
        let took = format::duration(took);
        let found = match is_own {
            true => format!("no answer within {took}"),
            false => format!("no answer within {took}, the time for all checks"),
        };
        let verdict = Verdict { found, is_late: false, ..verdict };
        if verdict.hint.is_some() { verdict } else { verdict.hint(hint) }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
