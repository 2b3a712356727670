//! Makes up a call of a tool that works when it is typed, with example values for what the tool requires.

use serde_json::{Value, json};

use super::super::call::parameters::{Kind, Schema};
use crate::cli::shell;

/// How deep values are made up. What is deeper is left out.
const DEPTH_MAX: usize = 8;
/// Most items of a list that a schema may demand of an example.
const ITEMS_MAX: u64 = 20;
/// Most characters of a text that a schema may demand of an example.
const TEXT_CHARS_MAX: u64 = 200;

/// Values for `format`.
const FORMATS: [(&str, &str); 12] = [
    ("date-time", "2026-01-31T12:00:00Z"),
    ("date", "2026-01-31"),
    ("time", "12:00:00Z"),
    ("duration", "PT1H"),
    ("email", "name@example.com"),
    ("hostname", "example.com"),
    ("ipv4", "192.0.2.1"),
    ("ipv6", "2001:db8::1"),
    ("uri", "https://example.com/"),
    ("uri-reference", "https://example.com/"),
    ("url", "https://example.com/"),
    ("uuid", "123e4567-e89b-12d3-a456-426614174000"),
];

/// What stands before an example in a description.
const MARKS: [&str; 5] = ["such as ", "e.g. ", "e.g., ", "for example ", "as in "];

/// Values for text whose name has one of these words, or whose description has one in capitals.
const COMMON: [(&[&str], &str); 6] = [
    (&["time_zone", "timezone", "IANA"], "Europe/Oslo"),
    (&["url", "uri"], "https://example.com/"),
    (&["email"], "name@example.com"),
    (&["city", "location"], "Oslo"),
    (&["country"], "Norway"),
    (&["language"], "en"),
];

/// Whether a shell and a terminal take the name as it is.
pub(super) fn is_typed(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::is_control)
}

/// The command line. `flags`: those that choose the daemon, with a blank before each. `None`: the tool has a
/// name that can't be typed.
pub(super) fn line(server: &str, tool: &str, schema: &Value, flags: &str) -> Option<String> {
    if !is_typed(tool) {
        return None;
    }
    let schema = Schema::root(schema);
    let required = schema.required().map(|name| (name, member(schema, name, DEPTH_MAX)));
    let arguments: Vec<_> = required.collect();
    let pairs: Option<Vec<_>> = arguments.iter().map(|(key, value)| pair(key, value)).collect();
    let mut line = format!("mainstay call{flags}");
    if pairs.is_none() {
        let whole = arguments.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let whole = Value::Object(whole.collect()).to_string();
        line.push_str(&format!(" --args {}", shell::quoted(&whole)));
    }
    let dashes = if tool.starts_with('-') { " --" } else { "" };
    line.push_str(&format!(" {server}{dashes} {}", shell::quoted(tool)));
    for pair in pairs.into_iter().flatten() {
        line.push_str(&format!(" {}", shell::quoted(&pair)));
    }
    Some(line)
}

/// `key=value`, if `mainstay call` reads that as this value.
fn pair(key: &str, value: &Value) -> Option<String> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pair = format!("{key}={text}");
    let is_typed = !key.is_empty() && !key.starts_with('-') && !key.contains('=');
    (is_typed && !pair.contains(char::is_control)).then_some(pair)
}

/// A value for a member of an object.
fn member(object: Schema<'_>, name: &str, depth: usize) -> Value {
    let Some(schema) = object.property(name) else { return json!("text") };
    let value = value(schema, depth);
    // Nothing in the schema says more than that it is text; its name and description may.
    let is_any_text = value == json!(text(schema)) && schema.keyword("format").is_null();
    let described = is_any_text.then(|| described(name, schema)).flatten();
    described.map_or(value, Value::from)
}

/// An example from the description, as in `such as Oslo`, or for a common name.
fn described(name: &str, schema: Schema<'_>) -> Option<String> {
    let description = schema.keyword("description").as_str().unwrap_or_default();
    let after = |mark: &str| description.split_once(mark).map(|(_, rest)| rest.trim_start());
    let example = MARKS.iter().find_map(|mark| after(mark)).and_then(first_example);
    let name = name.to_lowercase();
    let is_meant = |mark: &str| {
        let is_named = name.split(['_', '-']).any(|word| word == mark) || name == mark;
        // A term that is not in use for anything else may stand in the description.
        is_named || (mark.starts_with(char::is_uppercase) && description.contains(mark))
    };
    let common = || COMMON.iter().find(|(marks, _)| marks.iter().any(|mark| is_meant(mark)));
    let fits = |text: &String| {
        let length = text.chars().count() as u64;
        schema.keyword("minLength").as_u64().is_none_or(|least| length >= least)
            && schema.keyword("maxLength").as_u64().is_none_or(|most| length <= most)
    };
    example.or_else(|| common().map(|(_, text)| (*text).to_owned())).filter(fits)
}

