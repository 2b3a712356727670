//! Pages of lists, split into items without changing their bytes.

pub mod fit;

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::params::{Field, field};
use crate::scan::present;
use crate::{Method, Notification};

/// The four kinds of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListKind {
    Tools,
    Resources,
    ResourceTemplates,
    Prompts,
}

/// A parsed page of a list. Spans are relative to the parsed text.
#[derive(Debug)]
pub struct ListPage<'a> {
    pub items: Vec<ListItem<'a>>,
    /// The cursor of the next page. An empty cursor is not the same as none.
    pub next_cursor: Option<Cow<'a, str>>,
    /// There is a next page, but its cursor is no string, so it can't be asked for.
    pub has_odd_cursor: bool,
    /// The number of entries without a valid key, which `items` does not contain.
    pub malformed: usize,
    pub caching: Caching,
}

/// How long and for whom a result may be cached (from 2026-07-28). The default allows no caching.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caching {
    /// How long the result stays valid, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// Whether the result is the same for all users.
    pub public: bool,
}

/// A tool, resource, resource template or prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct ListItem<'a> {
    /// The JSON text of the whole item.
    pub raw: &'a str,
    pub span: Range<usize>,
    /// The item's name, URI or URI template.
    pub key: Cow<'a, str>,
    /// The byte range of the key in the page, including its quotes.
    pub key_span: Range<usize>,
    pub hints: ToolHints,
}

/// The annotations of a tool. They are hints: an untrusted server can claim anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ToolHints {
    pub read_only: Option<bool>,
    pub destructive: Option<bool>,
    pub idempotent: Option<bool>,
    pub open_world: Option<bool>,
}

/// The error for a result that is not a valid page.
#[derive(Debug, thiserror::Error)]
pub enum BadList {
    #[error("the result is not an object with an array `{member}`")]
    NoItems { member: &'static str },
    #[error("the result can't be parsed: {0}")]
    NotJson(#[from] serde_json::Error),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePage<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    resources: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    resource_templates: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    prompts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    next_cursor: Option<&'a RawValue>,
    #[serde(borrow, default)]
    ttl_ms: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cache_scope: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireItem<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    name: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    uri: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    uri_template: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    annotations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireHints<'a> {
    #[serde(borrow, default)]
    read_only_hint: Option<&'a RawValue>,
    #[serde(borrow, default)]
    destructive_hint: Option<&'a RawValue>,
    #[serde(borrow, default)]
    idempotent_hint: Option<&'a RawValue>,
    #[serde(borrow, default)]
    open_world_hint: Option<&'a RawValue>,
}

// === impl ListKind ===

impl ListKind {
    pub const ALL: [Self; 4] =
        [Self::Tools, Self::Resources, Self::ResourceTemplates, Self::Prompts];

    /// The list that a method requests.
    pub fn from_method(method: Method) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.method() == method)
    }

    /// The method that requests the list.
    pub const fn method(self) -> Method {
        match self {
            Self::Tools => Method::ToolsList,
            Self::Resources => Method::ResourcesList,
            Self::ResourceTemplates => Method::ResourceTemplatesList,
            Self::Prompts => Method::PromptsList,
        }
    }

    /// The notification about changes of the list. `None` for resource templates, whose changes are
    /// announced by the notification of resources.
    pub const fn changed(self) -> Option<Notification> {
        match self {
            Self::Tools => Some(Notification::ToolsListChanged),
            Self::Resources => Some(Notification::ResourcesListChanged),
            Self::Prompts => Some(Notification::PromptsListChanged),
            Self::ResourceTemplates => None,
        }
    }

    /// The member of the result that contains the items.
    pub const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
            Self::Prompts => "prompts",
        }
    }
}

// === impl ListPage ===

