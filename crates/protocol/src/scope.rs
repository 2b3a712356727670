//! The scope of a server's notification: which client or call it concerns.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::Message;
use crate::subscriptions::SUBSCRIPTION_ID;

/// Searches for the member that names the subscription of a notification.
static SUBSCRIPTION: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(SUBSCRIPTION_ID));

/// Which client or call a notification of a server concerns.
#[derive(Debug, PartialEq, Eq)]
pub enum Scope {
    /// The call with this progress token. `None` if Mainstay did not assign the token.
    Progress(Option<u64>),
    /// The `subscriptions/listen` request with this id, from 2026-07-28 on. `None` if Mainstay did not
    /// assign the id.
    Subscription(Option<u64>),
    /// All clients of the server, such as a list change or an updated resource.
    Server,
    /// A call in flight; the message does not name it.
    Call,
}

impl Message {
    /// The scope of a notification, according to its method and `_meta`.
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

    /// The subscription that a notification names.
    fn subscription(&self) -> Option<Scope> {
        SUBSCRIPTION.find(self.bytes())?;
        let id = self.params().ok()?.meta.subscription_id?;
        Some(Scope::Subscription(crate::id::number(id.raw.as_bytes())))
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
            ("progress", r#""progressToken":"7""#.to_owned(), Scope::Progress(Some(7))),
            ("progress", r#""progressToken":7.0"#.to_owned(), Scope::Progress(Some(7))),
            ("progress", r#""progressToken":"a""#.to_owned(), Scope::Progress(None)),
            ("message", String::new(), Scope::Call),
            ("resources/updated", String::new(), Scope::Server),
            ("resources/updated", marked("7"), Scope::Subscription(Some(7))),
            ("tools/list_changed", marked("\"7\""), Scope::Subscription(Some(7))),
            ("tools/list_changed", marked("7e0"), Scope::Subscription(Some(7))),
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
