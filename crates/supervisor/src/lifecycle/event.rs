//! What happens to an instance, and what its driver must do about that.

use super::RunNo;

/// An input of the state machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// The instance is needed. Earlier losses are forgotten.
    Start,
    /// What the instance needs is ready again. Earlier losses still count.
    Resume,
    /// The driver reports an event of the run that it was told to spawn.
    Heard(RunNo, RunEvent),
    /// The instance is no longer needed.
    Stop,
    /// The driver has carried out [`Stop`](LifecycleEvent::Stop): no part of the instance is left.
    Stopped,
    /// Somebody wants to use the instance. Starts an instance that rests.
    Wanted,
    /// Nobody has used the instance for its idle time. A ready instance rests.
    Unused { reason: String },
    /// Time has passed. An early tick has no effect; a late tick only delays its effect.
    Tick,
}

/// What the driver reports about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEvent {
    /// The process has started, or the connection is open.
    Spawned,
    /// The handshake is complete and the lists are fetched.
    Ready,
    /// The instance exited, closed its connection, stopped responding, or could not be started.
    Lost { reason: String },
    /// The instance ended itself without an error while nobody used it. `served`: after it had answered
    /// a call.
    Finished { reason: String, served: bool },
    /// The process of a service exited with code 0.
    Exited { reason: String },
    /// The probe of an instance that starts did not pass yet.
    NotYet { reason: String },
    /// The probe of a ready instance failed too often in a row. The instance answers, so a restart would not
    /// help it.
    Unfit { reason: String },
    /// The probe of an unhealthy instance passed.
    Fit,
    /// No restart can help, for example because the command does not exist or the protocol is wrong.
    Unserveable { reason: String },
}

/// What the driver must do. It completes each effect before it begins the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Start a run and report its events under this number.
    Spawn(RunNo),
    /// Start the handshake. Report [`RunEvent::Ready`] once the first lists are fetched.
    Handshake,
    /// Admit calls.
    OpenGate,
    /// Admit no new calls. Calls in flight may finish before the next effect.
    ShutGate,
    /// End everything that is left of the run. Has no effect if nothing is left.
    Kill,
}
