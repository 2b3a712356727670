//! Verification: checks of the stack that are made because somebody asks for them. The composition of the daemon
//! makes them.

use std::pin::Pin;
use std::time::Duration;

use crate::api::verify::VerifyReport;

/// What is to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Servers, services, externals and checks. Empty: everything.
    pub names: Vec<String>,
    /// The time limit for all checks together.
    pub timeout: Duration,
}

/// Makes checks.
pub trait Verifier: Send + Sync {
    /// Makes the checks at the same time, each within its time limit, and changes nothing itself. Tool calls do
    /// what the tools do.
    fn verify(&self, asked: Verification) -> Verifying<'_>;
}

/// A verification under way.
pub type Verifying<'a> =
    Pin<Box<dyn Future<Output = Result<VerifyReport, NothingCalled>> + Send + 'a>>;

/// Nothing that could be checked has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no server, service, external or check {name:?}")]
pub struct NothingCalled {
    pub name: String,
    /// The names that there are.
    pub names: Vec<String>,
}