impl<'a> ListPage<'a> {
    /// Parses the `result` of a list method. An entry without a valid key is only counted.
    ///
    /// # Errors
    /// [`BadList`] if the result has no array of items, or is invalid.
    pub fn parse(result: &'a str, kind: ListKind) -> Result<Self, BadList> {
        let no_items = || BadList::NoItems { member: kind.member() };
        // serde would also accept an array, with the members in order.
        if !result.trim_ascii_start().starts_with('{') {
            return Err(no_items());
        }
        let page: WirePage<'a> = serde_json::from_str(result)?;
        let array =
            page.items(kind).filter(|raw| raw.get().starts_with('[')).ok_or_else(no_items)?;
        let entries: Vec<&'a RawValue> = serde_json::from_str(array.get())?;
        let cursor = field(result, page.next_cursor);
        let next_cursor = cursor.as_ref().and_then(Field::text);
        let has_odd_cursor = cursor.is_some() && next_cursor.is_none();
        let items: Vec<_> =
            entries.iter().filter_map(|raw| ListItem::parse(result, raw, kind)).collect();
        let malformed = entries.len() - items.len();
        let caching = Caching::parse(page.ttl_ms, page.cache_scope);
        Ok(Self { items, next_cursor, has_odd_cursor, malformed, caching })
    }
}

// === impl Caching ===

impl Caching {
    pub(crate) fn parse(ttl_ms: Option<&RawValue>, cache_scope: Option<&RawValue>) -> Self {
        Self {
            ttl_ms: ttl_ms.and_then(|ttl| ttl.get().parse().ok()),
            public: cache_scope.is_some_and(|scope| scope.get() == r#""public""#),
        }
    }

    /// The caching that two results together allow.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let ttl_ms = self.ttl_ms.zip(other.ttl_ms).map(|(one, another)| one.min(another));
        Self { ttl_ms, public: self.public && other.public }
    }
}

// === impl ListItem ===

impl<'a> ListItem<'a> {
    fn parse(page: &str, raw: &'a RawValue, kind: ListKind) -> Option<Self> {
        let Field { raw, span } = field(page, Some(raw))?;
        if !raw.starts_with('{') {
            return None;
        }
        let wire: WireItem<'a> = serde_json::from_str(raw).ok()?;
        let key = field(page, wire.key(kind))?;
        let hints = match (kind, wire.annotations) {
            (ListKind::Tools, Some(annotations)) => ToolHints::parse(annotations.get()),
            _ => ToolHints::default(),
        };
        Some(Self { raw, span, key: key.text()?, key_span: key.span, hints })
    }

    /// The byte range of the key in [`raw`](Self::raw), including its quotes.
    pub fn key_span_in_item(&self) -> Range<usize> {
        self.key_span.start - self.span.start..self.key_span.end - self.span.start
    }
}

// === impl ToolHints ===

impl ToolHints {
    /// Parses `annotations`. Members with an unexpected shape count as absent.
    fn parse(annotations: &str) -> Self {
        if !annotations.starts_with('{') {
            return Self::default();
        }
        let Ok(wire) = serde_json::from_str::<WireHints<'_>>(annotations) else {
            return Self::default();
        };
        let flag = |raw: Option<&RawValue>| raw.and_then(|raw| raw.get().parse().ok());
        Self {
            read_only: flag(wire.read_only_hint),
            destructive: flag(wire.destructive_hint),
            idempotent: flag(wire.idempotent_hint),
            open_world: flag(wire.open_world_hint),
        }
    }

    /// Whether repeating a call is safe: the tool claims to be read-only or idempotent.
    pub fn may_retry(self) -> bool {
        self.read_only == Some(true) || self.idempotent == Some(true)
    }
}

// === impl WirePage ===

impl<'a> WirePage<'a> {
    fn items(&self, kind: ListKind) -> Option<&'a RawValue> {
        match kind {
            ListKind::Tools => self.tools,
            ListKind::Resources => self.resources,
            ListKind::ResourceTemplates => self.resource_templates,
            ListKind::Prompts => self.prompts,
        }
    }
}

// === impl WireItem ===

impl<'a> WireItem<'a> {
    fn key(&self, kind: ListKind) -> Option<&'a RawValue> {
        match kind {
            ListKind::Tools | ListKind::Prompts => self.name,
            ListKind::Resources => self.uri,
            ListKind::ResourceTemplates => self.uri_template,
        }
    }
}

#[cfg(test)]
mod tests;
