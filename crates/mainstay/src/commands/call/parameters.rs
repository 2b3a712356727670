//! Reads the parts of a tool's `inputSchema` that are needed to type its arguments.

use std::collections::BTreeSet;

use serde_json::Value;

/// Most `$ref`s followed in a row; more are taken for a cycle.
const REFERENCES_MAX: usize = 8;

/// Most parts of an `allOf`, and of those in them, that are read.
const LAYERS_MAX: usize = 32;

/// The types of JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Kind {
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
pub(in crate::commands) struct Schema<'a> {
    root: &'a Value,
    here: &'a Value,
}

/// The parameters as `city=string` and `[days=integer]`, required ones first.
pub(in crate::commands) fn summary(schema: &Value) -> Vec<String> {
    let schema = Schema::root(schema);
    let shown = |name: &str| match schema.property(name) {
        Some(property) => format!("{name}={}", property.wanted()),
        None => name.to_owned(),
    };
    let required = schema.required().map(shown);
    let optional = schema.names().filter(|name| !schema.required().any(|known| known == *name));
    let optional = optional.map(|name| format!("[{}]", shown(name)));
    required.chain(optional).collect()
}

// === impl Schema ===

impl<'a> Schema<'a> {
    pub(in crate::commands) fn root(root: &'a Value) -> Self {
        Self { root, here: root }.part(root)
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
    pub(in crate::commands) fn names(self) -> impl Iterator<Item = &'a str> {
        let members = |layer: Self| layer.here["properties"].as_object().into_iter().flatten();
        once_each(self.layers().into_iter().flat_map(members).map(|(name, _)| name.as_str()))
    }

    pub(in crate::commands) fn required(self) -> impl Iterator<Item = &'a str> {
        let listed = |layer: Self| layer.here["required"].as_array().into_iter().flatten();
        once_each(self.layers().into_iter().flat_map(listed).filter_map(Value::as_str))
    }

    pub(in crate::commands) fn property(self, name: &str) -> Option<Self> {
        let mut layers = self.layers().into_iter();
        layers.find_map(|layer| Some(layer.part(layer.here["properties"].get(name)?)))
    }

    /// The schema and those of its `allOf`, which describe the same object together.
    fn layers(self) -> Vec<Self> {
        let mut layers = vec![self];
        let mut next = 0;
        while let Some(layer) = layers.get(next).copied() {
            let room = LAYERS_MAX.saturating_sub(layers.len());
            layers.extend(layer.parts("allOf").take(room));
            next += 1;
        }
        layers
    }

    /// Whether the schema forbids properties that it does not name.
    pub(in crate::commands) fn is_closed(self) -> bool {
        self.here["additionalProperties"] == Value::Bool(false)
    }

    /// A keyword of the schema, such as `format`. Null where the schema doesn't have it.
    pub(in crate::commands) fn keyword(self, name: &str) -> &'a Value {
        &self.here[name]
    }

    /// The schemas of which a value fits one (`anyOf`, `oneOf`) or all (`allOf`).
    pub(in crate::commands) fn parts(self, keyword: &str) -> impl Iterator<Item = Self> {
        let parts = self.here[keyword].as_array().into_iter().flatten();
        parts.map(move |part| self.part(part))
    }

    /// The schema of an array's items.
    pub(in crate::commands) fn items(self) -> Self {
        self.part(&self.here["items"])
    }

    /// The schema of the item at a place of an array.
    pub(in crate::commands) fn item(self, place: usize) -> Self {
        let own =
            ["prefixItems", "items"].iter().find_map(|keyword| self.here[*keyword].get(place));
        own.map_or_else(|| self.items(), |own| self.part(own))
    }

    /// The allowed values, when the schema lists them.
    pub(in crate::commands) fn choices(self) -> Option<&'a Vec<Value>> {
        self.here["enum"].as_array()
    }

    /// The types a value may have. Empty: any type.
    pub(in crate::commands) fn kinds(self) -> Vec<Kind> {
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
    pub(in crate::commands) fn wanted(self) -> String {
        let mut names: Vec<_> = self.kinds().into_iter().map(Kind::name).collect();
        names.dedup();
        if names.is_empty() { "any".to_owned() } else { names.join("|") }
    }
}

fn once_each<'a>(names: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    let mut seen = BTreeSet::new();
    names.filter(move |name| seen.insert(*name))
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

    pub(in crate::commands) fn name(self) -> &'static str {
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
    pub(in crate::commands) fn of(value: &Value) -> Self {
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
    pub(in crate::commands) fn fits(self, kinds: &[Self]) -> bool {
        kinds.contains(&self) || (self == Self::Integer && kinds.contains(&Self::Number))
    }
}
