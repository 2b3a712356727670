//! Tells people of changes of servers, by a command or a webhook. `supervisor::notices` decides what is told and
//! when, and `supervisor::deliveries` in which order; this carries it out within bounds, and never holds up what
//! it is told about.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mainstay_model::Name;
use mainstay_model::settings::NotifySpec;
use mainstay_supervisor::deliveries::{Dated, Deliveries, Ended, Taken};
use mainstay_supervisor::notices::{Notices, Rule, Seen, Subject, Telling};
use mainstay_telemetry::events::{NotificationLost, NotificationSent};
use mainstay_telemetry::{Change, Metrics, Notified};
use mainstay_upstream::process::ProcessHost;
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::{Id, JoinError, JoinHandle, JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};

mod deliver;
mod sections;
#[cfg(test)]
mod tests;

use self::deliver::{Channel, Notice};
pub(super) use self::sections::Sections;

/// Changes that wait for the decision who is told of them, which takes microseconds.
const CHANGES_MAX: usize = 1024;
/// Longest wait for what is being delivered when the daemon stops.
const STOP_MAX: Duration = Duration::from_secs(3);

/// Tells people of changes until it is stopped.
#[derive(Debug)]
pub(super) struct Notifier {
    sections: Sections,
    metrics: Arc<Metrics>,
    host: Arc<ProcessHost>,
    /// Where changes go that somebody is to be told of. None: nobody is.
    tell: Arc<RwLock<Option<mpsc::Sender<Seen>>>>,
    running: Mutex<Option<RunningTeller>>,
}

/// The task that tells people, with what stops it.
#[derive(Debug)]
struct RunningTeller {
    stop: DropGuard,
    task: JoinHandle<()>,
}

/// The task that tells people.
struct Teller {
    notices: Notices,
    /// In the order of the rules.
    outboxes: Vec<Outbox>,
    attempts: JoinSet<Result<(), String>>,
    /// The place of the outbox, and what is told about.
    under_way: HashMap<Id, (usize, Subject)>,
    sections: Sections,
    metrics: Arc<Metrics>,
}

/// What one section has to deliver.
struct Outbox {
    /// The section, such as `notify.1`.
    to: Name,
    channel: Arc<Channel>,
    deliveries: Deliveries,
}

/// The end of an attempt: which one, and what came of it.
type Attempted = Result<(Id, Result<(), String>), JoinError>;

// === impl Notifier ===

impl Notifier {
    /// Tells people of every change from now on.
    pub(super) fn start(
        specs: &[NotifySpec],
        sections: &Sections,
        metrics: &Arc<Metrics>,
        host: &Arc<ProcessHost>,
    ) -> Self {
        let notifier = Self {
            sections: sections.clone(),
            metrics: metrics.clone(),
            host: host.clone(),
            tell: Arc::default(),
            running: Mutex::default(),
        };
        observe(metrics, notifier.tell.clone());
        notifier.begin(specs);
        notifier
    }

    /// Tells others from now on. What waits for its delivery is given up, with what it would have said.
    pub(super) async fn replace(&self, specs: &[NotifySpec]) {
        self.end().await;
        self.sections.replace(specs);
        self.begin(specs);
    }

    fn begin(&self, specs: &[NotifySpec]) {
        if specs.is_empty() {
            return;
        }
        let Self { sections, metrics, host, .. } = self;
        let outbox = |spec: &NotifySpec| Outbox {
            to: Name::of_notify(spec.number),
            channel: Arc::new(Channel::new(spec, host.clone())),
            deliveries: Deliveries::default(),
        };
        let teller = Teller {
            notices: Notices::new(specs.iter().map(rule).collect()),
            outboxes: specs.iter().map(outbox).collect(),
            attempts: JoinSet::new(),
            under_way: HashMap::new(),
            sections: sections.clone(),
            metrics: metrics.clone(),
        };
        let stop = CancellationToken::new();
        let (tell, told) = mpsc::channel(CHANGES_MAX);
        *self.tell.write() = Some(tell);
        let task = tokio::spawn(teller.run(told, stop.clone()));
        *self.running.lock() = Some(RunningTeller { stop: stop.drop_guard(), task });
    }

    /// Ends what is being delivered, and waits for that.
    pub(super) async fn end(&self) {
        *self.tell.write() = None;
        let Some(RunningTeller { stop, task }) = self.running.lock().take() else { return };
        drop(stop);
        // What is left then are commands, which the host ends.
        let _ = tokio::time::timeout(STOP_MAX, task).await;
    }
}

