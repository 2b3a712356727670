//! The published revisions of MCP, and in what they differ as far as a gateway has to care.
//!
//! A revision is told apart in one place only: its [`Rules`]. Code elsewhere asks a rule and never
//! compares dates.

use std::fmt;

pub mod status;
mod v2024_11_05;
mod v2025_03_26;
mod v2025_06_18;
mod v2025_11_25;
mod v2026_07_28;

#[cfg(test)]
mod tests;

/// A published protocol version. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
    V2026_07_28,
}

/// The two ways a conversation can go. A server may know both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// `initialize` opens a conversation that both sides remember.
    Legacy,
    /// Every request stands alone and says in `_meta` what it needs.
    Modern,
}

/// How a revision goes over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpTransport {
    /// A GET opens the stream of all answers, which first names the address to POST to.
    HttpSse,
    /// One address: POST for messages, GET for what the server says unasked, DELETE to end.
    StreamableHttp,
    /// One address, POST only.
    StatelessHttp,
}

/// When `MCP-Protocol-Version` has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionHeader {
    /// The revision does not know it.
    Unknown,
    /// On everything after `initialize`. Where it is absent, 2025-03-26 is meant.
    AfterInitialize,
    /// On every request, and equal to what the body says.
    Always,
}

/// What one revision allows and asks for.
#[derive(Debug)]
pub struct Rules {
    pub revision: Revision,
    pub era: Era,
    pub http: HttpTransport,
    pub version_header: VersionHeader,
    /// `Mcp-Method` and `Mcp-Name` repeat the body.
    pub mirrored_headers: bool,
    /// The server may give out a session id, and the client has to send it back.
    pub sessions: bool,
    /// An array of messages may come as one body and has to be accepted.
    pub batches: bool,
    /// A stream may begin with an event that has an id and no data. Earlier clients may choke on it.
    pub priming_events: bool,
    /// A cut stream can be taken up again with `Last-Event-ID`.
    pub resumable: bool,
    /// The server may ask the client something, and the client may send answers.
    pub server_requests: bool,
    /// Over HTTP, closing the stream of an answer cancels the request. Elsewhere it must not.
    pub disconnect_cancels: bool,
    /// `resources/subscribe`, `resources/unsubscribe`, `logging/setLevel` and `ping` exist.
    pub stateful_methods: bool,
    /// Members of `capabilities` that a client may declare.
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

    /// The last that begins with `initialize`.
    pub const LATEST_LEGACY: Self = Self::V2025_11_25;

    pub const LATEST: Self = Self::V2026_07_28;

    /// What is meant where the version header is absent.
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

    /// By its date; none if it was never published.
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

    /// What to answer `initialize` with: the revision asked for if it has that handshake, else the
    /// latest that has. The client decides whether it can live with it.
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