/// The first word, or what stands in quotes.
fn first_example(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|c| "`'\"".contains(*c));
    let example = match quote {
        Some(quote) => text[1..].split(quote).next()?,
        None => text.split([' ', ',', ';', ')', '\n']).next()?.trim_end_matches(['.', ':']),
    };
    (!example.is_empty()).then(|| example.to_owned())
}

/// A value that fits the schema, as far as one can be made up.
fn value(schema: Schema<'_>, depth: usize) -> Value {
    if let Some(given) = given(schema) {
        return given.clone();
    }
    if depth == 0 {
        return Value::Null;
    }
    if schema.keyword("type").is_null() {
        let mut parts =
            ["anyOf", "oneOf", "allOf"].into_iter().flat_map(|keyword| schema.parts(keyword));
        if let Some(part) = parts.find(|part| part.kinds() != [Kind::Null]) {
            return value(part, depth - 1);
        }
    }
    let kinds = schema.kinds();
    match kinds.iter().find(|kind| **kind != Kind::Null).or(kinds.first()) {
        Some(Kind::Integer | Kind::Number) => number(schema),
        Some(Kind::Boolean) => json!(true),
        Some(Kind::Null) => Value::Null,
        Some(Kind::Array) => {
            let own = schema.keyword("prefixItems").as_array().map_or(1, Vec::len) as u64;
            let count = schema.keyword("minItems").as_u64().unwrap_or(own).clamp(1, ITEMS_MAX);
            (0..count).map(|place| value(schema.item(place as usize), depth - 1)).collect()
        }
        Some(Kind::Object) => {
            let required = schema.required();
            let members = required.map(|name| (name.to_owned(), member(schema, name, depth - 1)));
            Value::Object(members.collect())
        }
        Some(Kind::String) | None => Value::String(text(schema)),
    }
}

/// A value that the schema itself names.
fn given(schema: Schema<'_>) -> Option<&Value> {
    let named = [schema.keyword("default"), schema.keyword("const")];
    let lists = [schema.keyword("examples"), schema.keyword("enum")];
    let first = lists.into_iter().filter_map(|list| list.as_array()?.first());
    named.into_iter().filter(|value| !value.is_null()).chain(first).next()
}

fn number(schema: Schema<'_>) -> Value {
    let limit = |name: &str, beyond: &str, step: f64| {
        let beyond = schema.keyword(beyond).as_f64().map(|limit| limit + step);
        schema.keyword(name).as_f64().or(beyond)
    };
    let least = limit("minimum", "exclusiveMinimum", 1.0);
    let most = limit("maximum", "exclusiveMaximum", -1.0);
    let step = schema.keyword("multipleOf").as_f64().filter(|step| *step > 0.0).unwrap_or(1.0);
    let wanted = least.unwrap_or(1.0).min(most.unwrap_or(f64::MAX));
    // The next multiple that is not below the least value.
    let fitting = (wanted / step).ceil() * step;
    let least_own =
        schema.keyword("minimum").as_f64().or(schema.keyword("exclusiveMinimum").as_f64());
    let most_own =
        schema.keyword("maximum").as_f64().or(schema.keyword("exclusiveMaximum").as_f64());
    let fitting = match (least_own, most_own) {
        // No whole number is between them.
        (Some(least), Some(most)) if fitting > most || fitting < least => {
            f64::midpoint(least, most)
        }
        _ => fitting,
    };
    if fitting.fract() == 0.0 && fitting.abs() < 1e15 {
        json!(fitting as i64)
    } else {
        json!(fitting)
    }
}

