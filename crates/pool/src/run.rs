//! A run of an instance: start, handshake, serving and loss. The run reports each step to the driver.

mod detect;
mod hang;
mod listening;
mod lists;
mod probing;
mod unused;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Era, Message, build};
use mainstay_supervisor::lifecycle::{RunEvent, RunNo};
use mainstay_supervisor::list_refresh::RefreshOutcome;
use mainstay_telemetry::events::{InstanceReady, InstanceStarted};
use mainstay_telemetry::output::Written;
use mainstay_telemetry::{Dropped, Sighting, events};
use mainstay_upstream::handshake::{self, FirstLists, HandshakeError};
use mainstay_upstream::host::{Running, StartError};
use mainstay_upstream::{Asker, Link, LinkLimits, Listener};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::instance::{Instance, ReadyRun};
use crate::list_refreshes::ListRefreshes;
use crate::pool::Pool;

pub(crate) use self::detect::HandshakeOutcome;
pub(crate) use self::unused::Unused;

/// The longest beginning of a stray line that is looked at.
const STRAY_BYTES_MAX: usize = 4096;

/// An update that a run sends to its driver, with the number of the run.
pub(crate) type RunReport = (RunNo, RunUpdate);

/// An event of a run.
#[derive(Debug)]
pub(crate) enum RunUpdate {
    Plain(RunEvent),
    /// The run is ready. Carries what calls need.
    Ready(Arc<ReadyRun>),
}

/// Longest wait for the last output of a process that has ended. It is in the pipe already; only a child that
/// holds the pipe open makes this wait run out.
const LAST_OUTPUT_WAIT: Duration = Duration::from_millis(200);

/// A run in progress.
pub(crate) struct Run {
    pub(crate) pool: Arc<Pool>,
    pub(crate) instance: Arc<Instance>,
    pub(crate) run_no: RunNo,
    pub(crate) stop: CancellationToken,
    pub(crate) news: mpsc::Sender<RunReport>,
    pub(crate) begun: Instant,
    /// The outcome of the handshake, once it is over.
    pub(crate) handshake: OnceLock<HandshakeOutcome>,
    /// Why the server counts as hung, if it does.
    pub(crate) hung: OnceLock<String>,
    /// What the server sent during the handshake and could not be used.
    pub(crate) unused: Arc<Unused>,
    /// Where the line of a `log` probe is looked for.
    pub(crate) sighting: OnceLock<Sighting>,
}

impl Run {
    /// Runs from start to end. When it returns, the process is gone, although the host may still be ending
    /// child processes that a dead process left behind.
    pub(crate) async fn run(self) {
        let pool = self.pool.clone();
        let undetected = pool.is_undetected(&self.instance);
        let mut end = self.start_and_serve().await;
        if let Some(reason) = reason_of(&mut end)
            && let Cow::Owned(hidden) = pool.host.hide(reason)
        {
            *reason = hidden;
        }
        self.conclude_detection(undetected, &end);
        self.report(RunUpdate::Plain(end)).await;
    }

