//! Refusals: the errors that Mainstay itself answers with. The codes are stable.

use serde::Serialize;

use crate::{Name, Need};

/// The code of a refusal. Its number is the JSON-RPC error `code`; its name is `data.code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefusalCode {
    TooManyRequests = 1001,
    QueueTimeout = 1002,
    ServerLoading = 1003,
    ServerUnavailable = 1004,
    BreakerOpen = 1005,
    DeadlineExceeded = 1006,
    OutcomeUnknown = 1007,
    Degraded = 1008,
    Maintenance = 1009,
    Forbidden = 1010,
    LimitExceeded = 1011,
    SessionLimit = 1012,
    Internal = 1013,
}

/// A refusal: a code, a message and details that help the client. Contains no secrets.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub code: RefusalCode,
    pub message: String,
    pub data: Box<RefusalData>,
}

/// The `data` member of the JSON-RPC error. Members without a value are omitted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RefusalData {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Name>,
    /// How long the client should wait before it retries, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The limit that was reached, with its value, such as `max_body: 4 MiB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// When the condition began, as an RFC 3339 time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The id under which the log has the internal error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_id: Option<String>,
    /// What the call needs and does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<UnmetNeed>,
    /// What the server can do all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub works: Option<WorkingTools>,
}

/// Something that tools need and that is down, or whose circuit breaker refuses calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnmetNeed {
    pub need: Need,
    /// Its state, or `breaker-open` or `breaker-half-open`.
    pub state: String,
    /// Since when, as an RFC 3339 time.
    pub since: String,
    /// What is wrong, as the rest of a sentence that names the need first.
    pub reason: String,
    /// The time until it is tried next, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// Tools that work although something is down that others need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkingTools {
    #[serde(rename = "tools")]
    pub count: usize,
    /// The first few of them.
    pub names: Vec<String>,
}

// === impl RefusalCode ===

impl RefusalCode {
    pub const ALL: [Self; 13] = [
        Self::TooManyRequests,
        Self::QueueTimeout,
        Self::ServerLoading,
        Self::ServerUnavailable,
        Self::BreakerOpen,
        Self::DeadlineExceeded,
        Self::OutcomeUnknown,
        Self::Degraded,
        Self::Maintenance,
        Self::Forbidden,
        Self::LimitExceeded,
        Self::SessionLimit,
        Self::Internal,
    ];

    /// The JSON-RPC error code, 1001 to 1013.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The stable name, as in `data.code`.
    pub fn name(self) -> &'static str {
        match self {
            Self::TooManyRequests => "TOO_MANY_REQUESTS",
            Self::QueueTimeout => "QUEUE_TIMEOUT",
            Self::ServerLoading => "SERVER_LOADING",
            Self::ServerUnavailable => "SERVER_UNAVAILABLE",
            Self::BreakerOpen => "BREAKER_OPEN",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Self::Degraded => "DEGRADED",
            Self::Maintenance => "MAINTENANCE",
            Self::Forbidden => "FORBIDDEN",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::SessionLimit => "SESSION_LIMIT",
            Self::Internal => "INTERNAL",
        }
    }
}

// === impl Refusal ===

impl Refusal {
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: Box::default() }
    }

    pub fn server(mut self, server: &Name) -> Self {
        self.data.server = Some(server.clone());
        self
    }

    pub fn retry_after(mut self, after: std::time::Duration) -> Self {
        self.data.retry_after_ms = Some(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        self
    }

    pub fn limit(mut self, limit: impl Into<String>) -> Self {
        self.data.limit = Some(limit.into());
        self
    }

    pub fn since(mut self, since: impl Into<String>) -> Self {
        self.data.since = Some(since.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.data.hint = Some(hint.into());
        self
    }

    /// The JSON-RPC `error` member: `{"code":…,"message":…,"data":{"code":…,…}}`.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Wire<'a> {
            code: i32,
            message: &'a str,
            data: Data<'a>,
        }
        #[derive(Serialize)]
        struct Data<'a> {
            code: RefusalCode,
            #[serde(flatten)]
            rest: &'a RefusalData,
        }
        let wire = Wire {
            code: self.code.number(),
            message: &self.message,
            data: Data { code: self.code, rest: &self.data },
        };
        serde_json::to_string(&wire)
            .unwrap_or_else(|_| format!(r#"{{"code":{},"message":"refused"}}"#, self.code.number()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Refusal, RefusalCode};

    #[test]
    fn names_on_the_wire_are_the_contracted_ones() {
        for (at, code) in RefusalCode::ALL.into_iter().enumerate() {
            assert_eq!(code.number(), 1001 + i32::try_from(at).unwrap());
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{}\"", code.name()));
        }
    }

    #[test]
    fn absent_members_are_left_out() {
        let refusal = Refusal::new(RefusalCode::ServerLoading, "not ready")
            .retry_after(std::time::Duration::from_secs(2));
        assert_eq!(
            refusal.to_json(),
            r#"{"code":1003,"message":"not ready","data":{"code":"SERVER_LOADING","retry_after_ms":2000}}"#
        );
    }
}
