//! The JSON Schema of the file, for editors and other tools.

use mainstay_model::Pattern;
use serde_json::{Map, Value, json};

use crate::document::declared_json;
use crate::keys::{Amount, Item, Key, Kind, METHODS_KNOWN, Section, TOP_LEVEL, Word};

/// Pattern of a text with a variable, which may be anything once expanded.
const EXPANDED: &str = r"\$\{";

/// The JSON Schema (draft 2020-12) of `mainstay.toml`. It can't express rules that concern several
/// keys, which `mainstay check` does.
pub fn schema() -> Value {
    let properties: Map<_, _> = TOP_LEVEL
        .iter()
        .map(|top| {
            let inner = table(top.section);
            let schema = match (top.named, top.listed) {
                (true, _) => named(top.section, &inner),
                (_, true) => json!({ "type": "array", "items": inner }),
                _ => inner,
            };
            (top.name.to_owned(), schema)
        })
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Mainstay configuration",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn named(section: &Section, inner: &Value) -> Value {
    json!({
        "description": section.doc,
        "type": "object",
        "propertyNames": { "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$" },
        "additionalProperties": inner,
    })
}

fn table(section: &Section) -> Value {
    // Keys that this version refuses are left out, so that editors refuse them, too.
    let usable = section.keys.iter().filter(|key| !matches!(key.kind, Kind::Refused { .. }));
    let properties: Map<_, _> = usable.map(|key| (key.name.to_owned(), property(key))).collect();
    json!({
        "description": section.doc,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn property(key: &Key) -> Value {
    let mut schema = value(&key.kind);
    schema["description"] = key.doc.into();
    schema["examples"] = json!([declared_json(key.example)]);
    if let Some(default) = key.default {
        schema["default"] = declared_json(default);
    }
    schema
}

fn value(kind: &Kind) -> Value {
    match kind {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Choice(words) => choice(words),
        Kind::Count { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Cpus { min, max } => {
            let whole = |thousandths: &u32| f64::from(*thousandths) / 1000.0;
            json!({ "type": "number", "minimum": whole(min), "maximum": whole(max) })
        }
        Kind::Size { .. } => text_like(SIZE),
        Kind::Duration { .. } => text_like("([0-9]+(ms|s|m|h|d))+"),
        Kind::Account => text_like(ACCOUNT),
        Kind::Listen | Kind::HostPort => text_like(r"(.*:[0-9]{1,5})?"),
        Kind::Url(schemes) => text_like(&format!("(({})://.*)?", schemes.join("|"))),
        Kind::KeyedUrl(schemes) | Kind::HookUrl(schemes) => {
            text_like(&format!("(({})://.*|secret:.*|.*\\$.*)?", schemes.join("|")))
        }
        Kind::SecretUrl(schemes) => text_like(&format!("({})://.*|secret:.*", schemes.join("|"))),
        Kind::Text => json!({ "type": "string", "minLength": 1 }),
        Kind::Signal => text_like("([Ss][Ii][Gg])?[A-Za-z]+[12]?"),
        Kind::Args => json!({ "type": ["object", "string"] }),
        Kind::Expected => {
            let scalar = json!({ "type": ["string", "number", "boolean"] });
            let several = json!({ "type": "array", "items": scalar, "minItems": 1 });
            let member = json!({ "anyOf": [scalar, several, { "type": "object" }] });
            json!({ "type": "object", "additionalProperties": member, "minProperties": 1 })
        }
        Kind::Path => json!({ "type": "string", "minLength": 1 }),
        Kind::Command => json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 }),
        Kind::List(item) => list(*item),
        Kind::Secrets(_) => {
            json!({ "type": "object", "additionalProperties": { "type": "string" } })
        }
        Kind::Table(section) => table(section),
        Kind::Patterns(section) => json!({
            "type": "object",
            "propertyNames": { "minLength": 1, "maxLength": Pattern::CHARS_MAX },
            "additionalProperties": table(section),
        }),
        Kind::Maxima(amount) => json!({
            "type": "object",
            "propertyNames": { "pattern": ARGUMENT_PATH },
            "additionalProperties": match amount {
                Amount::Count => json!({ "type": "integer", "minimum": 0 }),
                Amount::Size => text_like(SIZE),
            },
        }),
        Kind::Refused { why, .. } => json!({ "not": {}, "description": why }),
    }
}

fn choice(words: &[Word]) -> Value {
    let options = words.iter().map(|word| json!({ "const": word.word, "description": word.doc }));
    let expanded = json!({ "type": "string", "pattern": EXPANDED });
    json!({ "anyOf": options.chain([expanded]).collect::<Vec<_>>() })
}

fn list(item: Item) -> Value {
    let items = match item {
        Item::Need => text_like("(server|service|volume|external):.+"),
        Item::Origin => text_like("[a-z][a-z0-9+.-]*://.+"),
        Item::Network => text_like("[0-9a-fA-F.:]+(/[0-9]{1,3})?"),
        Item::PagePath => text_like(r"/[^?#%\\\s]*"),
        Item::Method => json!({ "enum": METHODS_KNOWN }),
        Item::Word(words) => choice(words),
        Item::Host | Item::Server | Item::Tool => json!({ "type": "string", "minLength": 1 }),
    };
    let least = usize::from(matches!(item, Item::Server | Item::PagePath | Item::Method));
    json!({ "type": "array", "items": items, "minItems": least, "uniqueItems": true })
}

/// A user or group: a name as `useradd` makes them, or a number; empty means unset.
const ACCOUNT: &str = r"[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?|";

const SIZE: &str = "[0-9]+([KMG]i?)?B";

/// `inputs`, `inputs[]`, `filter.name` or `.`.
const ARGUMENT_PATH: &str = r"^(\.|[^.\[\]]+(\[\])*(\.[^.\[\]]+(\[\])*)*)$";

fn text_like(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^({pattern})$|{EXPANDED}") })
}
