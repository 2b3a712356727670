//! Whom a server's notification concerns, as far as its method tells.

use crate::Message;

/// Whom a notification of a server concerns.
#[derive(Debug, PartialEq, Eq)]
pub enum Scope {
    /// The call with this token. None: the token is not one of ours.
    Progress(Option<u64>),
    /// Everybody who uses the server: list changes, updated resources.
    Server,
    /// Some call in flight, but the message does not say which.
    Call,
}

impl Message {
    pub fn scope(&self) -> Scope {
        match self.method() {
            "notifications/progress" => {
                let token = self.params().ok().and_then(|params| params.progress_token);
                Scope::Progress(token.and_then(|token| crate::id::number(token.raw.as_bytes())))
            }
            "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed"
            | "notifications/resources/updated"
            | "notifications/elicitation/complete" => Scope::Server,
            _ => Scope::Call,
        }
    }
}
