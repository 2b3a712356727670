//! Builds a tool's JSON arguments from `key=value` pairs. The tool's schema determines the types.

use serde_json::Value;
use serde_json::value::RawValue;

use super::parameters::{Kind, Schema};

#[cfg(test)]
mod tests;

/// The values that were given for one key, in the order of typing.
struct Given<'a> {
    key: &'a str,
    values: Vec<&'a str>,
}

/// Builds the JSON object of all arguments. Returns every problem otherwise.
pub(in crate::commands) fn build(
    schema: &Value,
    pairs: &[String],
) -> Result<Box<RawValue>, Vec<String>> {
    let schema = Schema::root(schema);
    let mut wrong = Vec::new();
    let given = gather(pairs, &mut wrong);
    let mut members = Vec::new();
    for one in &given {
        match value_of(schema, one) {
            Ok(value) => members.push(format!("{}:{value}", Value::from(one.key))),
            Err(why) => wrong.push(why),
        }
    }
    let missing = schema.required().filter(|name| given.iter().all(|one| one.key != *name));
    wrong.extend(missing.map(|name| format!("{name} is missing")));
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let object = format!("{{{}}}", members.join(","));
    RawValue::from_string(object).map_err(|error| vec![error.to_string()])
}

fn gather<'a>(pairs: &'a [String], wrong: &mut Vec<String>) -> Vec<Given<'a>> {
    let mut given: Vec<Given<'_>> = Vec::new();
    for pair in pairs {
        let Some((key, value)) = pair.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            wrong.push(format!("{pair:?} is not of the form key=value"));
            continue;
        };
        match given.iter_mut().find(|one| one.key == key) {
            Some(one) => one.values.push(value),
            None => given.push(Given { key, values: vec![value] }),
        }
    }
    given
}

/// The JSON text of one argument.
fn value_of(schema: Schema<'_>, given: &Given<'_>) -> Result<String, String> {
    let key = given.key;
    let Some(property) = schema.property(key) else {
        return unnamed(schema, given);
    };
    let kinds = property.kinds();
    match given.values.as_slice() {
        [one] => {
            let list = kinds.contains(&Kind::Array) && !kinds.contains(&Kind::String);
            if list && parsed(one, &[Kind::Array]).is_none() {
                return item(property, key, one).map(|item| format!("[{item}]"));
            }
            typed(property, key, one)
        }
        several if kinds.contains(&Kind::Array) => {
            let items: Result<Vec<_>, _> =
                several.iter().map(|one| item(property, key, one)).collect();
            Ok(format!("[{}]", items?.join(",")))
        }
        _ => Err(format!("{key} is given more than once, and is not a list")),
    }
}

/// Warnings about keys that the schema neither names nor forbids: the tool may ignore them.
pub(super) fn doubts(schema: &Value, pairs: &[String]) -> Vec<String> {
    let schema = Schema::root(schema);
    if schema.is_closed() || schema.names().next().is_none() {
        return Vec::new();
    }
    gather(pairs, &mut Vec::new())
        .iter()
        .filter(|given| schema.property(given.key).is_none())
        .map(|given| format!("its schema has no argument {}{}", given.key, near(schema, given)))
        .collect()
}

fn near(schema: Schema<'_>, given: &Given<'_>) -> String {
    let near = mainstay_config::nearest::nearest(given.key, schema.names());
    near.map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

/// The value of a key that the schema does not name: refused when the schema is closed, otherwise
/// JSON if the text is JSON.
fn unnamed(schema: Schema<'_>, given: &Given<'_>) -> Result<String, String> {
    let key = given.key;
    if schema.is_closed() {
        return Err(format!("there is no argument {key}{}", near(schema, given)));
    }
    match given.values.as_slice() {
        [one] => Ok(parsed(one, &[]).unwrap_or_else(|| Value::from(*one).to_string())),
        _ => Err(format!("{key} is given more than once")),
    }
}

fn item(list: Schema<'_>, key: &str, text: &str) -> Result<String, String> {
    typed(list.items(), key, text)
}

/// Converts one value to the type that its schema demands.
fn typed(schema: Schema<'_>, key: &str, text: &str) -> Result<String, String> {
    let kinds = schema.kinds();
    let string = || Value::from(text).to_string();
    let json = if kinds.is_empty() {
        parsed(text, &[]).unwrap_or_else(string)
    } else if kinds.iter().all(|kind| *kind == Kind::String) {
        string()
    } else if let Some(json) = parsed(text, &kinds) {
        json
    } else if kinds.contains(&Kind::String) {
        string()
    } else {
        return Err(format!("{key}: expected {}, not {text:?}", schema.wanted()));
    };
    match schema.choices() {
        Some(choices) if !is_among(&json, choices) => {
            let choices: Vec<_> = choices.iter().map(plain).collect();
            Err(format!("{key}: expected one of {}, not {text:?}", choices.join(", ")))
        }
        _ => Ok(json),
    }
}

/// The text itself when it is JSON of one of `kinds`. Empty `kinds` accept any type.
fn parsed(text: &str, kinds: &[Kind]) -> Option<String> {
    // Kept as raw text, because JSON numbers may be longer than any number type.
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    let kind = match serde_json::from_str(text) {
        Ok(value) => Kind::of(&value),
        Err(_) => Kind::Number,
    };
    (kinds.is_empty() || kind.fits(kinds)).then(|| raw.get().to_owned())
}

fn is_among(json: &str, choices: &[Value]) -> bool {
    serde_json::from_str::<Value>(json).is_ok_and(|value| choices.contains(&value))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
