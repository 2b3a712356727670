//! Checks JSON against a schema of an OpenAPI document, as far as ours use it.
//!
//! Stricter than the standard: a member that the schema does not describe is an error, so that nothing is
//! answered that nobody has documented. A keyword that is not known here is an error, too.

use serde_json::{Map, Value};

/// Checks a value against the component of this name.
///
/// # Errors
/// What is wrong, and where.
pub fn check(document: &Value, name: &str, value: &Value) -> Result<(), String> {
    let schema = &document["components"]["schemas"][name];
    if schema.is_null() {
        return Err(format!("the document has no schema {name}"));
    }
    check_at(document, schema, value, name)
}

fn check_at(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let schema = schema.as_object().ok_or_else(|| format!("{at}: not a schema: {schema}"))?;
    for (keyword, rule) in schema {
        match keyword.as_str() {
            "$ref" => {
                let pointer = rule.as_str().unwrap_or_default().trim_start_matches('#');
                let target = document.pointer(pointer).ok_or_else(|| format!("{at}: no {rule}"))?;
                check_at(document, target, value, at)?;
            }
            "oneOf" => check_one_of(document, rule, value, at)?,
            "type" => check_type(rule, value, at)?,
            "enum" => {
                if !rule.as_array().is_some_and(|words| words.contains(value)) {
                    return Err(format!("{at}: {value} is none of {rule}"));
                }
            }
            "minimum" => {
                if value.as_f64() < rule.as_f64() {
                    return Err(format!("{at}: {value} is less than {rule}"));
                }
            }
            "required" => {
                let names = rule.as_array().into_iter().flatten().filter_map(Value::as_str);
                if let Some(missing) = names.into_iter().find(|name| value.get(name).is_none()) {
                    return Err(format!("{at}: {missing} is missing"));
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check_at(document, rule, item, &format!("{at}[{index}]"))?;
                }
            }
            "properties" => check_members(document, schema, value, at)?,
            "additionalProperties" if !schema.contains_key("properties") => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    check_at(document, rule, member, &format!("{at}.{name}"))?;
                }
            }
            // Said in `properties`, or not checked: what they are for is seen elsewhere.
            "additionalProperties" | "description" | "format" | "pattern" | "propertyNames" => {}
            other => return Err(format!("{at}: the keyword {other} is not known here")),
        }
    }
    Ok(())
}

fn check_one_of(document: &Value, rule: &Value, value: &Value, at: &str) -> Result<(), String> {
    let results: Vec<_> = rule
        .as_array()
        .into_iter()
        .flatten()
        .map(|schema| check_at(document, schema, value, at))
        .collect();
    match results.iter().filter(|result| result.is_ok()).count() {
        1 => Ok(()),
        fitting => Err(format!("{at}: {fitting} schemas fit instead of one: {results:?}")),
    }
}

fn check_type(rule: &Value, value: &Value, at: &str) -> Result<(), String> {
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    };
    let names = rule.as_array().map_or_else(|| vec![rule], |names| names.iter().collect());
    if names.iter().any(|name| name.as_str().is_some_and(is)) {
        return Ok(());
    }
    Err(format!("{at}: {value} is not of type {rule}"))
}

fn check_members(
    document: &Value,
    schema: &Map<String, Value>,
    value: &Value,
    at: &str,
) -> Result<(), String> {
    let known = schema.get("properties").and_then(Value::as_object);
    for (name, member) in value.as_object().into_iter().flatten() {
        let Some(schema) = known.and_then(|known| known.get(name)) else {
            return Err(format!("{at}: {name} is not described"));
        };
        check_at(document, schema, member, &format!("{at}.{name}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check;

    #[track_caller]
    fn complains(value: &Value, expected: &str) {
        let word = json!({"type": "string", "enum": ["on", "off"]});
        let properties = json!({
            "state": {"$ref": "#/components/schemas/Word"},
            "count": {"type": "integer", "minimum": 0},
            "names": {"type": "array", "items": {"type": "string"}},
            "by_name": {"type": "object", "additionalProperties": {"type": "integer"}},
            "either": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        });
        let thing = json!({"type": "object", "required": ["state"], "properties": properties});
        let document = json!({"components": {"schemas": {"Word": word, "Thing": thing}}});
        let said = check(&document, "Thing", value).err().unwrap_or_default();
        assert!(said.contains(expected) && expected.is_empty() == said.is_empty(), "{said:?}");
    }

    #[test]
    fn what_does_not_fit_is_found_and_named() {
        let whole = json!({
            "state": "on", "count": 2, "names": ["a"], "by_name": {"x": 1}, "either": 7,
        });
        complains(&whole, "");
        complains(&json!({"state": "on"}), "");
        complains(&json!({}), "Thing: state is missing");
        complains(&json!({"state": "of"}), "Thing.state: \"of\" is none of");
        complains(&json!({"state": "on", "count": -1}), "Thing.count: -1 is less than 0");
        complains(&json!({"state": "on", "count": 1.5}), "Thing.count: 1.5 is not of type");
        complains(&json!({"state": "on", "names": ["a", 1]}), "Thing.names[1]: 1 is not of type");
        complains(&json!({"state": "on", "by_name": {"x": "1"}}), "Thing.by_name.x: \"1\"");
        complains(&json!({"state": "on", "either": null}), "0 schemas fit");
        complains(&json!({"state": "on", "more": 1}), "Thing: more is not described");
        complains(&json!({"state": "on", "names": "a"}), "Thing.names: \"a\" is not of type");
    }
}
