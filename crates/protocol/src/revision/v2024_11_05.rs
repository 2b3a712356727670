//! 2024-11-05: the first. Over HTTP one stream carries all answers, and messages are POSTed beside it.

use super::{Era, HttpTransport, Revision, Rules, VersionHeader};

pub(super) const CLIENT_CAPABILITIES: &[&str] = &["experimental", "roots", "sampling"];

pub(super) const RULES: Rules = Rules {
    revision: Revision::V2024_11_05,
    era: Era::Legacy,
    http: HttpTransport::HttpSse,
    version_header: VersionHeader::Unknown,
    mirrored_headers: false,
    sessions: false,
    // JSON-RPC has batches, this revision's schema does not.
    batches: false,
    priming_events: false,
    resumable: false,
    server_requests: true,
    disconnect_cancels: false,
    stateful_methods: true,
    client_capabilities: CLIENT_CAPABILITIES,
    url_elicitation: false,
    sampling_tools: false,
};
