use serde_json::{Value, json};

use super::{build, doubts};
use crate::commands::call::parameters::summary;

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "city": { "type": "string" },
            "days": { "type": "integer" },
            "limit": { "type": "number" },
            "deep": { "type": "boolean" },
            "tags": { "type": "array", "items": { "type": "string" } },
            "ids": { "type": "array", "items": { "type": "integer" } },
            "where": { "type": "object" },
            "unit": { "enum": ["metric", "imperial"] },
            "level": { "type": "integer", "enum": [1, 2] },
            "maybe": { "type": ["string", "null"] },
            "either": { "anyOf": [{ "type": "integer" }, { "type": "boolean" }] },
            "text_or_list": { "type": ["string", "array"] },
            "zone": { "$ref": "#/$defs/zone" },
            "circle": { "$ref": "#/properties/circle" },
            "any": {},
        },
        "$defs": { "zone": { "type": "string" } },
        "additionalProperties": false,
    })
}

fn typed(schema: &Value, pairs: &[&str]) -> Result<String, Vec<String>> {
    let pairs: Vec<_> = pairs.iter().map(|&pair| pair.to_owned()).collect();
    build(schema, &pairs).map(|json| json.get().to_owned())
}

#[test]
fn a_value_gets_the_type_its_schema_wants() {
    for (pairs, expected) in [
        (&[][..], "{}"),
        (&["city=Oslo"], r#"{"city":"Oslo"}"#),
        (&["city=5"], r#"{"city":"5"}"#),
        (&["city="], r#"{"city":""}"#),
        (&["city=a=b \"c\""], r#"{"city":"a=b \"c\""}"#),
        (&["days=3", "city=x"], r#"{"days":3,"city":"x"}"#),
        (&["days=-3"], r#"{"days":-3}"#),
        (&["days=12345678901234567890123"], r#"{"days":12345678901234567890123}"#),
        (&["days=1.0"], r#"{"days":1.0}"#),
        (&["limit=1.50"], r#"{"limit":1.50}"#),
        (&["limit=2"], r#"{"limit":2}"#),
        (&["deep=true"], r#"{"deep":true}"#),
        (&["tags=a"], r#"{"tags":["a"]}"#),
        (&["tags=a", "tags=2"], r#"{"tags":["a","2"]}"#),
        (&["tags=[\"a\"]"], r#"{"tags":["a"]}"#),
        (&["ids=1", "ids=2"], r#"{"ids":[1,2]}"#),
        (&["where={\"a\": 1}"], r#"{"where":{"a": 1}}"#),
        (&["unit=metric"], r#"{"unit":"metric"}"#),
        (&["level=2"], r#"{"level":2}"#),
        (&["maybe=null"], r#"{"maybe":null}"#),
        (&["maybe=nil"], r#"{"maybe":"nil"}"#),
        (&["either=7"], r#"{"either":7}"#),
        (&["either=false"], r#"{"either":false}"#),
        (&["text_or_list=a"], r#"{"text_or_list":"a"}"#),
        (&["text_or_list=a", "text_or_list=b"], r#"{"text_or_list":["a","b"]}"#),
        (&["zone=1"], r#"{"zone":"1"}"#),
        (&["circle=1"], r#"{"circle":1}"#),
        (&["any=[1]"], r#"{"any":[1]}"#),
        (&["any=word"], r#"{"any":"word"}"#),
    ] {
        assert_eq!(typed(&schema(), pairs), Ok(expected.to_owned()), "{pairs:?}");
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    for (pairs, expected) in [
        (&["city"][..], &["\"city\" is not of the form key=value"][..]),
        (&["=x"], &["\"=x\" is not of the form key=value"]),
        (&["days=three"], &["days: expected integer, not \"three\""]),
        (&["days=1.5"], &["days: expected integer, not \"1.5\""]),
        (&["deep=yes"], &["deep: expected boolean, not \"yes\""]),
        (&["where=[]"], &["where: expected object, not \"[]\""]),
        (&["ids=a", "ids=1"], &["ids: expected integer, not \"a\""]),
        (&["either=x"], &["either: expected integer|boolean, not \"x\""]),
        (&["unit=si"], &["unit: expected one of metric, imperial, not \"si\""]),
        (&["level=3"], &["level: expected one of 1, 2, not \"3\""]),
        (&["city=a", "city=b"], &["city is given more than once, and is not a list"]),
        (&["ctiy=a"], &["there is no argument ctiy; did you mean city?"]),
        (
            &["nothing-like-it=a", "days=x"],
            &["there is no argument nothing-like-it", "days: expected integer, not \"x\""],
        ),
    ] {
        assert_eq!(typed(&schema(), pairs).unwrap_err(), expected, "{pairs:?}");
    }
    let needs = json!({ "properties": { "a": {} }, "required": ["a", "b"] });
    assert_eq!(typed(&needs, &["a=1"]).unwrap_err(), ["b is missing"]);
}

#[test]
fn without_a_schema_values_are_read_as_they_look() {
    for schema in [json!({}), json!({ "type": "object" }), Value::Null] {
        let pairs = ["n=1", "t=true", "s=some text", "l=[1,2]"];
        let expected = r#"{"n":1,"t":true,"s":"some text","l":[1,2]}"#;
        assert_eq!(typed(&schema, &pairs), Ok(expected.to_owned()));
        assert_eq!(typed(&schema, &["n=1", "n=2"]).unwrap_err(), ["n is given more than once"]);
    }
}

#[test]
fn a_summary_shows_what_to_type() {
    let schema = json!({
        "properties": { "days": { "type": "integer" }, "city": { "type": "string" } },
        "required": ["city"],
    });
    assert_eq!(summary(&schema).join(" "), "city=string [days=integer]");
    assert_eq!(summary(&json!({})).join(" "), "");
    assert_eq!(summary(&json!({ "required": ["x"] })).join(" "), "x");
}

#[test]
fn a_key_that_may_go_unread_is_doubted() {
    let open = json!({ "properties": { "time_zone": { "type": "string" } } });
    let closed = json!({ "properties": { "a": {} }, "additionalProperties": false });
    for (schema, pairs, expected) in [
        (&open, ["time_zone=UTC"], &[][..]),
        (
            &open,
            ["time_zon=UTC"],
            &["its schema has no argument time_zon; did you mean time_zone?"],
        ),
        (&open, ["q=UTC"], &["its schema has no argument q"]),
        (&json!({}), ["q=UTC"], &[]),
        // An error already, so no warning.
        (&closed, ["q=UTC"], &[]),
    ] {
        assert_eq!(doubts(schema, &pairs.map(str::to_owned)), expected, "{pairs:?}");
    }
}
