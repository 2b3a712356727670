//! What servers wrote: their standard error, and what was no message on their standard output.

use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::Timestamp;
use mainstay_telemetry::ServerOutput;
use mainstay_telemetry::output::{OutputLine, Written};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::{AdminOnly, BadRequest, Problem, Rejection, Standard};
use crate::context::Shared;
use crate::source::View;
use crate::web::audited::Note;
use crate::web::follow::{self, Feed, StreamedItem};
use crate::web::read;

/// The newest lines that servers wrote.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct LogPage {
    /// Oldest first.
    pub lines: Vec<LogLine>,
    /// Whether older lines that were asked for are left out: by `limit`, or because they are not kept any
    /// more.
    pub cut: bool,
}

/// One line that a server wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// Rises with each line of any server.
    pub number: u64,
    /// When it was read, as RFC 3339.
    pub at: String,
    /// The name of the server, or `notify.1` for the command of the first section `[[notify]]`.
    pub server: String,
    /// The id of the instance.
    pub instance: u64,
    pub stream: LogStream,
    /// The line, without colours and control characters. A long one is cut.
    pub text: String,
}

/// Where a server wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    Stderr,
    /// Standard output, where only messages belong.
    Stdout,
}

/// Which lines are asked for.
#[derive(Debug, Default, Deserialize)]
struct Which {
    server: Option<String>,
    /// RFC 3339.
    since: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    follow: bool,
}

/// The lines as a stream.
struct Lines {
    output: ServerOutput,
    server: Option<String>,
    since: Option<SystemTime>,
    limit: usize,
}

/// Lines of an answer, unless the request says how many.
const USUAL: usize = 1000;
const MOST: usize = 10_000;

// === impl Which ===

impl Which {
    fn lines(&self, output: &ServerOutput) -> Result<Lines, Rejection> {
        let limit = Some(self.limit.unwrap_or(USUAL)).filter(|limit| (1..=MOST).contains(limit));
        let limit = limit.ok_or_else(|| {
            let error = format!("limit must be a number from 1 to {MOST}");
            let problem = Rejection::new(StatusCode::BAD_REQUEST, error);
            problem.at("query parameter `limit`").hint(format!("ask with `?limit={USUAL}`"))
        })?;
        let since = self.since.as_deref().map(follow::time).transpose()?;
        Ok(Lines { output: output.clone(), server: self.server.clone(), since, limit })
    }
}

// === impl Lines ===

impl Lines {
    fn page(&self, after: u64) -> LogPage {
        let page = self.output.after(after, self.since, self.server.as_deref(), self.limit);
        LogPage { lines: page.lines.into_iter().map(LogLine::from).collect(), cut: page.is_cut }
    }
}

impl Feed for Lines {
    type Item = LogLine;

    async fn next(&mut self, after: u64) -> Option<Vec<LogLine>> {
        let mut follower = self.output.follow();
        let mut seen = after;
        loop {
            let page = self.output.after(after, self.since, self.server.as_deref(), self.limit);
            if !page.lines.is_empty() {
                return Some(page.lines.into_iter().map(LogLine::from).collect());
            }
            // Lines of other servers are passed over.
            seen = seen.max(page.newest);
            if !follower.wait(seen).await {
                return None;
            }
        }
    }

    fn number(item: &LogLine) -> u64 {
        item.number
    }
}

// === impl LogLine ===

impl From<OutputLine> for LogLine {
    fn from(line: OutputLine) -> Self {
        let at = Timestamp::try_from(line.at).unwrap_or_default();
        let stream = match line.to {
            Written::Stderr => LogStream::Stderr,
            Written::Stdout => LogStream::Stdout,
        };
        Self {
            number: line.number,
            at: format!("{at:.3}"),
            server: line.server.to_string(),
            instance: line.instance.0,
            stream,
            text: line.text.to_string(),
        }
    }
}

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default().routes(routes!(logs))
}

/// Lists what servers wrote to standard error, and to standard output where it is no message.
///
/// With `follow=true` the answer is an event stream: it begins with the same lines, goes on with each new
/// one, and ends when the daemon does. The data of each event is one line.
#[utoipa::path(
    get,
    path = "/api/logs",
    tag = "logs",
    params(
        ("server" = Option<String>, Query, description = "Only lines of this server, or of a command of `[[notify]]`."),
        ("since" = Option<String>, Query, description = "Only lines since this time, as RFC 3339.", format = DateTime),
        (
            "limit" = Option<u64>,
            Query,
            description = "How many lines at most, the newest.",
            minimum = 1,
            maximum = 10_000,
        ),
        ("follow" = Option<bool>, Query, description = "Whether to stream lines as they come."),
    ),
    responses(
        (
            status = 200,
            description = "The newest lines, oldest first.",
            content((LogPage = "application/json"), (StreamedItem = "text/event-stream")),
        ),
        (status = 404, description = "There is no such server.", body = Problem),
        BadRequest,
        AdminOnly,
        Standard,
    ),
    security(("token" = [])),
)]
async fn logs(State(admin): State<Shared>, read::Query(which): read::Query<Which>) -> Response {
    Note::reading("logs").on(answer(&admin, &which).unwrap_or_else(IntoResponse::into_response))
}

fn answer(admin: &Shared, which: &Which) -> Result<Response, Rejection> {
    if let Some(server) = &which.server
        && admin.source.pool(server).is_none()
    {
        let status = admin.source.status(View::Open);
        let names = admin.source.names();
        let is_section = status.notifications.iter().any(|one| one.section == *server);
        if !is_section && !names.contains(server) {
            let names = names.into_iter();
            return Err(Rejection::no_such_server("query parameter `server`", names));
        }
    }
    let lines = which.lines(&admin.output)?;
    if which.follow {
        return follow::stream(&admin.followers, lines);
    }
    Ok(Json(lines.page(0)).into_response())
}
