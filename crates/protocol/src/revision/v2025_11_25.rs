//! 2025-11-25: the last with a handshake. A server may close a stream and let the client come back
//! for the rest, so streams begin with an event to come back to.

use super::{Era, HttpTransport, Revision, Rules, VersionHeader};

pub(super) const RULES: Rules = Rules {
    revision: Revision::V2025_11_25,
    era: Era::Legacy,
    http: HttpTransport::StreamableHttp,
    version_header: VersionHeader::AfterInitialize,
    mirrored_headers: false,
    sessions: true,
    batches: false,
    priming_events: true,
    resumable: true,
    server_requests: true,
    disconnect_cancels: false,
    stateful_methods: true,
    client_capabilities: &["experimental", "roots", "sampling", "elicitation", "tasks"],
    url_elicitation: true,
    sampling_tools: true,
};
