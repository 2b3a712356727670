//! A request that was admitted: what the modules of the edge know of it.

use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;
use mainstay_telemetry::Refused;
use mainstay_telemetry::events::RefusedRequest;

use crate::caller::Caller;
use crate::gateway::Gateway;

/// A request that was admitted, without its body.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    pub(crate) gateway: &'a Arc<Gateway>,
    pub(crate) parts: &'a Parts,
    pub(crate) caller: Caller,
    /// Prefix that a trusted proxy removed from the path.
    pub(crate) prefix: Option<String>,
}

// === impl Admitted ===

impl Admitted<'_> {
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Counts and logs why the request is refused. `detail` is the offending value, if it is no
    /// secret.
    pub(crate) fn count_refusal(&self, reason: Refused, detail: &str) {
        let (peer, request_id) = (self.caller.address, Some(&self.caller.request_id));
        RefusedRequest { reason, peer, request_id, detail }.emit(&self.gateway.serving.metrics);
    }
}
