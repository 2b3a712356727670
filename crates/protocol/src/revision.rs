//! The published revisions of MCP, and their differences as far as a gateway is concerned.
//!
//! All differences are in [`Rules`]. Other code asks a rule and never compares revisions.

use std::fmt;

pub mod status;
mod v2024_11_05;
mod v2025_03_26;
mod v2025_06_18;
mod v2025_11_25;
mod v2026_07_28;

#[cfg(test)]
mod tests;

/// A published revision of the protocol. Later revisions are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
    V2026_07_28,
}

/// The two eras of the protocol. A server can support both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// `initialize` opens a session that both sides keep state for.
    Legacy,
    /// There are no sessions: every request carries its context in `_meta`.
    Modern,
}

/// The HTTP transport of a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpTransport {
    /// HTTP+SSE: a GET opens the stream of all responses. Its first event names the address to POST to.
    HttpSse,
    /// Streamable HTTP at one address: POST sends messages, GET opens a stream for messages of the server,
    /// DELETE ends the session.
    StreamableHttp,
    /// Streamable HTTP without sessions: POST only.
    StatelessHttp,
}

/// When a request must have the header `MCP-Protocol-Version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionHeader {
    /// The revision does not define the header.
    Unknown,
    /// On every request after `initialize`. An absent header means 2025-03-26.
    AfterInitialize,
    /// On every request, and equal to the revision in the body.
    Always,
}

/// What a revision allows and requires.
#[derive(Debug)]
pub struct Rules {
    pub revision: Revision,
    pub era: Era,
    pub http: HttpTransport,
    pub version_header: VersionHeader,
    /// `Mcp-Method` and `Mcp-Name` repeat members of the body.
    pub mirrored_headers: bool,
    /// The server may assign a session id, which the client must send with each request.
    pub sessions: bool,
    /// A request body may be an array of messages, which the server must accept.
    pub batches: bool,
    /// A stream may begin with an event that has an id and no data. Clients of earlier revisions may fail
    /// on it.
    pub priming_events: bool,
    /// A client can resume a stream with `Last-Event-ID`.
    pub resumable: bool,
    /// The server may send requests to the client.
    pub server_requests: bool,
    /// Over HTTP, closing the response stream cancels the request. In other revisions it must not.
    pub disconnect_cancels: bool,
    /// `resources/subscribe`, `resources/unsubscribe`, `logging/setLevel` and `ping` exist.
    pub stateful_methods: bool,
    /// The members of `capabilities` that a client may declare.
    pub client_capabilities: &'static [&'static str],
    /// The client may declare `elicitation.url`.
    pub url_elicitation: bool,
    /// The client may declare `sampling.tools`.
    pub sampling_tools: bool,
}

// === impl Revision ===

impl Revision {
    pub const ALL: [Self; 5] = [
        Self::V2024_11_05,
        Self::V2025_03_26,
        Self::V2025_06_18,
        Self::V2025_11_25,
        Self::V2026_07_28,
    ];

    /// The latest revision with an `initialize` handshake.
    pub const LATEST_LEGACY: Self = Self::V2025_11_25;

    /// The revisions with an `initialize` handshake, the latest first.
    pub const LEGACY: [Self; 4] =
        [Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26, Self::V2024_11_05];

    pub const LATEST: Self = Self::V2026_07_28;

    /// The revision that a request without the version header has.
    pub const WITHOUT_HEADER: Self = Self::V2025_03_26;

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Parses a revision's date. `None` if it was never published.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.as_str() == text)
    }

    pub const fn rules(self) -> &'static Rules {
        match self {
            Self::V2024_11_05 => &v2024_11_05::RULES,
            Self::V2025_03_26 => &v2025_03_26::RULES,
            Self::V2025_06_18 => &v2025_06_18::RULES,
            Self::V2025_11_25 => &v2025_11_25::RULES,
            Self::V2026_07_28 => &v2026_07_28::RULES,
        }
    }

    pub const fn era(self) -> Era {
        self.rules().era
    }

    /// The revision to answer `initialize` with: the requested one if it is a legacy revision, or else the
    /// latest legacy revision. The client decides whether it accepts the answer.
    pub fn negotiate(requested: &str) -> Self {
        Self::parse(requested)
            .filter(|revision| revision.era() == Era::Legacy)
            .unwrap_or(Self::LATEST_LEGACY)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Rules ===

impl Rules {
    /// Whether GET opens a stream at the address that takes messages; 405 where not.
    pub fn get_opens_a_stream(&self) -> bool {
        self.http == HttpTransport::StreamableHttp
    }

    /// Whether DELETE ends a session; 405 where not.
    pub fn delete_ends_a_session(&self) -> bool {
        self.sessions
    }

    /// The `Allow` header that goes with 405.
    pub fn allowed_methods(&self) -> &'static str {
        match self.http {
            HttpTransport::StreamableHttp => "GET, POST, DELETE",
            HttpTransport::HttpSse | HttpTransport::StatelessHttp => "POST",
        }
    }
}
