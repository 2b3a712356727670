//! Whether each `[[notify]]` section can tell somebody, for the status of the daemon.

use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use mainstay_admin::View;
use mainstay_admin::api::status::Notification;
use mainstay_model::Name;
use mainstay_model::settings::{NotifySpec, NotifyTarget};
use parking_lot::Mutex;

use super::super::target;

/// The state of all sections, in the order of the configuration. Clones share it.
#[derive(Debug, Clone)]
pub(in super::super) struct Sections(Arc<Mutex<Vec<Section>>>);

#[derive(Debug)]
struct Section {
    name: Name,
    /// The name of a program, or scheme, host and port of an address.
    target: String,
    trouble: Option<Trouble>,
}

/// Since when nobody could be told, and why the newest notification was not delivered.
#[derive(Debug)]
struct Trouble {
    since: SystemTime,
    reason: String,
}

// === impl Sections ===

impl Sections {
    pub(in super::super) fn new(specs: &[NotifySpec]) -> Self {
        Self(Arc::new(Mutex::new(sections(specs))))
    }

    /// Shows other sections from now on.
    pub(super) fn replace(&self, specs: &[NotifySpec]) {
        *self.0.lock() = sections(specs);
    }

    /// Takes note of a delivery.
    pub(super) fn works(&self, place: usize) {
        if let Some(section) = self.0.lock().get_mut(place) {
            section.trouble = None;
        }
    }

    /// Takes note of a notification that was given up.
    pub(super) fn fails(&self, place: usize, reason: &str) {
        if let Some(section) = self.0.lock().get_mut(place) {
            let since = section.trouble.take().map_or_else(SystemTime::now, |before| before.since);
            section.trouble = Some(Trouble { since, reason: reason.to_owned() });
        }
    }

    pub(in super::super) fn status(&self, view: View) -> Vec<Notification> {
        self.0.lock().iter().map(|section| section.status(view)).collect()
    }
}

// === impl Section ===

impl Section {
    fn status(&self, view: View) -> Notification {
        let trouble = self.trouble.as_ref();
        let at = |since| Timestamp::try_from(since).unwrap_or_default();
        Notification {
            section: self.name.to_string(),
            target: self.target.clone(),
            failing_since: trouble.map(|trouble| format!("{:.3}", at(trouble.since))),
            // It may name a path.
            reason: trouble
                .filter(|_| view == View::Operator)
                .map(|trouble| trouble.reason.clone()),
        }
    }
}

fn sections(specs: &[NotifySpec]) -> Vec<Section> {
    let section = |spec: &NotifySpec| Section {
        name: Name::of_notify(spec.number),
        target: match &spec.target {
            NotifyTarget::Command(process) => target::of_process(process),
            NotifyTarget::Webhook(remote) => target::of_remote(remote),
        },
        trouble: None,
    };
    specs.iter().map(section).collect()
}
