//! `subscriptions/listen` of 2026-07-28: what a client wants to hear of, and the marks that tell the
//! notifications of one listen from those of another.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::build::{self, string};
use crate::edit::{Edit, splice};
use crate::list::ListKind;
use crate::{Id, Message, Notification};

#[cfg(test)]
mod tests;

/// The member of `_meta` that names the listen a message belongs to: the id of its request.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// What is listened for, or what of it is honoured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub tools: bool,
    pub prompts: bool,
    pub resources: bool,
    /// URIs of resources.
    pub uris: Vec<String>,
    /// Members that extensions add, with their JSON.
    pub others: BTreeMap<String, String>,
}

/// Why a filter can't be read: -32602.
#[derive(Debug, thiserror::Error)]
pub enum BadFilter {
    #[error("`notifications` must be an object")]
    NotAnObject,
    #[error("`notifications.{0}` must be true or false")]
    NotAFlag(&'static str),
    #[error("`notifications.resourceSubscriptions` must be an array of strings")]
    NotUris,
    #[error("`notifications` can't be read: {0}")]
    NotJson(#[from] serde_json::Error),
}

// === impl Filter ===

impl Filter {
    /// Reads `params.notifications`.
    ///
    /// # Errors
    /// When it is no object, or a known member is not of its type.
    pub fn parse(json: &str) -> Result<Self, BadFilter> {
        if !json.starts_with('{') {
            return Err(BadFilter::NotAnObject);
        }
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(json)?;
        let mut filter = Self::default();
        for (name, value) in members {
            let raw = value.get();
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

    /// Whether a change of this list is wanted. That of templates is told as that of resources.
    pub fn wants(&self, kind: ListKind) -> bool {
        match kind {
            ListKind::Tools => self.tools,
            ListKind::Prompts => self.prompts,
            ListKind::Resources | ListKind::ResourceTemplates => self.resources,
        }
    }

    /// Nothing is wanted of it but changes of lists.
    pub fn is_only_lists(&self) -> bool {
        self.uris.is_empty() && self.others.is_empty()
    }
}

// === messages ===

/// The first message of every listen: what of it is honoured.
pub fn acknowledged(listen: &Id, honoured: &Filter) -> Bytes {
    let more = format!(r#","notifications":{}"#, honoured.to_json());
    marked(Notification::SubscriptionsAcknowledged, listen, &more)
}

/// A list has changed. None for templates, which have no notification of their own.
pub fn list_changed(listen: &Id, kind: ListKind) -> Option<Bytes> {
    Some(marked(kind.changed()?, listen, ""))
}

/// Whether a notification says that a list has changed.
pub fn is_list_changed(notification: &Message) -> bool {
    let method = Notification::parse(notification.method());
    method.is_some() && ListKind::ALL.into_iter().any(|kind| kind.changed() == method)
}

/// A resource has changed, or may have.
pub fn resource_updated(listen: &Id, uri: &str) -> Bytes {
    marked(Notification::ResourcesUpdated, listen, &format!(r#","uri":{}"#, string(uri)))
}

/// The answer to a listen: it ends as it should.
pub fn ended(listen: &Id) -> Bytes {
    build::result(listen, &format!(r#"{{"resultType":"complete","_meta":{{{}}}}}"#, mark(listen)))
}

/// The `params` of a listen of our own, but for `_meta`, which `meta` is the JSON of.
pub fn params(filter: &Filter, meta: &str) -> String {
    format!(r#"{{"notifications":{},"_meta":{meta}}}"#, filter.to_json())
}

/// A server's notification as that of another listen; as it came if it belongs to none.
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
