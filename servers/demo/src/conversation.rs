//! Questions to the client during a call: a request to the client in legacy revisions, an unfinished result
//! in 2026-07-28.

use rmcp::model::{CallToolResponse, CallToolResult, InputRequiredResult, ServerRequest};
use serde_json::{Value, json};

use crate::wire::{Context, is_modern, result, wire};

/// The outcome of a question.
pub(crate) enum Asked {
    /// The client's answer.
    Answer(Value),
    /// There is no answer yet. The call returns this unfinished result.
    Later(CallToolResponse),
}

/// A question to the client.
pub(crate) struct Question {
    pub(crate) key: &'static str,
    pub(crate) method: &'static str,
    pub(crate) params: Value,
}

// === impl Question ===

impl Question {
    /// A form for the user (elicitation).
    pub(crate) fn form(key: &'static str, message: &str, schema: &Value) -> Self {
        let params = json!({"message": message, "requestedSchema": schema});
        Self { key, method: "elicitation/create", params }
    }

    /// A request to the client's model (sampling).
    pub(crate) fn model(key: &'static str, system: &str, prompt: &str) -> Self {
        let params = json!({
            "messages": [{"role": "user", "content": {"type": "text", "text": prompt}}],
            "systemPrompt": system,
            "maxTokens": 300,
        });
        Self { key, method: "sampling/createMessage", params }
    }

    /// Asks the question. `given` has the answers that the client sent with this call. An answer of an
    /// unexpected shape counts as none.
    pub(crate) async fn ask(
        self,
        given: Option<&Value>,
        context: &Context,
    ) -> Result<Asked, String> {
        self.check(context)?;
        let answer = given.map(|answers| &answers[self.key]).filter(|answer| answer.is_object());
        if let Some(answer) = answer {
            return Ok(Asked::Answer(answer.clone()));
        }
        let request = json!({"method": self.method, "params": self.params});
        if is_modern(context) {
            let questions = wire(json!({self.key: request})).map_err(said)?;
            return Ok(Asked::Later(InputRequiredResult::new(Some(questions), None).into()));
        }
        let request: ServerRequest = wire(request).map_err(said)?;
        let answer =
            context.peer.send_request(request).await.map_err(|error| {
                format!("the client gave no answer to {}: {error}", self.method)
            })?;
        serde_json::to_value(answer).map(Asked::Answer).map_err(|error| error.to_string())
    }

    fn check(&self, context: &Context) -> Result<(), String> {
        let declared = context.client_capabilities().unwrap_or_default();
        let (able, what) = if self.method == "elicitation/create" {
            (declared.elicitation.is_some(), "ask its user (elicitation)")
        } else {
            (declared.sampling.is_some(), "lend its model (sampling)")
        };
        if able { Ok(()) } else { Err(format!("this client does not say that it can {what}")) }
    }
}

/// Builds a finished tool result from its JSON.
pub(crate) fn finished(body: Value) -> Result<CallToolResponse, String> {
    result::<CallToolResult>(body).map(Into::into).map_err(said)
}

fn said(error: rmcp::ErrorData) -> String {
    error.message.into_owned()
}
