//! What all handlers share.

use std::sync::Arc;

use bytes::Bytes;
use mainstay_store::AuditLog;
use mainstay_telemetry::{Metrics, ServerOutput};

use crate::action::Actions;
use crate::source::Source;
use crate::web::follow::Followers;
use crate::web::refusals::Refusals;

pub(crate) type Shared = Arc<Context>;

pub(crate) struct Context {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) actions: Arc<dyn Actions>,
    pub(crate) audit: Arc<dyn AuditLog>,
    pub(crate) refusals: Refusals,
    /// What servers wrote.
    pub(crate) output: ServerOutput,
    pub(crate) followers: Followers,
    pub(crate) metrics: Arc<Metrics>,
    /// What `/openapi.json` answers.
    pub(crate) document: Bytes,
}
