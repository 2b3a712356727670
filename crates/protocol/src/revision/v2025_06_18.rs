//! 2025-06-18: batches are gone, elicitation and the version header are new.

use super::{Era, HttpTransport, Revision, Rules, VersionHeader};

pub(super) const RULES: Rules = Rules {
    revision: Revision::V2025_06_18,
    era: Era::Legacy,
    http: HttpTransport::StreamableHttp,
    version_header: VersionHeader::AfterInitialize,
    mirrored_headers: false,
    sessions: true,
    batches: false,
    priming_events: false,
    resumable: true,
    server_requests: true,
    disconnect_cancels: false,
    stateful_methods: true,
    client_capabilities: &["experimental", "roots", "sampling", "elicitation"],
    url_elicitation: false,
    sampling_tools: false,
};
