//! What people are told about servers and the daemon, and the changes of it.
//!
//! An [`InstanceState`](crate::status::InstanceState) is what an instance does at the moment. A condition is
//! what that means for those who use the server: a server in a crash loop stays in it while one more try is
//! under way.

use serde::Serialize;

/// What is told about a server, or about the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Condition {
    Stopped,
    /// It does not run, because something that it needs is not ready.
    Waiting,
    /// It starts, and nothing went wrong yet.
    Starting,
    Ready,
    /// It does not run, because nobody uses it. It starts when it is wanted.
    Idle,
    /// It is ready, and another instance of it is in a crash loop or has failed.
    Degraded,
    /// It was lost or could not start, and is tried again soon.
    NotReady,
    /// It was lost too often, and is tried every few minutes.
    CrashLoop,
    /// It can't be served, and is tried every few minutes.
    Failed,
    /// Of its circuit breaker: all calls pass.
    BreakerClosed,
    /// Of its circuit breaker: the next call is a trial.
    BreakerHalfOpen,
    /// Of its circuit breaker: no call passes.
    BreakerOpen,
    /// Of a reload of the configuration: what changed is in force.
    Reloaded,
    /// Of a reload of the configuration: the old settings stay in force.
    NotReloaded,
    /// Only of the daemon: it serves.
    Running,
    /// Only of the daemon: it finishes calls in flight and then stops.
    Draining,
}

/// What a change is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    Waiting,
    Starting,
    Ready,
    /// Ready again after trouble.
    Back,
    Idle,
    Degraded,
    NotReady,
    CrashLoop,
    Failed,
    Stopped,
    /// The circuit breaker of a server, service or external opened or closed.
    Breaker,
    /// The circuit breaker of a server, service or external is half-open.
    BreakerTrial,
    /// A reload of the configuration changed the server, service or external; of the daemon: it ended.
    Reloaded,
    /// A reload of the configuration left the old settings in force.
    NotReloaded,
    /// Only of the daemon.
    Started,
    /// Only of the daemon.
    Draining,
}

// === impl Condition ===

impl Condition {
    pub const ALL: [Self; 16] = [
        Self::Stopped,
        Self::Waiting,
        Self::Starting,
        Self::Ready,
        Self::Idle,
        Self::Degraded,
        Self::NotReady,
        Self::CrashLoop,
        Self::Failed,
        Self::BreakerClosed,
        Self::BreakerHalfOpen,
        Self::BreakerOpen,
        Self::Reloaded,
        Self::NotReloaded,
        Self::Running,
        Self::Draining,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Idle => "idle",
            Self::Degraded => "degraded",
            Self::NotReady => "not-ready",
            Self::CrashLoop => "crash-loop",
            Self::Failed => "failed",
            Self::BreakerClosed => "breaker-closed",
            Self::BreakerHalfOpen => "breaker-half-open",
            Self::BreakerOpen => "breaker-open",
            Self::Reloaded => "reloaded",
            Self::NotReloaded => "not-reloaded",
            Self::Running => "running",
            Self::Draining => "draining",
        }
    }

    /// The condition with this word, as [`as_str`](Self::as_str) has it.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|condition| condition.as_str() == word)
    }

    /// Whether somebody should look at the server.
    pub fn is_trouble(self) -> bool {
        matches!(
            self,
            Self::Degraded
                | Self::NotReady
                | Self::CrashLoop
                | Self::Failed
                | Self::BreakerHalfOpen
                | Self::BreakerOpen
        )
    }

    /// Whether this is told about a circuit breaker, and says nothing about what it belongs to.
    pub fn is_of_breaker(self) -> bool {
        matches!(self, Self::BreakerClosed | Self::BreakerHalfOpen | Self::BreakerOpen)
    }

    /// Whether this is told about a reload of the configuration, and says nothing about whether a server works.
    pub fn is_of_reload(self) -> bool {
        matches!(self, Self::Reloaded | Self::NotReloaded)
    }
}

// === impl ChangeKind ===

impl ChangeKind {
    pub const ALL: [Self; 16] = [
        Self::Waiting,
        Self::Starting,
        Self::Ready,
        Self::Back,
        Self::Idle,
        Self::Degraded,
        Self::NotReady,
        Self::CrashLoop,
        Self::Failed,
        Self::Stopped,
        Self::Breaker,
        Self::BreakerTrial,
        Self::Reloaded,
        Self::NotReloaded,
        Self::Started,
        Self::Draining,
    ];

    /// What the change from one condition to another is called.
    pub fn of(from: Condition, to: Condition) -> Self {
        match to {
            Condition::Ready | Condition::Idle if from.is_trouble() => Self::Back,
            Condition::Stopped => Self::Stopped,
            Condition::Waiting => Self::Waiting,
            Condition::Starting => Self::Starting,
            Condition::Ready => Self::Ready,
            Condition::Idle => Self::Idle,
            Condition::Degraded => Self::Degraded,
            Condition::NotReady => Self::NotReady,
            Condition::CrashLoop => Self::CrashLoop,
            Condition::Failed => Self::Failed,
            Condition::BreakerClosed | Condition::BreakerOpen => Self::Breaker,
            Condition::BreakerHalfOpen => Self::BreakerTrial,
            Condition::Reloaded => Self::Reloaded,
            Condition::NotReloaded => Self::NotReloaded,
            Condition::Running => Self::Started,
            Condition::Draining => Self::Draining,
        }
    }

    /// The changes that somebody can be told of.
    pub const TOLD: [Self; 6] =
        [Self::CrashLoop, Self::NotReady, Self::Failed, Self::Degraded, Self::Breaker, Self::Back];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Back => "back",
            Self::Idle => "idle",
            Self::Degraded => "degraded",
            Self::NotReady => "not-ready",
            Self::CrashLoop => "crash-loop",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Breaker => "breaker",
            Self::BreakerTrial => "breaker-trial",
            Self::Reloaded => "reloaded",
            Self::NotReloaded => "not-reloaded",
            Self::Started => "started",
            Self::Draining => "draining",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ChangeKind, Condition};

    #[test]
    fn words_lead_back_to_their_conditions() {
        for condition in Condition::ALL {
            assert_eq!(Condition::from_word(condition.as_str()), Some(condition));
        }
        assert_eq!(Condition::from_word("back"), None);
    }

    #[test]
    fn a_server_is_back_only_after_trouble() {
        use Condition::{Degraded, Failed, Idle, Ready, Starting};
        assert_eq!(ChangeKind::of(Starting, Ready), ChangeKind::Ready);
        assert_eq!(ChangeKind::of(Idle, Ready), ChangeKind::Ready);
        assert_eq!(ChangeKind::of(Failed, Ready), ChangeKind::Back);
        assert_eq!(ChangeKind::of(Degraded, Idle), ChangeKind::Back);
        assert_eq!(ChangeKind::of(Ready, Failed), ChangeKind::Failed);
    }
}
