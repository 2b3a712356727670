//! The values labels may have: closed lists, so that no client can make the series grow.

/// An enum whose variants are the values of one label.
macro_rules! label {
    (
        $(#[$about:meta])*
        pub enum $name:ident { $($(#[$variant_about:meta])* $variant:ident = $text:literal,)+ }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_about])* $variant,)+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            pub const COUNT: usize = Self::ALL.len();

            /// The value of the label.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            pub(crate) fn index(self) -> usize {
                self as usize
            }
        }
    };
}

label! {
    /// The method of a request. Notifications are not counted; a method that is not listed is
    /// [`Other`](Self::Other), because a client chooses the text.
    pub enum Method {
        Initialize = "initialize",
        Discover = "server/discover",
        Ping = "ping",
        ToolsList = "tools/list",
        ToolsCall = "tools/call",
        ResourcesList = "resources/list",
        ResourceTemplatesList = "resources/templates/list",
        ResourcesRead = "resources/read",
        ResourcesSubscribe = "resources/subscribe",
        ResourcesUnsubscribe = "resources/unsubscribe",
        PromptsList = "prompts/list",
        PromptsGet = "prompts/get",
        Complete = "completion/complete",
        SetLevel = "logging/setLevel",
        Listen = "subscriptions/listen",
        /// A server asks a client, as the next two.
        Sample = "sampling/createMessage",
        Elicit = "elicitation/create",
        RootsList = "roots/list",
        Other = "other",
    }
}

label! {
    /// How a request ended.
    pub enum Outcome {
        Ok = "ok",
        /// The tool itself says that it failed (`isError`).
        ToolError = "tool_error",
        /// The server answered with an error.
        Error = "error",
        /// Mainstay said no.
        Refused = "refused",
        /// The client took it back or went away.
        Cancelled = "cancelled",
        Timeout = "timeout",
        /// It was sent and its answer is lost.
        Lost = "lost",
    }
}

label! {
    /// How an attempt to get an answer from a server ended. A call that is repeated has several.
    pub enum Attempt {
        /// The server answered, be it with an error.
        Answered = "answered",
        /// The server could not be reached, or its answer will never come.
        Lost = "lost",
        /// The deadline of the call passed first.
        TimedOut = "timed_out",
        /// The client did not want the answer any more.
        Withdrawn = "withdrawn",
    }
}

label! {
    /// What a counted error was. The first thirteen are the names of our refusals, in their order.
    pub enum ErrorCode {
        TooManyRequests = "TOO_MANY_REQUESTS",
        QueueTimeout = "QUEUE_TIMEOUT",
        ServerLoading = "SERVER_LOADING",
        ServerUnavailable = "SERVER_UNAVAILABLE",
        BreakerOpen = "BREAKER_OPEN",
        DeadlineExceeded = "DEADLINE_EXCEEDED",
        OutcomeUnknown = "OUTCOME_UNKNOWN",
        Degraded = "DEGRADED",
        Maintenance = "MAINTENANCE",
        Forbidden = "FORBIDDEN",
        LimitExceeded = "LIMIT_EXCEEDED",
        SessionLimit = "SESSION_LIMIT",
        Internal = "INTERNAL",
        /// The pipe or connection to the server failed.
        Transport = "TRANSPORT",
        /// The server said something that is no message or breaks the protocol.
        Protocol = "PROTOCOL",
        Other = "OTHER",
    }
}

label! {
    /// Why a notification of a server reached no client.
    pub enum Dropped {
        /// The client reads too slowly and its queue is full.
        SlowClient = "slow_client",
        /// No stream of the client is open to carry it.
        NoListener = "no_listener",
        /// Nobody asked for it: an unknown progress token or subscription.
        Unasked = "unasked",
        /// The server sends more than it may.
        Flood = "flood",
        /// It names no call and calls of several clients are in flight: it must not be guessed.
        NoOwner = "no_owner",
        /// The server did not take what we sent it.
        NotDelivered = "not_delivered",
    }
}

label! {
    /// Why a client was not asked what a server wanted to ask it.
    pub enum QuestionRefused {
        /// As many questions of its call are open as may be.
        CallLimit = "call_limit",
        /// As many questions of its session are open as may be.
        SessionLimit = "session_limit",
        /// The open questions of its session hold as many bytes as they may.
        BytesLimit = "bytes_limit",
        /// The client does not read what it was sent before.
        SlowClient = "slow_client",
    }
}

label! {
    /// What a client got that wanted to go on with a stream.
    pub enum Resumption {
        /// The stream, from where it was cut.
        Resumed = "resumed",
        /// The call's answer is not kept any more, and that is what it was told.
        Lost = "lost",
        /// There is nothing to come on it.
        Over = "over",
        /// Another stream: which one was meant is not known, or it does not matter.
        Fresh = "fresh",
    }
}

label! {
    /// A stream that stands: a client keeps it open to hear what comes of its own accord.
    pub enum StreamKind {
        /// `subscriptions/listen` of 2026-07-28.
        Listen = "listen",
        /// The GET of a session over streamable HTTP.
        Get = "get",
        /// The one stream of a session over HTTP+SSE.
        Sse = "sse",
    }
}

label! {
    /// Why a stream that stood has ended.
    pub enum StreamEnd {
        /// The client closed it, or its connection was lost.
        Client = "client",
        /// The client reads too slowly to be told all it asked for.
        SlowClient = "slow_client",
        /// The same client has opened another that took its place.
        Displaced = "displaced",
        /// The session it belonged to has ended.
        Session = "session",
        /// The daemon stops.
        Stopped = "stopped",
    }
}

label! {
    /// Why a request or a connection was turned away before a message was read.
    pub enum Refused {
        Origin = "origin",
        Host = "host",
        /// The credential is missing or wrong.
        Login = "login",
        /// No such address.
        Path = "path",
        HttpMethod = "http_method",
        /// `Accept` or `Content-Type` is not what the transport wants.
        MediaType = "media_type",
        /// A header contradicts the body or is malformed.
        Header = "header",
        Revision = "revision",
        BodySize = "body_size",
        /// Header or body did not arrive in time.
        Slow = "slow",
        Malformed = "malformed",
        Depth = "depth",
        UnknownSession = "unknown_session",
        /// The session is somebody else's.
        ForeignSession = "foreign_session",
        SessionLimit = "session_limit",
        /// The store does not say whether there is such a session.
        Store = "store",
        ConnectionLimit = "connection_limit",
        Draining = "draining",
    }
}

label! {
    /// The state of a breaker; the position is the value of the metric.
    pub enum Breaker {
        Closed = "CLOSED",
        HalfOpen = "HALF_OPEN",
        Open = "OPEN",
    }
}

// === impl Method ===

impl Method {
    /// The label of a method as it stands on the wire.
    pub fn of(method: &str) -> Self {
        Self::ALL.iter().copied().find(|known| known.as_str() == method).unwrap_or(Self::Other)
    }
}

// === impl ErrorCode ===

impl ErrorCode {
    /// The label of a code's name.
    pub fn of(code: &str) -> Self {
        Self::ALL.iter().copied().find(|known| known.as_str() == code).unwrap_or(Self::Other)
    }
}

impl From<mainstay_model::RefusalCode> for ErrorCode {
    fn from(code: mainstay_model::RefusalCode) -> Self {
        Self::of(code.name())
    }
}

#[cfg(test)]
mod tests {
    use mainstay_model::RefusalCode;

    use super::{ErrorCode, Method};

    #[test]
    fn every_refusal_has_a_label_of_its_own() {
        for (at, code) in RefusalCode::ALL.into_iter().enumerate() {
            assert_eq!(ErrorCode::from(code).index(), at, "{}", code.name());
        }
    }

    #[test]
    fn what_a_client_invents_is_other() {
        assert_eq!(Method::of("tools/call"), Method::ToolsCall);
        assert_eq!(Method::of("tools/call\n"), Method::Other);
        assert_eq!(ErrorCode::of("-32603"), ErrorCode::Other);
    }
}
