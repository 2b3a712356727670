//! The methods and notifications of all revisions by their names on the wire.
//!
//! Methods that are not listed here pass through by name.

use std::fmt;

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$word_about:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$word_about])* $word,)+
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$word,)+];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)+
                }
            }

            /// Looks up a name on the wire. `None` if it is not known.
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$word),)+
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// A request.
    Method {
        Initialize = "initialize",
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
        CompletionComplete = "completion/complete",
        LoggingSetLevel = "logging/setLevel",
        /// Sent by the server to the client, like the next two.
        SamplingCreateMessage = "sampling/createMessage",
        ElicitationCreate = "elicitation/create",
        RootsList = "roots/list",
        TasksGet = "tasks/get",
        TasksResult = "tasks/result",
        TasksList = "tasks/list",
        TasksUpdate = "tasks/update",
        TasksCancel = "tasks/cancel",
        ServerDiscover = "server/discover",
        SubscriptionsListen = "subscriptions/listen",
    }
}

words! {
    /// A notification.
    Notification {
        Initialized = "notifications/initialized",
        Cancelled = "notifications/cancelled",
        Progress = "notifications/progress",
        /// A log message of a server.
        Message = "notifications/message",
        ToolsListChanged = "notifications/tools/list_changed",
        ResourcesListChanged = "notifications/resources/list_changed",
        ResourcesUpdated = "notifications/resources/updated",
        PromptsListChanged = "notifications/prompts/list_changed",
        RootsListChanged = "notifications/roots/list_changed",
        ElicitationComplete = "notifications/elicitation/complete",
        TasksStatus = "notifications/tasks/status",
        Tasks = "notifications/tasks",
        SubscriptionsAcknowledged = "notifications/subscriptions/acknowledged",
    }
}

// === impl Method ===

impl Method {
    /// The member of `params` that `Mcp-Name` repeats: the name, URI or task that the request is about.
    pub const fn name_member(self) -> Option<&'static str> {
        match self {
            Self::ToolsCall | Self::PromptsGet => Some("name"),
            Self::ResourcesRead => Some("uri"),
            Self::TasksGet | Self::TasksResult | Self::TasksUpdate | Self::TasksCancel => {
                Some("taskId")
            }
            _ => None,
        }
    }

    /// Part of 2026-07-28 and no part of any older revision.
    pub const fn is_from_modern(self) -> bool {
        matches!(self, Self::ServerDiscover | Self::SubscriptionsListen | Self::TasksUpdate)
    }

    /// Sent by servers to clients, up to 2025-11-25.
    pub const fn is_from_server(self) -> bool {
        matches!(self, Self::SamplingCreateMessage | Self::ElicitationCreate | Self::RootsList)
    }
}

#[cfg(test)]
mod tests {
    use super::{Method, Notification};

    #[test]
    fn every_word_is_read_back() {
        for method in Method::ALL {
            assert_eq!(Method::parse(method.as_str()), Some(*method));
        }
        for notification in Notification::ALL {
            assert_eq!(Notification::parse(notification.as_str()), Some(*notification));
        }
        assert_eq!(Method::parse("tools/List"), None);
        assert_eq!(Method::parse(""), None);
    }

    #[test]
    fn what_a_request_is_about() {
        assert_eq!(Method::ToolsCall.name_member(), Some("name"));
        assert_eq!(Method::ResourcesRead.name_member(), Some("uri"));
        assert_eq!(Method::ToolsList.name_member(), None);
    }
}
