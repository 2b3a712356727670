//! What all handlers share.

use std::sync::Arc;

use bytes::Bytes;
use mainstay_store::{AuditLog, EventLog};
use mainstay_telemetry::{Metrics, ServerOutput};

use crate::action::Actions;
use crate::source::Source;
use crate::verify::Verifier;
use crate::web::follow::Followers;
use crate::web::refusals::Refusals;

pub(crate) type Shared = Arc<Context>;

pub(crate) struct Context {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) actions: Arc<dyn Actions>,
    pub(crate) verifier: Arc<dyn Verifier>,
    pub(crate) audit: Arc<dyn AuditLog>,
    pub(crate) events: Arc<dyn EventLog>,
    pub(crate) refusals: Refusals,
    /// What servers wrote.
    pub(crate) output: ServerOutput,
    /// Places for streams to the operator.
    pub(crate) followers: Followers,
    /// Places for streams to others, who can't take those of the operator.
    pub(crate) open_followers: Followers,
    pub(crate) metrics: Arc<Metrics>,
    /// What `/openapi.json` answers.
    pub(crate) document: Bytes,
}
