//! What a command asks the daemon, with the types of the API.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Answer, Client, ClientError, request};
use crate::action::Action;
use crate::api::actions::{
    ActionDone, LogLevelRequest, RefreshRequest, ReloadRequest, ResetBreakerRequest, StopRequest,
};
use crate::api::audit::AuditPage;
use crate::api::breakers::CircuitBreakers;
use crate::api::configuration::Configuration;
use crate::api::events::{EventPage, EventRecord};
use crate::api::graph::Graph;
use crate::api::logs::{LogLine, LogPage};
use crate::api::nodes::NodeRequest;
use crate::api::pools::PoolNumbers;
use crate::api::problem::Problem;
use crate::api::servers::Servers;
use crate::api::services::Services;
use crate::api::sessions::Sessions;
use crate::api::status::DaemonStatus;
use crate::api::verify::{VerifyReport, VerifyRequest};

/// Lines that are asked for at most: as many as the daemon gives.
const LINES: usize = 10_000;

/// Which lines of servers are asked for.
#[derive(Debug, Clone, Default)]
pub struct LogsAsked {
    /// Only those of this server.
    pub server: Option<String>,
    pub since: Option<Timestamp>,
}

/// Events that are asked for at once: as many as the daemon gives.
const EVENTS: usize = 1000;

/// Which events are asked for.
#[derive(Debug, Clone, Default)]
pub struct EventsAsked {
    /// Only those of this server.
    pub name: Option<String>,
    pub since: Option<Timestamp>,
    /// Those that follow the event with this id, 0 for all. None: the newest.
    pub after: Option<u64>,
    /// At most 1000; none: as many.
    pub limit: Option<usize>,
}

impl Client {
    /// Everything about the daemon.
    pub async fn status(&self) -> Result<DaemonStatus, ClientError> {
        self.read("/api/status").await
    }

    pub async fn servers(&self) -> Result<Servers, ClientError> {
        self.read("/api/servers").await
    }

    /// The dependency graph.
    pub async fn graph(&self) -> Result<Graph, ClientError> {
        self.read("/api/graph").await
    }

    pub async fn services(&self) -> Result<Services, ClientError> {
        self.read("/api/services").await
    }

    pub async fn breakers(&self) -> Result<CircuitBreakers, ClientError> {
        self.read("/api/breakers").await
    }

    /// The configuration in force, and how reloads went.
    pub async fn configuration(&self) -> Result<Configuration, ClientError> {
        self.read("/api/configuration").await
    }

    /// The same, where `last` is the reload of this number once it has ended.
    pub async fn reload(&self, number: u64) -> Result<Configuration, ClientError> {
        self.read(&format!("/api/configuration?reload={number}")).await
    }

    pub async fn sessions(&self) -> Result<Sessions, ClientError> {
        self.read("/api/sessions").await
    }

    /// The numbers of all pools.
    pub async fn pools(&self) -> Result<PoolNumbers, ClientError> {
        self.read("/stats/pool").await
    }

    /// The newest entries of the audit log, at most `limit` (1 to 1000).
    pub async fn audit(&self, limit: u64) -> Result<AuditPage, ClientError> {
        self.read(&format!("/api/audit?limit={limit}")).await
    }

    /// What servers wrote, oldest first.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with the names of all servers, where there is none of that name.
    pub async fn logs(&self, asked: &LogsAsked) -> Result<LogPage, ClientError> {
        self.read(&asked.path(false)).await
    }

    /// The same, and each new line, until `on_line` returns false or the daemon ends.
    ///
    /// # Errors
    /// As for [`logs`](Self::logs), and when the stream breaks off.
    pub async fn follow_logs(
        &self,
        asked: &LogsAsked,
        on_line: &mut (dyn FnMut(LogLine) -> bool + Send),
    ) -> Result<(), ClientError> {
        self.follow(&asked.path(true), on_line).await
    }

    /// Events, oldest first.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with the names of all servers, where there is and was none of that name.
    pub async fn events(&self, asked: &EventsAsked) -> Result<EventPage, ClientError> {
        self.read(&asked.path(false)).await
    }

    /// The same, and each new event, until `on_event` returns false or the daemon ends.
    ///
    /// # Errors
    /// As for [`events`](Self::events), and when the stream breaks off.
    pub async fn follow_events(
        &self,
        asked: &EventsAsked,
        on_event: &mut (dyn FnMut(EventRecord) -> bool + Send),
    ) -> Result<(), ClientError> {
        self.follow(&asked.path(true), on_event).await
    }

    /// Has the daemon change something, or with `dry_run` say what that would do.
    ///
    /// # Errors
    /// [`ClientError::Problem`] where it can't be done.
    pub async fn act(&self, action: Action, dry_run: bool) -> Result<ActionDone, ClientError> {
        let path = format!("/api/actions/{}", action.name());
        match action {
            Action::Stop => self.write(&path, &StopRequest { dry_run }).await,
            Action::Reload => self.write(&path, &ReloadRequest { dry_run }).await,
            Action::SetLogLevel(level) => {
                self.write(&path, &LogLevelRequest { level, dry_run }).await
            }
            Action::Refresh { server } => {
                self.write(&path, &RefreshRequest { server, dry_run }).await
            }
            Action::StartNode { name }
            | Action::StopNode { name }
            | Action::RestartNode { name } => {
                self.write(&path, &NodeRequest { name, dry_run }).await
            }
            Action::ResetBreaker { name } => {
                self.write(&path, &ResetBreakerRequest { name, dry_run }).await
            }
        }
    }

    /// Has the daemon make checks.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with the names of all that can be checked, where there is none of that name.
    pub async fn verify(&self, asked: &VerifyRequest) -> Result<VerifyReport, ClientError> {
        self.write("/api/verify", asked).await
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.get(path).await?.read()
    }

    async fn write<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(ClientError::Unexpected)?;
        let mut request = request(Method::POST, path, Bytes::from(body));
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        self.whole(request).await?.read()
    }
}

// === impl LogsAsked ===

impl LogsAsked {
    fn path(&self, follow: bool) -> String {
        let mut path = format!("/api/logs?limit={LINES}&follow={follow}");
        if let Some(server) = &self.server {
            path.push_str(&format!("&server={}", escaped(server)));
        }
        if let Some(since) = self.since {
            path.push_str(&format!("&since={since}"));
        }
        path
    }
}

// === impl EventsAsked ===

impl EventsAsked {
    fn path(&self, follow: bool) -> String {
        let limit = self.limit.unwrap_or(EVENTS);
        let mut path = format!("/api/events?limit={limit}&follow={follow}");
        if let Some(name) = &self.name {
            path.push_str(&format!("&name={}", escaped(name)));
        }
        if let Some(since) = self.since {
            path.push_str(&format!("&since={since}"));
        }
        if let Some(after) = self.after {
            path.push_str(&format!("&after={after}"));
        }
        path
    }
}

/// A text as a value of a query (RFC 3986, section 2.1).
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

// === impl Answer ===

impl Answer {
    /// A successful answer, read as JSON.
    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        if !self.status.is_success() {
            return Err(match serde_json::from_slice::<Problem>(&self.body) {
                Ok(problem) => ClientError::Problem(Box::new(problem)),
                Err(_) => self.into_error(),
            });
        }
        serde_json::from_slice(&self.body).map_err(ClientError::Unexpected)
    }
}
