//! Whether items of a list have the shape that clients require. SDKs refuse a whole list for one item of
//! another shape, so merged lists leave such items out.
//!
//! The shapes are those of the specification, as far as the official SDKs check them. They check no more
//! than types: a description may say anything.

mod shape;

use self::shape::{Member, Shape};
use super::ListKind;
use crate::Era;

/// Whether an item has the shape that clients require.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    Fits,
    /// The item has the shape in this form, which means the same: members that were `null` are left out, and
    /// `true` as the schema of an argument is `{}`.
    Mended(String),
    Unfit(Misfit),
}

/// The fault for which clients refuse an item. Displayed as a sentence without a full stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    #[error("`{0}` is missing")]
    Missing(String),
    /// The path is empty for the item itself.
    #[error("{place} is not {1}", place = if .0.is_empty() { "it".to_owned() } else { format!("`{}`", .0) })]
    Wrong(String, &'static str),
}

// === impl Fit ===

impl Fit {
    /// Checks an item, which is the JSON text of an object. `era`: the era of the server that lists it.
    pub fn of(kind: ListKind, era: Era, item: &str) -> Self {
        let shape = match (kind, era) {
            (ListKind::Tools, Era::Legacy) => &TOOL,
            (ListKind::Tools, Era::Modern) => &MODERN_TOOL,
            (ListKind::Resources, _) => &RESOURCE,
            (ListKind::ResourceTemplates, _) => &TEMPLATE,
            (ListKind::Prompts, _) => &PROMPT,
        };
        match shape.check(item) {
            Ok(None) => Self::Fits,
            Ok(Some(mended)) => Self::Mended(mended),
            Err(misfit) => Self::Unfit(misfit),
        }
    }
}

const NAME: Member = Member::required("name", &Shape::Text);
const TITLE: Member = Member::optional("title", &Shape::Text);
const DESCRIPTION: Member = Member::optional("description", &Shape::Text);
const MIME_TYPE: Member = Member::optional("mimeType", &Shape::Text);
const ICONS: Member = Member::optional("icons", &ICON_LIST);
const META: Member = Member::optional("_meta", &Shape::Object(&[]));
const ANNOTATIONS: Member = Member::optional("annotations", &RESOURCE_ANNOTATIONS);
const TYPE: Member = Member::required("type", &Shape::Word(&["object"], "\"object\""));

static ICON_LIST: Shape = Shape::List(&ICON);

static ICON: Shape = Shape::Object(&[
    Member::required("src", &Shape::Text),
    MIME_TYPE,
    Member::optional("sizes", &Shape::List(&Shape::Text)),
    Member::optional("theme", &Shape::Word(&["light", "dark"], "\"light\" or \"dark\"")),
]);

static TOOL: Shape = Shape::Object(&[
    NAME,
    TITLE,
    DESCRIPTION,
    Member::required("inputSchema", &SCHEMA),
    Member::optional("outputSchema", &SCHEMA),
    Member::optional("annotations", &TOOL_ANNOTATIONS),
    Member::optional("execution", &EXECUTION),
    ICONS,
    META,
]);

/// A tool of 2026-07-28. Its schemas may be any of JSON Schema 2020-12.
static MODERN_TOOL: Shape = Shape::Object(&[
    NAME,
    TITLE,
    DESCRIPTION,
    Member::required(
        "inputSchema",
        &Shape::Object(&[TYPE, Member::optional("$schema", &Shape::Text)]),
    ),
    Member::optional("outputSchema", &Shape::Object(&[Member::optional("$schema", &Shape::Text)])),
    Member::optional("annotations", &TOOL_ANNOTATIONS),
    ICONS,
    META,
]);

static SCHEMA: Shape = Shape::Object(&[
    TYPE,
    Member::optional("properties", &SUBSCHEMAS),
    Member::optional("required", &Shape::List(&Shape::Text)),
]);

static SUBSCHEMAS: Shape = Shape::Map(&Shape::Subschema);

static TOOL_ANNOTATIONS: Shape = Shape::Object(&[
    TITLE,
    Member::optional("readOnlyHint", &Shape::Flag),
    Member::optional("destructiveHint", &Shape::Flag),
    Member::optional("idempotentHint", &Shape::Flag),
    Member::optional("openWorldHint", &Shape::Flag),
]);

static EXECUTION: Shape = Shape::Object(&[Member::optional(
    "taskSupport",
    &Shape::Word(
        &["required", "optional", "forbidden"],
        "\"required\", \"optional\" or \"forbidden\"",
    ),
)]);

static RESOURCE_ANNOTATIONS: Shape = Shape::Object(&[
    Member::optional(
        "audience",
        &Shape::List(&Shape::Word(&["user", "assistant"], "\"user\" or \"assistant\"")),
    ),
    Member::optional("priority", &Shape::Share),
    Member::optional("lastModified", &Shape::Time),
]);

static RESOURCE: Shape = Shape::Object(&[
    Member::required("uri", &Shape::Uri),
    NAME,
    TITLE,
    DESCRIPTION,
    MIME_TYPE,
    Member::optional("size", &Shape::Number),
    ANNOTATIONS,
    ICONS,
    META,
]);

static TEMPLATE: Shape = Shape::Object(&[
    Member::required("uriTemplate", &Shape::Text),
    NAME,
    TITLE,
    DESCRIPTION,
    MIME_TYPE,
    ANNOTATIONS,
    ICONS,
    META,
]);

static PROMPT: Shape = Shape::Object(&[
    NAME,
    TITLE,
    DESCRIPTION,
    Member::optional("arguments", &PROMPT_ARGUMENTS),
    ICONS,
    META,
]);

static PROMPT_ARGUMENTS: Shape = Shape::List(&PROMPT_ARGUMENT);

static PROMPT_ARGUMENT: Shape =
    Shape::Object(&[NAME, TITLE, DESCRIPTION, Member::optional("required", &Shape::Flag)]);

#[cfg(test)]
mod tests;
