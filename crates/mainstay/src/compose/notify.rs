//! Tells people of changes of servers, by a command or a webhook. `supervisor::notices` decides what is told and
//! when; this carries it out within bounds, and never holds up what it is told about.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mainstay_model::settings::NotifySpec;
use mainstay_supervisor::notices::{Notices, Rule, Seen, Telling};
use mainstay_telemetry::events::{NotificationLost, NotificationSent};
use mainstay_telemetry::{Change, Metrics, Notified};
use mainstay_upstream::process::ProcessHost;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

mod deliver;

use self::deliver::{Channel, Notice};

/// Changes that wait for the decision who is told of them, which takes microseconds.
const CHANGES_MAX: usize = 1024;
/// Notifications of one section that wait for their turn: one for each of so many servers.
const WAITING_MAX: usize = 256;
/// Notifications of one section that are delivered at the same time. More would only load a machine on which
/// many servers just failed.
const AT_ONCE_MAX: usize = 4;
/// The waits before the second and the third attempt.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];
/// Longest wait for what is being delivered when the daemon stops.
const STOP_MAX: Duration = Duration::from_secs(3);

/// Tells people of changes until it is stopped.
pub(super) struct Notifier {
    stop: DropGuard,
    tasks: TaskTracker,
}

/// A notification on its way.
struct Sending {
    channel: Arc<Channel>,
    /// The section, such as `notify.1`.
    to: Arc<str>,
    telling: Telling,
    notice: Notice,
}

/// Where the notifications of one section wait.
struct Outbox {
    to: Arc<str>,
    channel: Arc<Channel>,
    queue: mpsc::Sender<Sending>,
}

// === impl Notifier ===

impl Notifier {
    /// Tells people of every change from now on. None if nobody is to be told.
    pub(super) fn start(
        specs: &[NotifySpec],
        metrics: &Arc<Metrics>,
        host: &Arc<ProcessHost>,
    ) -> Option<Self> {
        if specs.is_empty() {
            return None;
        }
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mut outboxes = Vec::new();
        for spec in specs {
            let (queue, queued) = mpsc::channel(WAITING_MAX);
            let channel = Arc::new(Channel::new(spec, host.clone()));
            outboxes.push(Outbox { to: format!("notify.{}", spec.number).into(), channel, queue });
            let sending = send_all(queued, metrics.clone(), stop.clone(), tasks.clone());
            tasks.spawn(sending);
        }
        let rules = specs.iter().map(rule).collect();
        let (tell, told) = mpsc::channel(CHANGES_MAX);
        observe(metrics, tell);
        tasks.spawn(decide(Notices::new(rules), told, outboxes, metrics.clone(), stop.clone()));
        Some(Self { stop: stop.drop_guard(), tasks })
    }

    /// Ends what is being delivered, and waits for that.
    pub(super) async fn stop(self) {
        drop(self.stop);
        self.tasks.close();
        // What is left then are commands, which the host ends.
        let _ = tokio::time::timeout(STOP_MAX, self.tasks.wait()).await;
    }
}

fn rule(spec: &NotifySpec) -> Rule {
    Rule { on: spec.on.clone(), servers: spec.servers.clone() }
}

fn observe(metrics: &Arc<Metrics>, tell: mpsc::Sender<Seen>) {
    let counts = Arc::downgrade(metrics);
    metrics.changes().observe(Box::new(move |change| {
        let Some(seen) = seen(change) else { return };
        if let Err(TrySendError::Full(_)) = tell.try_send(seen)
            && let Some(metrics) = counts.upgrade()
        {
            metrics.notified(Notified::Dropped);
        }
    }));
}

fn seen(change: &Change) -> Option<Seen> {
    let (server, reason) = (change.server.clone()?, change.reason.clone());
    Some(Seen { server, from: change.from, to: change.to, reason })
}

/// Decides about each change, until the daemon stops.
async fn decide(
    mut notices: Notices,
    mut changes: mpsc::Receiver<Seen>,
    outboxes: Vec<Outbox>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    loop {
        let deadline = notices.next_deadline();
        let pause_over = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let tellings = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            seen = changes.recv() => match seen {
                Some(seen) => notices.see(Instant::now(), &seen),
                None => return,
            },
            () = pause_over => notices.due(Instant::now()),
        };
        // The same time for all who are told of the same.
        let at = SystemTime::now();
        for telling in tellings {
            if let Some(outbox) = outboxes.get(telling.rule) {
                outbox.put(telling, at, &metrics);
            }
        }
    }
}

// === impl Outbox ===

impl Outbox {
    fn put(&self, telling: Telling, at: SystemTime, metrics: &Metrics) {
        let notice = Notice::new(&telling, at);
        let (to, channel) = (self.to.clone(), self.channel.clone());
        let sending = Sending { channel, to, telling, notice };
        if let Err(TrySendError::Full(lost)) = self.queue.try_send(sending) {
            lost.lost(Notified::Dropped, "too many notifications wait for their turn", metrics);
        }
    }
}

// === impl Sending ===

impl Sending {
    /// Delivers the notification, in three attempts at most.
    async fn send(self, metrics: Arc<Metrics>) {
        let mut waits = AGAIN_AFTER.into_iter();
        loop {
            let Err(error) = self.channel.deliver(&self.notice).await else {
                let (to, server, event) = (&*self.to, &self.telling.server, self.telling.event);
                return NotificationSent { to, server, event }.emit(&metrics);
            };
            let Some(wait) = waits.next() else {
                return self.lost(Notified::Failed, &error, &metrics);
            };
            tokio::time::sleep(wait).await;
        }
    }

    fn lost(&self, outcome: Notified, reason: &str, metrics: &Metrics) {
        let (to, server, event) = (&*self.to, &self.telling.server, self.telling.event);
        NotificationLost { to, server, event, outcome, reason }.emit(metrics);
    }
}

/// Delivers the notifications of one section, a few at the same time, until the daemon stops.
async fn send_all(
    mut queued: mpsc::Receiver<Sending>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let turns = Arc::new(Semaphore::new(AT_ONCE_MAX));
    loop {
        let next = async {
            let turn = turns.clone().acquire_owned().await.ok()?;
            Some((queued.recv().await?, turn))
        };
        let (sending, turn) = tokio::select! {
            () = stop.cancelled() => return,
            next = next => match next {
                Some(next) => next,
                None => return,
            },
        };
        let (metrics, stop) = (metrics.clone(), stop.clone());
        tasks.spawn(async move {
            let _turn = turn;
            tokio::select! {
                () = stop.cancelled() => {}
                () = sending.send(metrics) => {}
            }
        });
    }
}