fn text(schema: Schema<'_>) -> String {
    let format = schema.keyword("format").as_str();
    if let Some((_, text)) = FORMATS.iter().find(|(name, _)| Some(*name) == format) {
        return (*text).to_owned();
    }
    let length = |name: &str| schema.keyword(name).as_u64();
    let least = length("minLength").unwrap_or(0).min(TEXT_CHARS_MAX);
    let most = length("maxLength").unwrap_or(TEXT_CHARS_MAX).max(least);
    let chars = "text".chars().chain(std::iter::repeat('x'));
    chars.take((least.max(4).min(most)) as usize).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::call::arguments;
    use super::line;

    #[test]
    fn required_arguments_get_values_that_fit() {
        for (schema, expected) in [
            (json!({}), ""),
            (
                json!({ "properties": { "a": { "type": "string" }, "b": {} }, "required": ["a"] }),
                " a=text",
            ),
            (
                json!({ "properties": {
                    "default": { "type": "string", "default": "a b" },
                    "enum": { "enum": ["x", "y"] },
                    "format": { "type": "string", "format": "date" },
                    "long": { "type": "string", "minLength": 6 },
                    "number": { "type": "number", "exclusiveMinimum": 2.5 },
                    "page": { "type": "integer", "minimum": 7, "multipleOf": 5 },
                    "yes": { "type": ["null", "boolean"] },
                }, "required": ["default", "enum", "format", "long", "number", "page", "yes"] }),
                " 'default=a b' enum=x format=2026-01-31 long=textxx number=4 page=10 yes=true",
            ),
            (
                json!({ "$defs": { "Point": { "type": "object", "properties": {
                    "x": { "type": "integer", "maximum": -3 }, "label": { "type": "string" },
                }, "required": ["x"] } }, "properties": {
                    "path": { "type": "array", "minItems": 2, "items": { "$ref": "#/$defs/Point" } },
                    "maybe": { "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/Point" }] },
                }, "required": ["path", "maybe"] }),
                r#" 'path=[{"x":-3},{"x":-3}]' 'maybe={"x":-3}'"#,
            ),
            (
                json!({ "$ref": "#/$defs/Both", "$defs": {
                    "Both": { "allOf": [{ "$ref": "#/$defs/A" }, { "required": ["b"] }] },
                    "A": { "properties": {
                        "a": { "type": "number", "minimum": 0.5, "maximum": 0.75 },
                        "b": { "prefixItems": [{ "type": "string" }, { "type": "integer" }],
                               "type": "array" },
                    }, "required": ["a"] },
                } }),
                r#" a=0.625 'b=["text",1]'"#,
            ),
        ] {
            let expected = format!("mainstay call --state d s t{expected}");
            assert_eq!(line("s", "t", &schema, " --state d").unwrap(), expected);
        }
    }

    #[test]
    fn descriptions_and_names_give_better_examples() {
        for (name, description, expected) in [
            ("at", "Local time, such as 2026-03-01T15:30; today if only 15:30", "2026-03-01T15:30"),
            ("kind", "The kind (e.g. `a b`, c)", "'a b'"),
            ("from", "IANA name of the zone", "Europe/Oslo"),
            ("city", "", "Oslo"),
            ("query", "What to look for", "text"),
        ] {
            let properties = json!({ name: { "type": "string", "description": description } });
            let schema = json!({ "properties": properties, "required": [name] });
            let line = line("s", "t", &schema, "").unwrap();
            let expected = match expected.strip_prefix('\'') {
                Some(quoted) => format!("mainstay call s t '{name}={quoted}"),
                None => format!("mainstay call s t {name}={expected}"),
            };
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn what_can_not_be_typed_is_written_in_another_way() {
        let schema = json!({
            "properties": { "a=b": { "const": "\u{1b}" } }, "required": ["a=b"],
        });
        let expected = r#"mainstay call --args '{"a=b":"\u001b"}' s -- -t"#;
        assert_eq!(line("s", "-t", &schema, "").unwrap(), expected);
        assert_eq!(line("s", "a\u{7}", &schema, ""), None);
        assert_eq!(line("s", "a b", &json!({}), "").unwrap(), "mainstay call s 'a b'");
    }

    #[test]
    fn a_schema_without_an_end_has_an_example() {
        let schema = json!({
            "properties": { "next": { "$ref": "#" } }, "type": "object", "required": ["next"],
        });
        let line = line("s", "t", &schema, "").unwrap();
        let pair = line.split_once("t ").unwrap().1.trim_matches('\'').to_owned();
        let built = arguments::build(&schema, &[pair]).unwrap();
        assert!(serde_json::from_str::<Value>(built.get()).unwrap()["next"]["next"].is_object());
    }
}
