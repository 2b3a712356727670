//! The probes `ping` and `tool`, over the link of a run.

use std::sync::Arc;

use bytes::Bytes;
use mainstay_model::settings::ToolCheck;
use mainstay_protocol::{Era, Method, build};
use mainstay_supervisor::probe::Outcome;
use serde::Deserialize;

use super::late::Late;
use crate::handshake::{ErrorAnswer, HandshakeError, ask_or_cancel};
use crate::link::Link;
use crate::remote::words::first_line;

/// A tool call, and what its result must contain.
#[derive(Debug)]
pub(super) struct ToolProbe {
    tool: String,
    params: String,
    contains: String,
}

/// The part of a tool's result that counts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolResult {
    #[serde(default)]
    is_error: bool,
    #[serde(default)]
    content: Vec<Content>,
}

#[derive(Debug, Deserialize)]
struct Content {
    /// Only contents of type `text` have one.
    #[serde(default)]
    text: Option<String>,
}

/// Asks a server for a sign of life: with `ping`, or with `server/discover` in 2026-07-28. An error is an answer,
/// too: not every server knows `ping`.
///
/// # Errors
/// The outcome, if there is no answer, or one that breaks the protocol.
pub(super) async fn ping(link: Option<&Arc<Link>>, late: &Late) -> Result<(), Outcome> {
    let link = link.ok_or_else(no_link)?;
    let method = match link.era() {
        Era::Legacy => Method::Ping,
        Era::Modern => Method::ServerDiscover,
    };
    late.is_silence("it does not answer a ping");
    let answer = ask_or_cancel(link, method.as_str(), None).await;
    answer.map(drop).map_err(|error| broken(&error))
}

// === impl ToolProbe ===

impl ToolProbe {
    pub(super) fn new(check: &ToolCheck) -> Self {
        let ToolCheck { tool, args, contains } = check;
        let args = if args.is_empty() { "{}" } else { args };
        let params = format!(r#"{{"name":{},"arguments":{args}}}"#, build::string(tool));
        Self { tool: tool.clone(), params, contains: contains.clone() }
    }

    /// # Errors
    /// The outcome, if the call fails, or its result does not contain the text.
    pub(super) async fn check(&self, link: Option<&Arc<Link>>, late: &Late) -> Result<(), Outcome> {
        let link = link.ok_or_else(no_link)?;
        late.is_silence(&format!("its tool {:?} does not answer", self.tool));
        let answer = ask_or_cancel(link, Method::ToolsCall.as_str(), Some(&self.params)).await;
        self.judge(&answer.map_err(|error| broken(&error))?)
    }

    fn judge(&self, answer: &Result<Bytes, ErrorAnswer>) -> Result<(), Outcome> {
        let tool = &self.tool;
        let unfit =
            |why: &str| Outcome::unfit(format!("its tool {tool:?} {why}"), "its probe tool failed");
        let result = answer.as_ref().map_err(|error| {
            let said = first_line(error.body.as_bytes()).unwrap_or_else(|| "no reason".to_owned());
            unfit(&format!("answers with an error: {said}"))
        })?;
        // A struct is read from an array, too.
        let is_object = result.trim_ascii_start().starts_with(b"{");
        let result = serde_json::from_slice::<ToolResult>(result).ok().filter(|_| is_object);
        let result = result.ok_or_else(|| unfit("answers with something that is no result"))?;
        let mut texts = result.content.iter().filter_map(|content| content.text.as_deref());
        if result.is_error {
            let said = texts.next().and_then(|text| first_line(text.as_bytes()));
            return Err(unfit(&format!(
                "fails: {}",
                said.as_deref().unwrap_or("it says no reason")
            )));
        }
        if !self.contains.is_empty() && !texts.any(|text| text.contains(&self.contains)) {
            return Err(unfit(&format!("answers without the text {:?}", self.contains)));
        }
        Ok(())
    }
}

fn no_link() -> Outcome {
    Outcome::unfit("it has no connection that could be probed", "it has no connection")
}

fn lost(reason: &str) -> Outcome {
    Outcome::silent(format!("it can't be asked: {reason}"), "its probe got no answer")
}

/// The outcome of a request that got no answer that can be used.
fn broken(error: &HandshakeError) -> Outcome {
    match error {
        HandshakeError::Lost(reason) | HandshakeError::LostUnasked(reason) => lost(reason),
        HandshakeError::Unserveable(_)
        | HandshakeError::Protocol(_)
        | HandshakeError::NotSpoken(_) => {
            Outcome::unfit(format!("it answers wrongly: {error}"), "its probe got a wrong answer")
        }
    }
}

#[cfg(test)]
mod tests;
