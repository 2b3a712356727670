//! The dialects of a server: what is known about it in each era.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use mainstay_protocol::Era;
use mainstay_upstream::facts::Facts;
use parking_lot::Mutex;

use crate::instance::Instance;

/// The two dialects of a server.
#[derive(Debug, Default)]
pub(crate) struct Dialects {
    legacy: Dialect,
    modern: Dialect,
}

/// What is known about a server in one era.
#[derive(Debug, Default)]
pub(crate) struct Dialect {
    /// The base instance, while there is one.
    pub(crate) base: ArcSwapOption<Instance>,
    /// The latest facts about the server. Kept while the server is unavailable.
    pub(crate) facts: ArcSwapOption<Facts>,
    /// Held while the base instance is created.
    pub(crate) starting: Mutex<()>,
    /// Whether a request has waited for detection in vain. Later requests don't wait for it.
    pub(crate) is_late: AtomicBool,
    /// Set if the server does not support this era.
    pub(crate) refused: ArcSwapOption<RefusedDialect>,
}

/// A dialect that the server does not support.
#[derive(Debug)]
pub(crate) struct RefusedDialect {
    pub(crate) why: String,
    /// When detection may be repeated. `None`: in the next run of the primary instance.
    pub(crate) until: Option<Instant>,
    /// Whether the server itself has answered so.
    pub(crate) for_good: bool,
}

// === impl Dialects ===

impl Dialects {
    pub(crate) fn get(&self, era: Era) -> &Dialect {
        match era {
            Era::Legacy => &self.legacy,
            Era::Modern => &self.modern,
        }
    }
}

// === impl Dialect ===

impl Dialect {
    /// Why the server does not support the era, if that is known.
    pub(crate) fn refusal(&self) -> Option<String> {
        let refused = self.refused.load();
        let refused = refused.as_ref()?;
        refused.until.is_none_or(|until| Instant::now() < until).then(|| refused.why.clone())
    }

    /// Whether the server does not support the era, and has said so itself: it neither failed nor was silent.
    pub(crate) fn is_refused_for_good(&self) -> bool {
        self.refused.load().as_ref().is_some_and(|refused| refused.for_good)
    }

    /// Clears the base instance if it is `instance`.
    pub(crate) fn leave(&self, instance: &Instance) {
        if self.base.load().as_ref().is_some_and(|base| base.id == instance.id) {
            self.base.store(None);
        }
    }
}
