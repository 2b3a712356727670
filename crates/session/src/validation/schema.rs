//! Arguments compared with the tool's own `inputSchema`.
//!
//! A schema comes from a server and arguments from a client, and neither may keep the daemon busy. So a schema is
//! compiled with a linear regex engine and without fetching anything; what it may cost is estimated
//! ([`cost`]), and arguments are compared only if their size times that cost is bounded.

use std::fmt;

use jsonschema::{PatternOptions, Validator};
use mainstay_protocol::depth;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{cost, doubled};

/// Largest schema that is compiled, in bytes. Real ones have a few KB.
pub const SCHEMA_BYTES_MAX: usize = 256 << 10;

/// How deep arguments may be nested.
pub const DEPTH_MAX: usize = 32;

/// The most steps that comparing may take, by estimate: well below a second.
const STEPS_MAX: u64 = 10_000_000;

/// Comparisons with more steps than this belong on a thread of their own.
const STEPS_AT_ONCE: u64 = 100_000;

/// Largest compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 256 << 10;

/// Longest message about an argument, in characters. It may quote the argument.
const MESSAGE_CHARS_MAX: usize = 300;

/// A tool's `inputSchema`, compiled.
#[derive(Debug)]
pub struct ToolSchema {
    validator: Validator,
    /// The most steps for one value in the arguments.
    cost: u64,
}

/// Why a schema can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableSchema {
    #[error("the tool has no inputSchema")]
    Missing,
    #[error("it has more than {SCHEMA_BYTES_MAX} bytes")]
    TooLarge,
    #[error("it would take too long to compare arguments with it")]
    TooCostly,
    #[error("it refers to itself without end")]
    Endless,
    #[error("`{0}` in it is not supported here")]
    Unsupported(&'static str),
    #[error("it refers to {0:?}, which is not a place in itself")]
    Elsewhere(String),
    #[error(
        "its pattern {0:?} can't be used: patterns are matched without backtracking, so without look-around and back \
         references"
    )]
    Pattern(String),
    #[error("{0}")]
    Invalid(String),
}

/// Arguments that are not as the schema wants them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The path of the argument: `inputs[3].name`. Empty: the arguments themselves.
    pub at: String,
    /// The rule, as a JSON pointer into the schema. Empty: arguments of any tool must not be so.
    pub rule: String,
    /// What is wrong, as a sentence.
    pub message: String,
}

/// What comes of comparing arguments with a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    Fits,
    Differs(Mismatch),
    /// They are nested deeper than [`DEPTH_MAX`], or comparing them would take too many steps.
    TooMuch,
}

// === impl ToolSchema ===

impl ToolSchema {
    /// Compiles the schema of a tool. `tool`: the JSON text of the tool as the server lists it. Takes milliseconds,
    /// so it belongs on a thread of its own.
    ///
    /// # Errors
    /// [`UnusableSchema`] if there is none, or it can't be used.
    pub fn compile(tool: &str) -> Result<Self, UnusableSchema> {
        let text = input_schema(tool).ok_or(UnusableSchema::Missing)?;
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(UnusableSchema::TooLarge);
        }
        let invalid = |error: &dyn fmt::Display| UnusableSchema::Invalid(brief(&error.to_string()));
        let schema: Value = serde_json::from_str(text).map_err(|error| invalid(&error))?;
        let cost = cost::of(&schema, DEPTH_MAX)?;
        match build(&schema) {
            Ok(validator) => Ok(Self { validator, cost }),
            Err(error) => Err(unusable_pattern(&schema).unwrap_or_else(|| invalid(&error))),
        }
    }

    /// Whether comparing these arguments takes so long that it belongs on a thread of its own.
    pub fn is_slow_for(&self, arguments: &str) -> bool {
        self.steps(arguments) > STEPS_AT_ONCE
    }

    /// Compares arguments with the schema. `arguments`: their JSON text.
    pub fn compare(&self, arguments: &str) -> Compared {
        if depth::depth(arguments.as_bytes()) > DEPTH_MAX || self.steps(arguments) > STEPS_MAX {
            return Compared::TooMuch;
        }
        if let Some(name) = doubled::find(arguments) {
            let message = format!("the member {name:?} is there twice");
            return Compared::Differs(Mismatch {
                at: String::new(),
                rule: String::new(),
                message: brief(&message),
            });
        }
        // What is no JSON is refused by the server.
        let Ok(value) = serde_json::from_str::<Value>(arguments) else { return Compared::Fits };
        match self.validator.validate(&value) {
            Ok(()) => Compared::Fits,
            Err(error) => Compared::Differs(Mismatch {
                at: path_of(error.instance_path().as_str(), &value),
                rule: error.schema_path().as_str().to_owned(),
                message: brief(&error.to_string()),
            }),
        }
    }

    /// The estimated steps: values come between commas and brackets, and long texts are read by patterns.
    fn steps(&self, arguments: &str) -> u64 {
        let marks = arguments.bytes().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
        let values = marks + 1 + arguments.len() / 64;
        u64::try_from(values).unwrap_or(u64::MAX).saturating_mul(self.cost)
    }
}

