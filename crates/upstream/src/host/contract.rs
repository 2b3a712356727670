//! What a host promises, and what it says about the instances it starts.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use mainstay_model::InstanceId;
use mainstay_supervisor::backoff::{Backoff, Jitter};
use mainstay_supervisor::lifecycle::RestartPolicy;

use crate::link::{Link, LinkLimits};
use crate::listener::Listener;
pub use crate::transport::Boxed;
use crate::transport::TransportAbilities;

/// What holds for every instance that a host starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostAbilities {
    /// As the API names it.
    pub kind: &'static str,
    /// An instance is a process of this machine, with a number and an end of its own.
    pub has_pid: bool,
    /// One conversation serves all clients of an instance, so a question of the server can't be told to
    /// belong to one of several calls.
    pub shares_questions: bool,
    /// How an instance ends while hands are shaken is an answer. An address that gives none may only be
    /// out of reach.
    pub end_is_answer: bool,
    pub restarts: Restarts,
}

/// How instances are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restarts {
    /// Within the policy of a crash loop.
    Bounded,
    /// For ever, with these waits: to ask again is cheap, and nothing crashes by it.
    Endless(Backoff),
}

/// What starts the instances of one server.
pub trait Host: Send + Sync + Debug {
    fn abilities(&self) -> HostAbilities;

    /// What is started, for people: a command line or an address. May hold what only its owner should
    /// see.
    fn target(&self) -> String;

    /// How its servers are spoken to, as far as that is known by now.
    fn transport(&self) -> Option<&'static TransportAbilities>;

    /// Starts an instance. Has no deadline of its own; dropping the future ends what was started.
    ///
    /// # Errors
    /// Says why nothing was started, and whether trying again can help.
    fn start(&self, instance: InstanceId) -> Boxed<'_, Result<Box<dyn Running>, StartError>>;
}

/// One started instance. Dropping it ends it, without waiting.
pub trait Running: Send + Sync {
    /// The number of its main process, where it has one.
    fn pid(&self) -> Option<u32>;

    /// Opens its link. Where [`has_another_way`](Self::has_another_way) said so, it may be called again
    /// after the link before was closed.
    ///
    /// # Errors
    /// When there is no way to speak to it. Its end may say more, if it has ended.
    fn open(
        &mut self,
        policy: LinkLimits,
        listener: Arc<dyn Listener>,
    ) -> Boxed<'_, Result<Arc<Link>, String>>;

    /// Whether the server, whose link was lost for this reason before hands were shaken, may be spoken
    /// to in another transport.
    fn has_another_way(&mut self, _lost: &str) -> bool {
        false
    }

    /// Waits for its end; how it ended. Never comes where it has no end of its own.
    fn ended(&self) -> Boxed<'_, String>;

    /// How it ended, where its end follows that of its link within a moment and says more.
    fn end_after_link(&self) -> Boxed<'_, Option<String>>;

    /// Whether it has ended by itself.
    fn has_ended(&self) -> bool;

    /// The last lines it wrote about itself, oldest first; readable after its end.
    fn last_words(&self) -> Vec<String>;

    /// Ends it and all that came of it, within seconds. May be called again, and after its end.
    fn stop(&mut self) -> Boxed<'_, ()>;
}

/// Why an instance was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct StartError {
    /// With what to do about it, where that is known.
    pub reason: String,
    /// Trying again is useless until somebody changes something.
    pub permanent: bool,
}

// === impl HostAbilities ===

impl HostAbilities {
    /// The policy of one instance's lifecycle. `seed` scatters its waits; take another for each.
    pub fn restart_policy(&self, start: Duration, seed: u64) -> RestartPolicy {
        let policy = RestartPolicy::new(start, seed);
        match self.restarts {
            Restarts::Bounded => policy,
            Restarts::Endless(backoff) => {
                RestartPolicy { backoff, jitter: Jitter::seeded(seed), crash_loop: None, ..policy }
            }
        }
    }
}
