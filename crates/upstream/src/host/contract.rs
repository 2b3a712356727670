//! The traits of a host and of the instances it starts.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use mainstay_model::InstanceId;
use mainstay_supervisor::backoff::{Backoff, Jitter};
use mainstay_supervisor::lifecycle::RestartPolicy;

use crate::link::{Link, LinkLimits};
use crate::listener::Listener;
use crate::process::{Exit, Remedy};
pub use crate::transport::Boxed;
use crate::transport::TransportAbilities;

/// Properties that hold for every instance of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostAbilities {
    /// The host's name in the HTTP API.
    pub kind: &'static str,
    /// Whether an instance is a process of this machine, with a process id and an exit of its own.
    pub has_pid: bool,
    /// Whether one conversation serves all clients of an instance, so that a question of the server
    /// can't be attributed when several calls are in flight.
    pub shares_questions: bool,
    /// Whether an instance that ends during the handshake has answered by that. An address that
    /// does not respond may only be unreachable.
    pub end_is_answer: bool,
    pub restarts: Restarts,
}

/// How failed instances are restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restarts {
    /// Restarts stop for a while when the instance crash-loops.
    Bounded,
    /// Restarts never stop; the waits between them follow this backoff. For hosts where a retry is
    /// cheap.
    Endless(Backoff),
}

/// Starts the instances of one server.
pub trait Host: Send + Sync + Debug {
    fn abilities(&self) -> HostAbilities;

    /// The command line or address that is started, for people. It may hold data meant only for its
    /// owner.
    fn target(&self) -> String;

    /// Words of the server with `***` in place of secrets that it was started with. A host whose words have
    /// none hides nothing.
    fn hide<'a>(&self, words: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(words)
    }

    /// The transport of the host's servers, once it is known.
    fn transport(&self) -> Option<&'static TransportAbilities>;

    /// Changes how instances are asked to end, also those that run. Without effect where there is no process.
    fn set_stop(&self, _stop: mainstay_model::settings::StopSpec) {}

    /// Starts an instance. There is no deadline; dropping the future ends what was started.
    ///
    /// # Errors
    ///
    /// When nothing was started. The error says whether a retry can help.
    fn start(&self, instance: InstanceId) -> Boxed<'_, Result<Box<dyn Running>, StartError>>;
}

/// A started instance. Dropping the value ends the instance without waiting.
pub trait Running: Send + Sync {
    /// The process id of the instance's main process, if it has one.
    fn pid(&self) -> Option<u32>;

    /// Opens the link to the instance. Where [`has_another_way`](Self::has_another_way) returned
    /// true, a second call is allowed after the first link was closed.
    ///
    /// # Errors
    /// When there is no way to speak to it. Its end may say more, if it has ended.
    fn open(
        &mut self,
        policy: LinkLimits,
        listener: Arc<dyn Listener>,
    ) -> Boxed<'_, Result<Arc<Link>, String>>;

    /// Whether the server may speak another transport, given that the link was lost for the reason
    /// `_lost` before the handshake ended.
    fn has_another_way(&mut self, _lost: &str) -> bool {
        false
    }

    /// Waits until the instance ends, and returns how it ended. Stays pending for instances without
    /// an end of their own.
    fn ended(&self) -> Boxed<'_, String>;

    /// How the instance ended, if it ends within a moment of its link. Its exit says more than the
    /// closed link.
    fn end_after_link(&self) -> Boxed<'_, Option<String>>;

    /// Whether the instance has ended without being stopped.
    fn has_ended(&self) -> bool;

    /// Whether the instance ended by itself, without an error.
    fn ended_well(&self) -> bool {
        false
    }

    /// How the instance's main process ended, if it has one that has ended.
    fn exit(&self) -> Option<Exit> {
        None
    }

    /// What the instance's standard error says about its end: the first and the last lines, oldest
    /// first. Readable after the instance ended.
    fn last_words(&self) -> Vec<String>;

    /// What the user can do about the end of the instance, as far as its last words say what the matter was. May name
    /// ports and processes.
    fn remedy(&self) -> Boxed<'_, Option<Remedy>> {
        Box::pin(std::future::ready(None))
    }

    /// What an instance that no longer answers does, as the rest of a sentence about it, as far as that can be
    /// seen from outside.
    fn activity(&self) -> Option<&'static str> {
        None
    }

    /// Ends an instance that can't be spoken to any more, with shorter graces than [`stop`](Self::stop): what it
    /// may finish reaches nobody.
    fn stop_at_once(&mut self) -> Boxed<'_, ()> {
        self.stop()
    }

    /// Ends the instance and its descendants within seconds. May be called again, also after the
    /// instance ended.
    fn stop(&mut self) -> Boxed<'_, ()>;
}

/// Why an instance was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct StartError {
    /// The cause, followed by a remedy where one is known. May name paths and users.
    pub reason: String,
    /// The cause without anything of the configuration, as the rest of a sentence about the server.
    pub brief: &'static str,
    /// Whether retrying is useless until the configuration or the machine changes.
    pub permanent: bool,
}

// === impl HostAbilities ===

impl HostAbilities {
    /// The restart limits of one instance. `seed` varies the waits; use another for each instance.
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
