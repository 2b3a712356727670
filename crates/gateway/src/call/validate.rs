//! Checks the arguments of a call before anything reaches a server.

use std::sync::Arc;

use bytes::Bytes;
use mainstay_model::{Name, Refusal, RefusalCode, ServerId};
use mainstay_protocol::{Era, build};
use mainstay_session::CallEvent;
use mainstay_session::validation::schema::{Compared, DEPTH_MAX, Mismatch};
use mainstay_session::validation::{self, Excess};
use mainstay_telemetry as telemetry;
use mainstay_upstream::facts::Facts;

use super::{Call, Progress};
use crate::serving::schemas::{ListedTool, Schemas};

/// What is wrong with the arguments of a call.
enum Fault {
    Exceeds(Excess),
    Differs(Mismatch),
    /// They are too large or too deep to be compared with the schema.
    TooMuch,
}

/// Arguments that are to be compared with the schema of their tool.
struct Comparison {
    schemas: Arc<Schemas>,
    facts: Arc<Facts>,
    server: (ServerId, Era),
    server_name: Name,
    tool: Box<str>,
    /// The JSON text of the arguments.
    arguments: Bytes,
}

impl Call {
    /// Checks the arguments, once. Returns the answer to a call that is refused.
    pub(super) async fn check_arguments(&mut self) -> Option<Progress> {
        let fault = match self.excess() {
            Some(excess) => Some(Fault::Exceeds(excess)),
            None => match self.comparison() {
                Some(comparison) => comparison.fault().await,
                None => None,
            },
        };
        self.is_unchecked = false;
        let refusal = match fault? {
            Fault::Exceeds(excess) => limit_exceeded(&excess),
            Fault::TooMuch => too_much(),
            // The model is to read it and to do better (2025-11-25 server/tools, Error Handling).
            Fault::Differs(mismatch) => return Some(self.answer_mismatch(&mismatch)),
        };
        self.on(CallEvent::Refused);
        let refusal = refusal.server(self.server());
        Some(self.refuse(refusal, telemetry::Outcome::Refused))
    }

    fn excess(&self) -> Option<Excess> {
        let limits = &self.terms.as_ref()?.limits;
        let params = self.attempt.message().params().ok()?;
        let arguments = params.arguments.as_ref()?.raw;
        validation::excess(arguments, limits)
    }

    /// None: the tool has no schema that arguments are compared with. A server that has not listed its tools yet
    /// checks them itself.
    fn comparison(&self) -> Option<Comparison> {
        self.terms.as_ref().filter(|terms| terms.schema)?;
        let (route, era) = (&self.attempt.route, self.session.revision.era());
        let message = self.attempt.message();
        let arguments = match message.params().ok()?.arguments {
            Some(arguments) => message.bytes().slice(arguments.span),
            None => Bytes::from_static(b"{}"),
        };
        Some(Comparison {
            schemas: self.sessions.serving.schemas.clone(),
            facts: route.pool.facts(era)?,
            server: (route.server, era),
            server_name: route.pool.name.clone(),
            tool: route.tool.clone()?,
            arguments,
        })
    }

    /// Answers in the server's place that the arguments are wrong, as a result of the tool.
    fn answer_mismatch(&mut self, mismatch: &Mismatch) -> Progress {
        self.on(CallEvent::Refused);
        let text = format!("{mismatch}; the call was not sent to {}", self.server());
        let result_type = match self.session.revision.rules().stateful_methods {
            true => "",
            false => r#""resultType":"complete","#,
        };
        let result = format!(
            r#"{{{result_type}"content":[{{"type":"text","text":{}}}],"isError":true}}"#,
            build::string(&text)
        );
        self.close(telemetry::Outcome::ToolError);
        Progress::Answer(build::result(&self.id, &result))
    }
}

// === impl Comparison ===

impl Comparison {
    async fn fault(&self) -> Option<Fault> {
        let listed = self.facts.lists.tool(&self.tool)?;
        let text = std::str::from_utf8(&listed.raw).ok()?;
        let (server, server_name) = (self.server, &self.server_name);
        let tool = ListedTool { server, server_name, name: &self.tool, text };
        let arguments = std::str::from_utf8(&self.arguments).ok()?;
        match self.schemas.compare(tool, arguments).await? {
            Compared::Fits => None,
            Compared::Differs(mismatch) => Some(Fault::Differs(mismatch)),
            Compared::TooMuch => Some(Fault::TooMuch),
        }
    }
}

/// Returns the refusal for a call with an argument that exceeds a limit.
fn limit_exceeded(excess: &Excess) -> Refusal {
    let Excess { measure, path, max, .. } = excess;
    Refusal::new(RefusalCode::LimitExceeded, excess.to_string())
        .limit(format!("validate.{}.{}: {max}", measure.as_str(), key(path)))
        .hint("send less in one call, or raise the limit in the rule for this tool; nothing reached the server")
}

/// The path of an argument as a key of TOML.
fn key(path: &str) -> std::borrow::Cow<'_, str> {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !path.is_empty() && path.chars().all(is_bare) {
        true => path.into(),
        false => serde_json::Value::from(path).to_string().into(),
    }
}

/// Returns the refusal for a call whose arguments can't be compared with the schema of the tool.
fn too_much() -> Refusal {
    let say = "the arguments are too large or nested too deeply to be compared with the inputSchema of the tool";
    Refusal::new(RefusalCode::LimitExceeded, say)
        .limit(format!("validate.schema: {DEPTH_MAX} levels, and 10 million steps"))
        .hint("send less in one call; nothing reached the server")
}
