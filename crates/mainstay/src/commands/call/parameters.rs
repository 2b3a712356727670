//! Reads the parts of a tool's `inputSchema` that are needed to type its arguments.

use serde_json::Value;

use crate::output::format;

/// Most `$ref`s followed in a row; more are taken for a cycle.
const REFERENCES_MAX: usize = 8;
/// Most characters of a summary.
const SUMMARY_CHARS_MAX: usize = 72;

/// The types of JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Integer,
    Number,
    Boolean,
    Array,
    Object,
    Null,
}

/// A schema, with the document that its references point into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema<'a> {
    root: &'a Value,
    here: &'a Value,
}

/// Summarises parameters as `city=string [days=integer]`, required ones first.
pub(in crate::commands) fn summary(schema: &Value) -> String {
    let schema = Schema::root(schema);
    let shown = |name: &str| match schema.property(name) {
        Some(property) => format!("{name}={}", property.wanted()),
        None => name.to_owned(),
    };
    let required = schema.required().map(shown);
    let optional = schema.names().filter(|name| !schema.required().any(|known| known == *name));
    let optional = optional.map(|name| format!("[{}]", shown(name)));
    let all: Vec<_> = required.chain(optional).collect();
    format::headline(&all.join(" "), SUMMARY_CHARS_MAX)
}

// === impl Schema ===

impl<'a> Schema<'a> {
    pub(super) fn root(root: &'a Value) -> Self {
        Self { root, here: root }
    }

    /// Another part of the same document, with its references followed.
    fn part(self, mut here: &'a Value) -> Self {
        for _ in 0..REFERENCES_MAX {
            let target = here["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
            match target.and_then(|pointer| self.root.pointer(pointer)) {
                Some(next) => here = next,
                None => break,
            }
        }
        Self { here, ..self }
    }

    /// The names of the properties.
    pub(super) fn names(self) -> impl Iterator<Item = &'a str> {
        self.here["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str())
    }

    pub(super) fn required(self) -> impl Iterator<Item = &'a str> {
        self.here["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    pub(super) fn property(self, name: &str) -> Option<Self> {
        self.here["properties"].get(name).map(|property| self.part(property))
    }

    /// Whether the schema forbids properties that it does not name.
    pub(super) fn is_closed(self) -> bool {
        self.here["additionalProperties"] == Value::Bool(false)
    }

    /// The schema of an array's items.
    pub(super) fn items(self) -> Self {
        self.part(&self.here["items"])
    }

    /// The allowed values, when the schema lists them.
    pub(super) fn choices(self) -> Option<&'a Vec<Value>> {
        self.here["enum"].as_array()
    }

    /// The types a value may have. Empty: any type.
    pub(super) fn kinds(self) -> Vec<Kind> {
        self.kinds_within(REFERENCES_MAX)
    }

    fn kinds_within(self, depth: usize) -> Vec<Kind> {
        if depth == 0 {
            return Vec::new();
        }
        let named: Vec<_> = match &self.here["type"] {
            Value::String(one) => Kind::named(one).into_iter().collect(),
            Value::Array(some) => {
                some.iter().filter_map(Value::as_str).filter_map(Kind::named).collect()
            }
            _ => Vec::new(),
        };
        if !named.is_empty() {
            return named;
        }
        let choices = self.choices().into_iter().flatten().chain(self.here.get("const"));
        let chosen: Vec<_> = choices.map(Kind::of).collect();
        if !chosen.is_empty() {
            return chosen;
        }
        let parts = ["anyOf", "oneOf", "allOf"];
        let parts = parts.iter().filter_map(|name| self.here[*name].as_array()).flatten();
        parts.flat_map(|part| self.part(part).kinds_within(depth - 1)).collect()
    }

    /// The accepted types in words: `integer`, `string or null`.
    pub(super) fn wanted(self) -> String {
        let mut names: Vec<_> = self.kinds().into_iter().map(Kind::name).collect();
        names.dedup();
        if names.is_empty() { "any".to_owned() } else { names.join("|") }
    }
}

// === impl Kind ===

impl Kind {
    const ALL: [Self; 7] = [
        Self::String,
        Self::Integer,
        Self::Number,
        Self::Boolean,
        Self::Array,
        Self::Object,
        Self::Null,
    ];

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
            Self::Null => "null",
        }
    }

    /// The type of a JSON value. A number without a fraction counts as an integer, however it is
    /// written.
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) => {
                let whole = number.as_f64().is_none_or(|number| number.fract() == 0.0);
                if whole { Self::Integer } else { Self::Number }
            }
            Value::String(_) => Self::String,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }

    /// Whether a value of this type is accepted where one of `kinds` is demanded.
    pub(super) fn fits(self, kinds: &[Self]) -> bool {
        kinds.contains(&self) || (self == Self::Integer && kinds.contains(&Self::Number))
    }
}
