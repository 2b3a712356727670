//! 2026-07-28: no handshake and no session. A request brings its revision and its client's
//! capabilities along, headers repeat what middle boxes want to see, and what a server wants to ask
//! comes as a result that the client answers with another request.

use super::{Era, HttpTransport, Revision, Rules, VersionHeader};

pub(super) const RULES: Rules = Rules {
    revision: Revision::V2026_07_28,
    era: Era::Modern,
    http: HttpTransport::StatelessHttp,
    version_header: VersionHeader::Always,
    mirrored_headers: true,
    sessions: false,
    batches: false,
    priming_events: false,
    resumable: false,
    server_requests: false,
    disconnect_cancels: true,
    stateful_methods: false,
    client_capabilities: &["experimental", "roots", "sampling", "elicitation", "extensions"],
    url_elicitation: true,
    sampling_tools: true,
};
