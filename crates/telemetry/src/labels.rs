//! The values of labels. They are closed enums, so clients can't create new series.

/// Defines an enum whose variants are the values of a label.
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
    /// The method of a request. Notifications are not counted. Unknown methods are [`Other`](Self::Other),
    /// because clients choose the text.
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
        /// Sent by a server to a client, like the next two.
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
        /// The tool reported a failure (`isError`).
        ToolError = "tool_error",
        /// The server answered with an error.
        Error = "error",
        /// Mainstay refused the request.
        Refused = "refused",
        /// The client cancelled the request or disconnected.
        Cancelled = "cancelled",
        Timeout = "timeout",
        /// The request was sent, but its response was lost.
        Lost = "lost",
    }
}

label! {
    /// How an attempt to get a response from a server ended. A repeated call has several attempts.
    pub enum Attempt {
        /// The server responded with a result or an error.
        Answered = "answered",
        /// The server could not be reached, or its response was lost.
        Lost = "lost",
        /// The deadline of the call passed first.
        TimedOut = "timed_out",
        /// The client cancelled the request.
        Withdrawn = "withdrawn",
    }
}

label! {
    /// What became of the wish to send a call again.
    pub enum Retry {
        /// The call was sent again.
        Sent = "sent",
        /// The retry budget had no place for it before its deadline.
        OverBudget = "over_budget",
        /// The client took the call back, or the daemon stopped, before its place came.
        Withdrawn = "withdrawn",
    }
}

label! {
    /// The kind of an error. The first thirteen are the refusal codes in their order.
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
        /// The server sent an invalid message or broke the protocol.
        Protocol = "PROTOCOL",
        /// No server at the address has what the request names, or takes its method.
        NoRoute = "NO_ROUTE",
        Other = "OTHER",
    }
}

label! {
    /// Why a notification of a server was dropped.
    pub enum Dropped {
        /// The client reads too slowly and its queue is full.
        SlowClient = "slow_client",
        /// The client has no open stream.
        NoListener = "no_listener",
        /// The progress token or subscription is unknown.
        Unasked = "unasked",
        /// The server exceeded its limit.
        Flood = "flood",
        /// The notification names no call, and calls of several clients are in flight.
        NoOwner = "no_owner",
        /// The server did not accept a notification of a client.
        NotDelivered = "not_delivered",
    }
}

label! {
    /// Why a question of a server was refused.
    pub enum QuestionRefused {
        /// The call has the maximum number of open questions.
        CallLimit = "call_limit",
        /// The session has the maximum number of open questions.
        SessionLimit = "session_limit",
        /// The session's open questions have the maximum size.
        BytesLimit = "bytes_limit",
        /// The client does not read its stream.
        SlowClient = "slow_client",
    }
}

label! {
    /// The outcome of an attempt to resume a stream.
    pub enum Resumption {
        /// The stream was resumed where it was cut.
        Resumed = "resumed",
        /// The response of the call is no longer available, and the client was told so.
        Lost = "lost",
        /// The stream is complete.
        Over = "over",
        /// A new stream, because the requested one is unknown or irrelevant.
        Fresh = "fresh",
    }
}

label! {
    /// The kind of a long-lived stream, which a client keeps open to receive messages outside of calls.
    pub enum StreamKind {
        /// `subscriptions/listen` of 2026-07-28.
        Listen = "listen",
        /// The GET stream of a session over streamable HTTP.
        Get = "get",
        /// The stream of a session over HTTP+SSE.
        Sse = "sse",
    }
}

label! {
    /// Why a long-lived stream ended.
    pub enum StreamEnd {
        /// The client closed the stream, or its connection was lost.
        Client = "client",
        /// The client reads too slowly.
        SlowClient = "slow_client",
        /// The same client opened a new stream instead.
        Displaced = "displaced",
        /// The session ended.
        Session = "session",
        /// The daemon is stopping.
        Stopped = "stopped",
    }
}

label! {
    /// Why a request or a connection was refused before a message was read.
    pub enum Refused {
        /// The memory budget is used up.
        Memory = "memory",
        Origin = "origin",
        Host = "host",
        /// The credential is missing or wrong.
        Login = "login",
        /// The address does not exist.
        Path = "path",
        HttpMethod = "http_method",
        /// `Accept` or `Content-Type` is not allowed by the transport.
        MediaType = "media_type",
        /// A header is malformed or contradicts the body.
        Header = "header",
        Revision = "revision",
        BodySize = "body_size",
        /// The headers or the body did not arrive in time.
        Slow = "slow",
        Malformed = "malformed",
        Depth = "depth",
        UnknownSession = "unknown_session",
        /// The session belongs to another user.
        ForeignSession = "foreign_session",
        SessionLimit = "session_limit",
        /// The store does not say whether there is such a session.
        Store = "store",
        ConnectionLimit = "connection_limit",
        Draining = "draining",
    }
}

label! {
    /// What became of a notification about a server.
    pub enum Notified {
        Delivered = "delivered",
        /// All attempts failed.
        Failed = "failed",
        /// Too many were waiting.
        Dropped = "dropped",
        /// A newer one about the same server was sent instead.
        Merged = "merged",
    }
}

label! {
    /// The state of a circuit breaker. The index is the value of the metric.
    pub enum Breaker {
        Closed = "CLOSED",
        HalfOpen = "HALF_OPEN",
        Open = "OPEN",
    }
}

// === impl Method ===

impl Method {
    /// The label for a method's name on the wire.
    pub fn from_wire(method: &str) -> Self {
        Self::ALL.iter().copied().find(|known| known.as_str() == method).unwrap_or(Self::Other)
    }
}

// === impl ErrorCode ===

impl ErrorCode {
    /// The label for the name of an error code.
    pub fn from_name(code: &str) -> Self {
        Self::ALL.iter().copied().find(|known| known.as_str() == code).unwrap_or(Self::Other)
    }
}

impl From<mainstay_model::RefusalCode> for ErrorCode {
    fn from(code: mainstay_model::RefusalCode) -> Self {
        Self::from_name(code.name())
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
        assert_eq!(Method::from_wire("tools/call"), Method::ToolsCall);
        assert_eq!(Method::from_wire("tools/call\n"), Method::Other);
        assert_eq!(ErrorCode::from_name("-32603"), ErrorCode::Other);
    }
}
