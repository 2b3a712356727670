//! 2025-03-26: streamable HTTP with sessions and resumption, and the only revision with batches.

use super::{Era, HttpTransport, Revision, Rules, VersionHeader, v2024_11_05};

pub(super) const RULES: Rules = Rules {
    revision: Revision::V2025_03_26,
    era: Era::Legacy,
    http: HttpTransport::StreamableHttp,
    version_header: VersionHeader::Unknown,
    mirrored_headers: false,
    sessions: true,
    batches: true,
    priming_events: false,
    resumable: true,
    server_requests: true,
    disconnect_cancels: false,
    stateful_methods: true,
    client_capabilities: v2024_11_05::CLIENT_CAPABILITIES,
    url_elicitation: false,
    sampling_tools: false,
};