    async fn start_and_serve(&self) -> RunEvent {
        self.watch_output();
        let started = tokio::select! {
            started = self.pool.host.start(self.instance.id) => started,
            () = self.stop.cancelled() => return stopped(),
        };
        let mut running = match started {
            Ok(running) => running,
            Err(StartError { reason, brief, permanent }) => {
                self.instance.process.lock().brief_reason = Some(brief.to_owned());
                return match permanent {
                    true => RunEvent::Unserveable { reason },
                    false => RunEvent::Lost { reason },
                };
            }
        };
        {
            let mut facts = self.instance.process.lock();
            facts.pid = running.pid();
        }
        self.started(running.pid());
        self.report(RunUpdate::Plain(RunEvent::Spawned)).await;
        let mut end = loop {
            let end = self.serve_one_link(&mut *running).await;
            match &end {
                RunEvent::Lost { reason }
                    if !self.stop.is_cancelled()
                        && handshake::era_of(self.revision_choice()) != Some(Era::Modern)
                        && running.has_another_way(reason) => {}
                _ => break end,
            }
        };
        if let RunEvent::Lost { reason } = &mut end
            && !self.stop.is_cancelled()
            && let Some(remedy) = running.remedy().await
        {
            reason.push_str(&format!("; {}", remedy.words));
            if remedy.is_needed && self.handshake.get() != Some(&HandshakeOutcome::Done) {
                end = RunEvent::Unserveable { reason: std::mem::take(reason) };
            }
        }
        let brief_reason = self.brief_reason(&*running);
        // A run that was stopped has its reason from the lifecycle.
        let is_stopped = self.stop.is_cancelled();
        // The children of a process that exited by itself are ended in parallel to the next run, so that
        // children that ignore a signal don't delay it.
        if self.stop.is_cancelled() || !running.has_ended() {
            match is_stopped {
                true => running.stop().await,
                // It hangs, or has closed its output, so that nobody hears what it may finish.
                false => running.stop_at_once().await,
            }
        }
        let mut facts = self.instance.process.lock();
        facts.pid = None;
        if !is_stopped {
            facts.brief_reason = Some(brief_reason);
        }
        let mut lines = match self.handshake.get() {
            Some(HandshakeOutcome::Done) => Vec::new(),
            _ => self.unused.lines(),
        };
        lines.extend(running.last_words());
        let is_blank = lines.iter().all(|line| line.trim().is_empty());
        facts.last_output = if is_blank { Vec::new() } else { lines };
        end
    }

    /// The reason for the end of the run, derived from the exit status and the state of the handshake. It quotes
    /// neither the server nor its address or command, because they may hold secrets.
    fn brief_reason(&self, running: &dyn Running) -> String {
        if let Some(exit) = running.exit() {
            return format!("it {exit}");
        }
        if self.hung.get().is_some() {
            return "it no longer answered".to_owned();
        }
        match self.handshake.get() {
            Some(HandshakeOutcome::Done) if running.ended_well() => {
                "it ended the session that nobody used"
            }
            Some(HandshakeOutcome::Done) => "the connection to it was lost",
            Some(HandshakeOutcome::NotSpoken | HandshakeOutcome::Refused) => {
                "the handshake with it failed"
            }
            Some(HandshakeOutcome::Lost) | None => "the connection to it failed",
        }
        .to_owned()
    }

    /// Opens a link and serves it until the link closes or the instance ends.
    async fn serve_one_link(&self, running: &mut dyn Running) -> RunEvent {
        let calls_before = self.pool.calls_ended();
        let listener = Arc::new(RunListener::new(self));
        let opened = tokio::select! {
            opened = running.open(self.limits(), listener.clone()) => opened,
            () = self.stop.cancelled() => return stopped(),
        };
        let link = match opened {
            Ok(link) => link,
            Err(reason) => return RunEvent::Lost { reason },
        };
        let mut served = {
            let serving = self.serve(&link, &listener);
            tokio::pin!(serving);
            tokio::select! {
                news = &mut serving => news,
                reason = running.ended() => {
                    read_to_the_end(&link, serving, &reason).await;
                    RunEvent::Lost { reason }
                }
            }
        };
        // The exit of a process is a better reason than its closed pipe, which is often noticed first.
        let no_handshake = self.handshake.get() == Some(&HandshakeOutcome::Lost);
        if (listener.closed.is_cancelled() || no_handshake && !self.stop.is_cancelled())
            && let Some(reason) = running.end_after_link().await
        {
            served = RunEvent::Lost { reason };
        }
        if self.hung.get().is_some()
            && let (RunEvent::Lost { reason }, Some(activity)) = (&mut served, running.activity())
        {
            reason.push_str(&format!("; its process {activity}"));
        }
        self.note_silence(&link, &served);
        if self.pool.host.abilities().end_is_answer {
            self.choose_next_handshake(&link);
        }
        let reason = match &served {
            RunEvent::Lost { reason }
            | RunEvent::Finished { reason, .. }
            | RunEvent::Exited { reason }
            | RunEvent::NotYet { reason }
            | RunEvent::Unfit { reason }
            | RunEvent::Unserveable { reason } => reason,
            RunEvent::Spawned | RunEvent::Ready | RunEvent::Fit => "stopped",
        };
        link.close(reason);
        link.hang_up();
        match served {
            RunEvent::Lost { reason } if running.ended_well() && self.had_nothing_to_do(&link) => {
                RunEvent::Finished { reason, served: self.pool.calls_ended() > calls_before }
            }
            served => served,
        }
    }