fn build(schema: &Value) -> Result<Validator, jsonschema::ValidationError<'static>> {
    let patterns =
        PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
    jsonschema::options()
        .offline()
        .should_validate_formats(false)
        .with_pattern_options(patterns)
        .build(schema)
}

/// The first pattern that can't be compiled, of a schema that can't be.
fn unusable_pattern(schema: &Value) -> Option<UnusableSchema> {
    let mut values = vec![schema];
    while let Some(value) = values.pop() {
        let Value::Object(members) = value else {
            values.extend(value.as_array().into_iter().flatten());
            continue;
        };
        let own = members.get("pattern").and_then(Value::as_str);
        let by_name = members.get("patternProperties").and_then(Value::as_object);
        let patterns =
            own.into_iter().chain(by_name.into_iter().flatten().map(|(name, _)| &**name));
        let mut unusable =
            patterns.filter(|pattern| build(&json!({ "pattern": pattern })).is_err());
        if let Some(pattern) = unusable.next() {
            return Some(UnusableSchema::Pattern(brief(pattern)));
        }
        values.extend(members.values());
    }
    None
}

/// The text of the member `inputSchema`.
fn input_schema(tool: &str) -> Option<&str> {
    #[derive(serde::Deserialize)]
    struct Tool<'a> {
        #[serde(borrow, rename = "inputSchema")]
        input_schema: Option<&'a RawValue>,
    }
    serde_json::from_str::<Tool<'_>>(tool).ok()?.input_schema.map(RawValue::get)
}

/// A JSON pointer in the notation of argument paths: `/inputs/3/name` as `inputs[3].name`.
fn path_of(pointer: &str, root: &Value) -> String {
    let (mut path, mut at) = (String::new(), Some(root));
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if let Some(Value::Array(items)) = at {
            path.push_str(&format!("[{step}]"));
            at = step.parse::<usize>().ok().and_then(|index| items.get(index));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&step);
            at = at.and_then(|value| value.get(&step));
        }
    }
    path
}

fn brief(message: &str) -> String {
    let mut short: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
    if short.len() < message.len() {
        short.push('…');
    }
    short
}