fn rule(spec: &NotifySpec) -> Rule {
    Rule { on: spec.on.clone(), servers: spec.servers.clone() }
}

fn observe(metrics: &Arc<Metrics>, tell: Arc<RwLock<Option<mpsc::Sender<Seen>>>>) {
    let counts = Arc::downgrade(metrics);
    metrics.changes().observe(Box::new(move |change| {
        let tell = tell.read();
        let (Some(seen), Some(tell)) = (seen(change), &*tell) else { return };
        if let Err(TrySendError::Full(_)) = tell.try_send(seen)
            && let Some(metrics) = counts.upgrade()
        {
            metrics.notified(Notified::Dropped);
        }
    }));
}

fn seen(change: &Change) -> Option<Seen> {
    if change.to.is_of_reload() {
        return None;
    }
    let (server, reason) = (change.server.clone()?, change.reason.clone());
    Some(Seen { server, from: change.from, to: change.to, reason })
}

// === impl Teller ===

impl Teller {
    /// Decides about each change and carries out what is due, until the daemon stops.
    async fn run(mut self, mut changes: mpsc::Receiver<Seen>, stop: CancellationToken) {
        loop {
            self.begin_attempts();
            let deadlines =
                self.outboxes.iter().filter_map(|outbox| outbox.deliveries.next_deadline());
            let deadline = deadlines.chain(self.notices.next_deadline()).min();
            let something_due = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            let tellings = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                seen = changes.recv() => match seen {
                    Some(seen) => self.notices.see(Instant::now(), &seen),
                    None => break,
                },
                Some(attempted) = self.attempts.join_next_with_id() => {
                    self.note_end(attempted);
                    continue;
                }
                () = something_due => self.notices.due(Instant::now()),
            };
            // The same time for all who are told of the same.
            let at = SystemTime::now();
            for telling in tellings {
                if let Some(outbox) = self.outboxes.get_mut(telling.rule) {
                    outbox.take(Dated { telling, at }, &self.metrics);
                }
            }
        }
        self.attempts.shutdown().await;
    }

    fn begin_attempts(&mut self) {
        for (place, outbox) in self.outboxes.iter_mut().enumerate() {
            while let Some(Dated { telling, at }) = outbox.deliveries.begin(Instant::now()) {
                let (notice, channel) = (Notice::new(&telling, at), outbox.channel.clone());
                let attempt = async move { channel.deliver(&notice).await };
                let task = self.attempts.spawn(attempt);
                self.under_way.insert(task.id(), (place, telling.subject()));
            }
        }
    }

    fn note_end(&mut self, attempted: Attempted) {
        let (id, result) = match attempted {
            Ok(ended) => ended,
            // It panicked, and is another failure.
            Err(error) => (error.id(), Err("it could not be tried".to_owned())),
        };
        let Some((place, subject)) = self.under_way.remove(&id) else { return };
        let Some(outbox) = self.outboxes.get_mut(place) else { return };
        let ended = outbox.deliveries.ended(Instant::now(), &subject, result.is_ok());
        let reason = result.err().unwrap_or_default();
        match ended {
            Ended::Delivered(telling) => {
                self.sections.works(place);
                outbox.sent(&telling, &self.metrics);
            }
            Ended::Failed(telling) => {
                self.sections.fails(place, &reason);
                outbox.lost(&telling, Notified::Failed, &reason, &self.metrics);
            }
            Ended::Merged => {
                self.sections.fails(place, &reason);
                self.metrics.notified(Notified::Merged);
            }
            Ended::GivenUp(_) => self.sections.fails(place, &reason),
            Ended::Again | Ended::Unknown => {}
        }
    }
}

// === impl Outbox ===

impl Outbox {
    fn take(&mut self, dated: Dated, metrics: &Metrics) {
        let telling = dated.telling.clone();
        match self.deliveries.take(dated) {
            Taken::Waits => {}
            Taken::Merged => metrics.notified(Notified::Merged),
            Taken::Dropped => {
                let reason = "too many notifications wait for their turn";
                self.lost(&telling, Notified::Dropped, reason, metrics);
            }
        }
    }

    fn sent(&self, telling: &Telling, metrics: &Metrics) {
        let (to, server, event) = (self.to.as_str(), &telling.server, telling.event);
        NotificationSent { to, server, event }.emit(metrics);
    }

    fn lost(&self, telling: &Telling, outcome: Notified, reason: &str, metrics: &Metrics) {
        let (to, server, event) = (self.to.as_str(), &telling.server, telling.event);
        NotificationLost { to, server, event, outcome, reason }.emit(metrics);
    }
}