    /// Whether nobody used the instance when its link was closed. An instance that is not a base takes the
    /// subscriptions of its clients with it when it ends, so they keep it in use.
    fn had_nothing_to_do(&self, link: &Link) -> bool {
        self.handshake.get() == Some(&HandshakeOutcome::Done)
            && link.calls_lost() == 0
            && !self.instance.has_permits()
            && (self.instance.supplies_lists() || !self.instance.is_subscribed_to())
    }

    /// Performs the handshake, reports ready, and serves until the link closes or `stop` is cancelled.
    async fn serve(&self, link: &Arc<Link>, listener: &RunListener) -> RunEvent {
        let news = tokio::select! {
            // Its memory is of no use once the handshake is over.
            news = Box::pin(self.make_ready(link, listener)) => news,
            () = self.stop.cancelled() => return stopped(),
        };
        let run = match news {
            Ok(run) => run,
            Err(news) => return news,
        };
        let mut probing = self.begin_probing(link);
        if let Some(probing) = &mut probing
            && let Err(end) = self.until_fit(probing, listener).await
        {
            return end;
        }
        self.announce(&run);
        self.report(RunUpdate::Ready(run.clone())).await;
        tokio::select! {
            () = self.listen(link, &run, listener) => unreachable!("it listens for ever"),
            () = self.keep_lists_fresh(&run) => unreachable!("it refreshes for ever"),
            end = self.keep_probing(probing) => end,
            reason = self.watch_for_hang(link, &run) => {
                let _ = self.hung.set(reason.clone());
                RunEvent::Lost { reason }
            }
            () = self.stop.cancelled() => stopped(),
            () = listener.closed.cancelled() => {
                RunEvent::Lost { reason: listener.reason.lock().clone() }
            }
        }
    }

    async fn make_ready(
        &self,
        link: &Arc<Link>,
        listener: &RunListener,
    ) -> Result<Arc<ReadyRun>, RunEvent> {
        let capabilities = &self.instance.key().capabilities;
        let calls = self.pool.calls_ended();
        let first = FirstLists {
            ask_undeclared: self.pool.asks_undeclared.load(Ordering::Relaxed),
            ..FirstLists::within(self.pool.spec().start_deadline)
        };
        let copy;
        let revisions = match self.pool.is_primary(&self.instance) {
            true => &self.pool.revisions,
            false => {
                copy = self.pool.revisions.copy();
                &copy
            }
        };
        let choice = self.revision_choice();
        let shaken = handshake::shake(link, choice, revisions, capabilities, first).await;
        self.unused.close();
        let _ = self.handshake.set(HandshakeOutcome::of(&shaken));
        if let Err(HandshakeError::LostUnasked(_)) = &shaken {
            self.pool.asks_undeclared.store(false, Ordering::Relaxed);
        }
        let facts = shaken.map_err(|error| match error {
            HandshakeError::Unserveable(reason) => RunEvent::Unserveable { reason },
            HandshakeError::Lost(reason)
            | HandshakeError::LostUnasked(reason)
            | HandshakeError::Protocol(reason)
            | HandshakeError::NotSpoken(reason) => RunEvent::Lost { reason },
        })?;
        if link.era() == Era::Legacy {
            self.replay(link).await;
        }
        let refreshes = listener.refreshes.clone();
        for (kind, gaps) in facts.lists.gaps() {
            if gaps.failed.is_some() {
                refreshes.note(kind, RefreshOutcome::Failed);
            }
        }
        Ok(Arc::new(ReadyRun::new(link.clone(), facts, refreshes, calls)))
    }

