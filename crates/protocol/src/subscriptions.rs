//! `subscriptions/listen` of 2026-07-28: the filter of a subscription, and the id in `_meta` that marks the
//! notifications of a subscription.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::absent;
use crate::build::{self, string};
use crate::edit::{Edit, splice};
use crate::list::ListKind;
use crate::{Id, Message, Notification};

#[cfg(test)]
mod tests;

/// The member of `_meta` that names the subscription of a message: the id of the `subscriptions/listen`
/// request.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// What a client subscribes to, or which part of it the server honours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub tools: bool,
    pub prompts: bool,
    pub resources: bool,
    /// The URIs of subscribed resources.
    pub uris: Vec<String>,
    /// Members of extensions with their JSON.
    pub others: BTreeMap<String, String>,
}

/// The error for an invalid filter: code -32602.
#[derive(Debug, thiserror::Error)]
pub enum BadFilter {
    #[error("`notifications` must be an object")]
    NotAnObject,
    #[error("`notifications.{0}` must be true or false")]
    NotAFlag(&'static str),
    #[error("`notifications.resourceSubscriptions` must be an array of strings")]
    NotUris,
    #[error("`notifications` can't be parsed: {0}")]
    NotJson(#[from] serde_json::Error),
}

// === impl Filter ===

impl Filter {
    /// Parses `params.notifications`.
    ///
    /// # Errors
    /// [`BadFilter`] if the value is not an object, or a known member has the wrong type.
    pub fn parse(json: &str) -> Result<Self, BadFilter> {
        if !json.starts_with('{') {
            return Err(BadFilter::NotAnObject);
        }
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(json)?;
        let mut filter = Self::default();
        for (name, value) in members {
            let raw = value.get();
            if absent::is_null(raw) {
                continue;
            }
            match name.as_str() {
                "toolsListChanged" => filter.tools = flag(raw, "toolsListChanged")?,
                "promptsListChanged" => filter.prompts = flag(raw, "promptsListChanged")?,
                "resourcesListChanged" => filter.resources = flag(raw, "resourcesListChanged")?,
                "resourceSubscriptions" => {
                    filter.uris = serde_json::from_str(raw).map_err(|_| BadFilter::NotUris)?;
                }
                _ => drop(filter.others.insert(name, raw.to_owned())),
            }
        }
        Ok(filter)
    }

    /// The JSON of the filter.
    pub fn to_json(&self) -> String {
        let mut members = Vec::new();
        for (name, wanted) in [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ] {
            if wanted {
                members.push(format!(r#""{name}":true"#));
            }
        }
        if !self.uris.is_empty() {
            let uris: Vec<_> = self.uris.iter().map(|uri| string(uri)).collect();
            members.push(format!(r#""resourceSubscriptions":[{}]"#, uris.join(",")));
        }
        members.extend(self.others.iter().map(|(name, raw)| format!("{}:{raw}", string(name))));
        format!("{{{}}}", members.join(","))
    }

    /// Whether the filter includes changes of this list. Changes of resource templates count as changes of
    /// resources.
    pub fn wants(&self, kind: ListKind) -> bool {
        match kind {
            ListKind::Tools => self.tools,
            ListKind::Prompts => self.prompts,
            ListKind::Resources | ListKind::ResourceTemplates => self.resources,
        }
    }

    /// Whether the filter includes only list changes.
    pub fn is_only_lists(&self) -> bool {
        self.uris.is_empty() && self.others.is_empty()
    }
}

// === messages ===

/// Builds the first message of a subscription, which acknowledges the honoured part of the filter.
pub fn acknowledged(listen: &Id, honoured: &Filter) -> Bytes {
    let more = format!(r#","notifications":{}"#, honoured.to_json());
    marked(Notification::SubscriptionsAcknowledged, listen, &more)
}

/// Builds a `list_changed` notification. `None` for resource templates, which have no notification.
pub fn list_changed(listen: &Id, kind: ListKind) -> Option<Bytes> {
    Some(marked(kind.changed()?, listen, ""))
}

/// Whether a notification is a `list_changed`.
pub fn is_list_changed(notification: &Message) -> bool {
    let method = Notification::parse(notification.method());
    method.is_some() && ListKind::ALL.into_iter().any(|kind| kind.changed() == method)
}

/// Builds a notification that a resource has changed, or may have changed.
pub fn resource_updated(listen: &Id, uri: &str) -> Bytes {
    marked(Notification::ResourcesUpdated, listen, &format!(r#","uri":{}"#, string(uri)))
}

/// Builds the result of `subscriptions/listen`, which ends the subscription normally.
pub fn ended(listen: &Id) -> Bytes {
    build::result(listen, &format!(r#"{{"resultType":"complete","_meta":{{{}}}}}"#, mark(listen)))
}

/// Builds the `params` of `subscriptions/listen`. `meta` is the JSON of `_meta`.
pub fn params(filter: &Filter, meta: &str) -> String {
    format!(r#"{{"notifications":{},"_meta":{meta}}}"#, filter.to_json())
}

/// The bytes of a notification with another subscription id. Unchanged if it belongs to no subscription.
pub fn with_subscription(notification: &Message, listen: &Id) -> Bytes {
    let place = notification.params().ok().and_then(|params| params.meta.subscription_id);
    match place {
        Some(place) => {
            splice(notification.bytes(), &mut [Edit::new(place.span, listen.as_bytes())])
        }
        None => notification.bytes().clone(),
    }
}

fn marked(method: Notification, listen: &Id, more: &str) -> Bytes {
    let params = format!(r#"{{"_meta":{{{}}}{more}}}"#, mark(listen));
    build::notification(method.as_str(), Some(&params))
}

fn mark(listen: &Id) -> String {
    format!(r#""{SUBSCRIPTION_ID}":{}"#, String::from_utf8_lossy(listen.as_bytes()))
}

fn flag(raw: &str, name: &'static str) -> Result<bool, BadFilter> {
    raw.parse().map_err(|_| BadFilter::NotAFlag(name))
}
