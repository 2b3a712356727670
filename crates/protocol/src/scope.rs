//! Whom a server's notification concerns, as far as its method tells.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::Message;
use crate::subscriptions::SUBSCRIPTION_ID;

/// Finds the name of the member by which a notification names the listen it belongs to.
static SUBSCRIPTION: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(SUBSCRIPTION_ID));

/// Whom a notification of a server concerns.
#[derive(Debug, PartialEq, Eq)]
pub enum Scope {
    /// The call with this token. None: the token is not one of ours.
    Progress(Option<u64>),
    /// The listen that is this request of ours, from 2026-07-28 on. None: it is not one of ours.
    Subscription(Option<u64>),
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
            | "notifications/elicitation/complete" => self.subscription().unwrap_or(Scope::Server),
            _ => self.subscription().unwrap_or(Scope::Call),
        }
    }

    /// The listen that a notification names.
    fn subscription(&self) -> Option<Scope> {
        SUBSCRIPTION.find(self.bytes())?;
        let id = self.params().ok()?.meta.subscription_id?;
        // Some servers make text of the number.
        let digits = id.raw.trim_matches('"');
        Some(Scope::Subscription(crate::id::number(digits.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::Scope;
    use crate::Message;

    #[test]
    fn a_notification_says_whom_it_concerns() {
        let id = r#""_meta":{"io.modelcontextprotocol/subscriptionId":ID}"#;
        let marked = |value: &str| id.replace("ID", value);
        for (method, params, expected) in [
            ("progress", r#""progressToken":7"#.to_owned(), Scope::Progress(Some(7))),
            ("progress", r#""progressToken":"a""#.to_owned(), Scope::Progress(None)),
            ("message", String::new(), Scope::Call),
            ("resources/updated", String::new(), Scope::Server),
            ("resources/updated", marked("7"), Scope::Subscription(Some(7))),
            ("tools/list_changed", marked("\"7\""), Scope::Subscription(Some(7))),
            ("subscriptions/acknowledged", marked("7"), Scope::Subscription(Some(7))),
            ("subscriptions/acknowledged", marked("\"x\""), Scope::Subscription(None)),
        ] {
            let text = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/{method}","params":{{{params}}}}}"#
            );
            let message = Message::parse(Bytes::from(text.clone())).unwrap();
            assert_eq!(message.scope(), expected, "{text}");
        }
    }
}