    /// Logs that the run is ready, and learns how long that took.
    fn announce(&self, run: &ReadyRun) {
        let (took, facts) = (self.begun.elapsed(), run.facts.load());
        self.pool.start_times.note(took);
        if let (true, Some(usual)) =
            (self.pool.is_primary(&self.instance), self.pool.start_times.usual())
        {
            self.pool.findings.keep_start(&self.pool.name, &self.pool.host.target(), usual);
        }
        InstanceReady {
            server: &self.pool.name,
            instance: self.instance.id,
            revision: facts.revision.as_str(),
            tools: facts.lists.of(ListKind::Tools).len(),
            took,
        }
        .emit(&self.pool.metrics);
    }

    /// Repeats the log level and the subscriptions of the previous run.
    async fn replay(&self, link: &Arc<Link>) {
        let (uris, level) = {
            let replay_state = self.instance.replay_state.lock();
            let uris: Vec<_> = replay_state.subscriptions.keys().cloned().collect();
            (uris, replay_state.log_level.clone())
        };
        if let Some(level) = level {
            let params = format!(r#"{{"level":{level}}}"#);
            let _ = handshake::ask(link, "logging/setLevel", Some(&params)).await;
        }
        for uri in uris {
            let params = format!(r#"{{"uri":{uri}}}"#);
            let _ = handshake::ask(link, "resources/subscribe", Some(&params)).await;
        }
    }

    fn started(&self, pid: Option<u32>) {
        let again = self.instance.lifecycle.lock().reason().is_some();
        InstanceStarted { server: &self.pool.name, instance: self.instance.id, pid, again }
            .emit(&self.pool.metrics);
    }

    fn limits(&self) -> LinkLimits {
        LinkLimits {
            message_bytes_max: self.pool.message_bytes_max,
            depth_max: self.pool.depth_max,
            unread_bytes_max: 8 << 20,
            budget: self.pool.budget,
        }
    }

    async fn report(&self, news: RunUpdate) {
        // The driver is gone only while the daemon stops.
        let _ = self.news.send((self.run_no, news)).await;
    }
}

/// Reads what an instance wrote before it ended, which may be an answer, and lets the handshake note at which
/// question it ended. Takes twice [`LAST_OUTPUT_WAIT`] at most.
async fn read_to_the_end(link: &Link, serving: impl Future<Output = RunEvent>, reason: &str) {
    link.expect_end();
    let mut serving = std::pin::pin!(serving);
    if timeout(LAST_OUTPUT_WAIT, &mut serving).await.is_err() {
        link.close(reason);
        let _ = timeout(LAST_OUTPUT_WAIT, serving).await;
    }
}

/// The reason for which a run ended.
fn reason_of(end: &mut RunEvent) -> Option<&mut String> {
    match end {
        RunEvent::Lost { reason }
        | RunEvent::Finished { reason, .. }
        | RunEvent::Exited { reason }
        | RunEvent::NotYet { reason }
        | RunEvent::Unfit { reason }
        | RunEvent::Unserveable { reason } => Some(reason),
        RunEvent::Spawned | RunEvent::Ready | RunEvent::Fit => None,
    }
}

/// Handles what a run's link receives outside of calls.
#[derive(Debug)]
struct RunListener {
    pool: Arc<Pool>,
    instance: Arc<Instance>,
    closed: CancellationToken,
    reason: Mutex<String>,
    refreshes: Arc<ListRefreshes>,
    unused: Arc<Unused>,
}

impl RunListener {
    fn new(run: &Run) -> Self {
        Self {
            pool: run.pool.clone(),
            instance: run.instance.clone(),
            closed: CancellationToken::new(),
            reason: Mutex::default(),
            refreshes: Arc::new(ListRefreshes::new(run.pool.seed.wrapping_add(run.instance.id.0))),
            unused: run.unused.clone(),
        }
    }
}

impl Listener for RunListener {
    fn notification(&self, message: Message) {
        use mainstay_protocol::Notification as N;
        let kinds: &[ListKind] = match N::parse(message.method()) {
            Some(N::ToolsListChanged) => &[ListKind::Tools],
            Some(N::PromptsListChanged) => &[ListKind::Prompts],
            Some(N::ResourcesListChanged) => &[ListKind::Resources, ListKind::ResourceTemplates],
            _ => &[],
        };
        if !kinds.is_empty() {
            // Clients are notified once the list was fetched, if it differs.
            return self.refreshes.mark(kinds);
        }
        match N::parse(message.method()) {
            Some(N::ResourcesUpdated) => {
                let uri = message
                    .params()
                    .ok()
                    .and_then(|params| params.uri?.text().map(|uri| build::string(&uri)));
                let owners = uri.map(|uri| self.instance.subscribers(&uri)).unwrap_or_default();
                if let (Some(observer), false) = (self.pool.observer(), owners.is_empty()) {
                    observer.resource_updated(&self.pool.name, &owners, &message);
                }
            }
            _ => {
                if let Some(observer) = self.pool.observer() {
                    observer.background(&self.pool.name, &self.instance, &message);
                }
            }
        }
    }

    fn dropped(&self, reason: Dropped) {
        events::NotificationDropped { method: "", reason }.emit(&self.pool.server_metrics);
    }

    fn question(&self, asker: &Asker, message: &Message) -> bool {
        let holder = self.instance.holder.load(Ordering::Acquire);
        if message.method() == "roots/list" {
            self.instance.asks_roots.store(true, Ordering::Release);
            self.instance.roots_asked.notify_waiters();
        }
        let owner = mainstay_upstream::SessionNo(holder);
        holder != 0
            && self.pool.observer().is_some_and(|observer| {
                observer.question(&self.pool.name, owner, asker.clone(), message)
            })
    }

    fn stray(&self, line: &[u8], why: &str) {
        let said = String::from_utf8_lossy(&line[..line.len().min(STRAY_BYTES_MAX)]);
        let said = self.pool.host.hide(&said);
        let line = said.as_bytes();
        events::StrayLine { instance: self.instance.id, line, why }.emit(&self.pool.server_metrics);
        self.pool.stray_lines.fetch_add(1, Ordering::Relaxed);
        let shown = events::excerpt(line);
        self.pool.output.push(&self.pool.name, self.instance.id, Written::Stdout, &shown);
        self.unused.note(|| format!("ignored output ({why}): {}", events::excerpt(line)));
    }

    fn unusable_answer(&self, why: &str) {
        let why = &*self.pool.host.hide(why);
        events::AnswerUnusable { instance: self.instance.id, why }.emit(&self.pool.server_metrics);
    }

    fn late_answer(&self, answer: Option<&Message>) {
        self.unused.note(|| match answer.and_then(Message::id) {
            Some(id) => {
                let id = events::excerpt(id.as_bytes());
                format!("ignored an answer with the id {id}, which no request has")
            }
            None => "ignored an answer that names no request".to_owned(),
        });
        events::LateAnswer { instance: self.instance.id }.emit(&self.pool.server_metrics);
    }

    fn closed(&self, reason: &str) {
        reason.clone_into(&mut self.reason.lock());
        self.closed.cancel();
    }
}

fn stopped() -> RunEvent {
    RunEvent::Lost { reason: "stopped".to_owned() }
}

/// The notification `roots/list_changed` for a server.
pub(crate) fn roots_changed() -> bytes::Bytes {
    build::notification("notifications/roots/list_changed", None)
}