// === impl Mismatch ===

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.at.is_empty() { "arguments" } else { &self.at };
        write!(f, "{at}: {}", self.message)?;
        match self.rule.as_str() {
            "" => Ok(()),
            rule => write!(f, " (rule {rule} of the tool's inputSchema)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Compared, ToolSchema, UnusableSchema};

    fn compile(schema: &Value) -> Result<ToolSchema, UnusableSchema> {
        ToolSchema::compile(&json!({ "name": "t", "inputSchema": schema }).to_string())
    }

    fn compare(schema: &Value, arguments: &Value) -> Compared {
        compile(schema).unwrap().compare(&arguments.to_string())
    }

    #[test]
    fn what_is_wrong_is_told_with_its_path_and_the_rule() {
        let schema = json!({
            "type": "object",
            "properties": {
                "inputs": { "type": "array", "items": { "$ref": "#/$defs/input" } },
                "model": { "enum": ["small", "large"] },
            },
            "required": ["inputs"],
            "$defs": { "input": {
                "type": "object", "properties": { "text": { "type": "string", "pattern": "^[a-z]+$" } },
            } },
        });
        assert_eq!(compare(&schema, &json!({ "inputs": [{ "text": "a" }] })), Compared::Fits);
        for (arguments, at, rule) in [
            (json!({}), "", "/required"),
            (json!({ "inputs": 1 }), "inputs", "/properties/inputs/type"),
            (json!({ "inputs": [{}, { "text": "A" }] }), "inputs[1].text", "/pattern"),
            (json!({ "inputs": [], "model": "x" }), "model", "/properties/model/enum"),
        ] {
            let Compared::Differs(found) = compare(&schema, &arguments) else {
                panic!("{arguments}")
            };
            assert_eq!(found.at, at, "{found}");
            assert!(found.rule.ends_with(rule), "{found}");
            assert!(found.to_string().chars().count() < 500);
        }
        let long = json!({ "inputs": [{ "text": "A".repeat(100_000) }] });
        let Compared::Differs(found) = compare(&schema, &long) else { panic!("it differs") };
        assert!(found.message.chars().count() <= 301, "{}", found.message.len());
    }

    #[test]
    fn schemas_that_can_not_be_used_say_why() {
        let of = |schema: Value| compile(&schema).unwrap_err();
        assert_eq!(ToolSchema::compile(r#"{"name": "t"}"#).unwrap_err(), UnusableSchema::Missing);
        assert_eq!(of(json!({ "description": "x".repeat(300_000) })), UnusableSchema::TooLarge);
        assert_eq!(of(json!({ "$ref": "#" })), UnusableSchema::Endless);
        let knot = json!({ "allOf": [{ "$ref": "#/$defs/a" }],
            "$defs": { "a": { "anyOf": [{ "$ref": "#/$defs/b" }] }, "b": { "not": { "$ref": "#/$defs/a" } } } });
        assert_eq!(of(knot), UnusableSchema::Endless);
        for schema in [
            json!({ "type": "objekt" }),
            json!({ "$ref": "https://example.org/schema.json" }),
            json!({ "$ref": "file:///etc/passwd" }),
            json!({ "$ref": "#/$defs/missing" }),
            json!({ "pattern": "(" }),
            json!({ "pattern": "((((((a{100}){100}){100}){100}){100})" }),
            json!({ "$dynamicRef": "#x" }),
        ] {
            assert!(compile(&schema).is_err(), "{schema}");
        }
    }

    #[test]
    fn a_pattern_that_can_not_be_used_is_named() {
        let look = json!({ "properties": {
            "a": { "pattern": "^[a-z]+$" }, "b": { "items": { "pattern": "^(?!x).*$" } },
        } });
        let why = compile(&look).unwrap_err();
        assert_eq!(why, UnusableSchema::Pattern("^(?!x).*$".to_owned()));
        assert!(why.to_string().contains("look-around"), "{why}");
        let by_name = json!({ "patternProperties": { r"(a)\1": {} } });
        assert!(matches!(compile(&by_name).unwrap_err(), UnusableSchema::Pattern(_)));
    }

    #[test]
    fn references_lead_to_places_in_the_schema_itself() {
        let defs = json!({ "a b": { "$anchor": "x", "type": "string" } });
        let to = |to: &str| json!({ "properties": { "p": { "$ref": to } }, "$defs": defs });
        assert_eq!(compile(&to("#x")).unwrap_err(), UnusableSchema::Unsupported("$anchor"));
        let other = "other.json".to_owned();
        assert_eq!(compile(&to("other.json")).unwrap_err(), UnusableSchema::Elsewhere(other));
        let found = json!({ "$ref": "#/$defs/a%20b", "$defs": { "a b": { "type": "object" } } });
        assert_eq!(compare(&found, &json!({})), Compared::Fits);
    }

    #[test]
    fn a_member_that_is_there_twice_is_told() {
        let schema = compile(&json!({ "type": "object" })).unwrap();
        assert_eq!(schema.compare(r#"{"a": {"b": 1}, "b": [{"b": 2}]}"#), Compared::Fits);
        for twice in [r#"{"a": 1, "n": 2, "n": 3}"#, r#"{"a": [{"n": 1, "\u006e": 1}]}"#] {
            let Compared::Differs(found) = schema.compare(twice) else { panic!("{twice}") };
            assert_eq!(found.to_string(), r#"arguments: the member "n" is there twice"#);
        }
    }

    /// A small schema that doubles the work with each level, in place and by depth, and patterns that keep
    /// backtracking engines busy for ages.
    #[test]
    fn no_schema_keeps_the_daemon_busy() {
        let twice = |name: &str| {
            let to = json!({ "$ref": format!("#/$defs/{name}") });
            json!({ "allOf": [to, to] })
        };
        let mut defs = serde_json::Map::new();
        for level in 0..40 {
            defs.insert(format!("d{level}"), twice(&format!("d{}", level + 1)));
        }
        defs.insert("d40".to_owned(), json!({ "type": "object" }));
        let doubling = json!({ "$ref": "#/$defs/d0", "$defs": defs });
        assert_eq!(compile(&doubling).unwrap_err(), UnusableSchema::TooCostly);
        let deeper = json!({ "properties": { "a": { "$ref": "#" } } });
        let by_depth = json!({ "allOf": [deeper, deeper] });
        assert_eq!(compile(&by_depth).unwrap_err(), UnusableSchema::TooCostly);
        let regex = json!({ "properties": { "a": { "pattern": "^(a+)+$" } } });
        let arguments = json!({ "a": format!("{}b", "a".repeat(100_000)) });
        assert!(matches!(compare(&regex, &arguments), Compared::Differs(_)));
    }

    #[test]
    fn trees_are_no_trouble_and_arguments_that_are_too_deep_are_told() {
        let tree = json!({
            "type": "object",
            "properties": { "name": { "type": "string" }, "children": { "type": "array", "items": { "$ref": "#" } } },
        });
        let mut at = json!({ "name": 1 });
        for _ in 0..10 {
            at = json!({ "name": "x", "children": [{}, at] });
        }
        let Compared::Differs(found) = compare(&tree, &at) else { panic!("the leaf is wrong") };
        assert!(found.at.ends_with("children[1].name"), "{found}");
        for _ in 0..30 {
            at = json!({ "children": [at] });
        }
        assert_eq!(compare(&tree, &at), Compared::TooMuch);
        let many = json!({ "children": vec![json!({ "name": "x" }); 200_000] });
        assert_eq!(compare(&tree, &many), Compared::TooMuch);
    }
}
