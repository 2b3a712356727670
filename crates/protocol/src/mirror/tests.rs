use super::{BadMirror, MirroredArguments};
use crate::headers::HeaderMismatch;

fn tool(schema: &str) -> String {
    format!(r#"{{"name":"t","inputSchema":{{"type":"object",{schema}}}}}"#)
}

fn mirrors(properties: &str) -> MirroredArguments {
    MirroredArguments::of_tool(&tool(&format!(r#""properties":{{{properties}}}"#))).unwrap()
}

const REGION: &str = r#""region":{"type":"string","x-mcp-header":"Region"}"#;
const LIMIT: &str = r#""limit":{"type":"integer","x-mcp-header":"Limit"}"#;

#[test]
fn tools_without_the_keyword_have_none() {
    for properties in ["", r#""a":{"type":"string"}"#, r#""x-mcp-header":{"type":"object"}"#] {
        assert!(mirrors(properties).is_empty(), "{properties}");
    }
    assert!(MirroredArguments::of_tool(r#"{"name":"t"}"#).unwrap().is_empty());
    // As data it means nothing.
    let data =
        r#""a":{"type":"object","default":{"x-mcp-header":"A"},"enum":[{"x-mcp-header":1}]}"#;
    assert!(mirrors(data).is_empty());
}

#[test]
fn what_the_specification_forbids_is_found() {
    let at =
        |name: &str, rest: &str| format!(r#""properties":{{"a":{{"x-mcp-header":{name}{rest}}}}}"#);
    let string = r#","type":"string""#;
    for (schema, expected) in [
        (at(r#""""#, string), BadMirror::NotAName(r#""""#.into())),
        (at(r#""a b""#, string), BadMirror::NotAName(r#""a b""#.into())),
        (at(r#""a:b""#, string), BadMirror::NotAName(r#""a:b""#.into())),
        (at(r#""a\r\nb""#, string), BadMirror::NotAName(r#""a\r\nb""#.into())),
        (at(r#""世""#, string), BadMirror::NotAName(r#""世""#.into())),
        (at("7", string), BadMirror::NotAName("7".into())),
        (at("null", string), BadMirror::NotAName("null".into())),
        (at(r#""A""#, r#","type":"number""#), BadMirror::NotPrimitive("A".into())),
        (at(r#""A""#, r#","type":"object""#), BadMirror::NotPrimitive("A".into())),
        (at(r#""A""#, r#","type":["string","integer"]"#), BadMirror::NotPrimitive("A".into())),
        (at(r#""A""#, ""), BadMirror::NotPrimitive("A".into())),
        (
            format!(
                r#""properties":{{{REGION},"zone":{{"type":"string","x-mcp-header":"REGION"}}}}"#
            ),
            BadMirror::Twice("REGION".into()),
        ),
        (r#""x-mcp-header":"A""#.into(), BadMirror::Unreachable(r#""A""#.into())),
    ] {
        assert_eq!(MirroredArguments::of_tool(&tool(&schema)), Err(expected), "{schema}");
    }
    for place in [
        r#""properties":{"a":{"type":"array","items":{SCHEMA}}}"#,
        r#""properties":{"a":{"type":"array","prefixItems":[{SCHEMA}]}}"#,
        r#""properties":{"a":{"anyOf":[{SCHEMA}]}}"#,
        r#""properties":{"a":{"not":{SCHEMA}}}"#,
        r#""allOf":[{"properties":{"a":{SCHEMA}}}]"#,
        r#""if":{"properties":{"a":{SCHEMA}}}"#,
        r#""additionalProperties":{SCHEMA}"#,
        r#""patternProperties":{"^a":{SCHEMA}}"#,
        r#""$defs":{"default":{SCHEMA}}"#,
        r#""properties":{"a":{"$ref":"b","$defs":{"b":{SCHEMA}}}}"#,
    ] {
        let schema = place.replace("{SCHEMA}", r#"{"type":"string","x-mcp-header":"A"}"#);
        let found = MirroredArguments::of_tool(&tool(&schema));
        assert_eq!(found, Err(BadMirror::Unreachable(r#""A""#.into())), "{schema}");
    }
}

#[test]
fn values_are_read_at_their_paths() {
    let nested = r#""where":{"type":"object","properties":{"zone":{"type":["string","null"],"x-mcp-header":"Zone"}}}"#;
    let all = mirrors(&format!(
        r#"{REGION},{LIMIT},{nested},"dry":{{"type":"boolean","x-mcp-header":"Dry-Run"}}"#
    ));
    for (arguments, expected) in [
        (r#"{"region":"us-west1"}"#, vec![("mcp-param-region", "us-west1")]),
        (r#"{"region":"\u4e16"}"#, vec![("mcp-param-region", "=?base64?5LiW?=")]),
        (r#"{"region":""}"#, vec![("mcp-param-region", "")]),
        (r#"{"region":null,"limit":null}"#, vec![]),
        (r#"{"limit":42}"#, vec![("mcp-param-limit", "42")]),
        (r#"{"limit":-7.0}"#, vec![("mcp-param-limit", "-7")]),
        (r#"{"limit":1e2}"#, vec![("mcp-param-limit", "100")]),
        (r#"{"limit":-0}"#, vec![("mcp-param-limit", "0")]),
        (r#"{"limit":4.5}"#, vec![("mcp-param-limit", "4.5")]),
        (r#"{"dry":false}"#, vec![("mcp-param-dry-run", "false")]),
        (r#"{"where":{"zone":" a "}}"#, vec![("mcp-param-zone", "=?base64?IGEg?=")]),
        (r#"{"where":{"zone":null}}"#, vec![]),
        (r#"{"where":7,"region":["a"],"zone":"no"}"#, vec![]),
        ("7", vec![]),
    ] {
        let expected: Vec<_> =
            expected.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        let mut found = all.headers(Some(arguments));
        found.sort();
        assert_eq!(found, expected, "{arguments}");
    }
    assert!(all.headers(None).is_empty());
}

#[test]
fn headers_must_say_what_the_arguments_say() {
    let all = mirrors(&format!("{REGION},{LIMIT}"));
    let check = |arguments: Option<&str>, headers: &[(&str, &str)]| {
        all.check(arguments, |name| {
            let values = headers.iter().filter(|(header, _)| *header == name);
            values.map(|(_, value)| value.as_bytes()).collect::<Vec<_>>()
        })
    };
    let (region, limit) = ("mcp-param-region", "mcp-param-limit");
    for (arguments, headers) in [
        (None, vec![]),
        (Some("{}"), vec![]),
        (Some("{}"), vec![("mcp-param-other", "x")]),
        (Some(r#"{"region":null}"#), vec![]),
        (Some(r#"{"region":"eu"}"#), vec![(region, "eu")]),
        (Some(r#"{"region":"eu"}"#), vec![(region, "=?base64?ZXU=?=")]),
        (Some(r#"{"limit":42}"#), vec![(limit, "42")]),
        (Some(r#"{"limit":42}"#), vec![(limit, "42.0")]),
        (Some(r#"{"limit":42.0}"#), vec![(limit, "42")]),
        (Some(r#"{"limit":9007199254740993}"#), vec![(limit, "9007199254740993")]),
    ] {
        assert_eq!(check(arguments, &headers), Ok(()), "{arguments:?} {headers:?}");
    }
    let missing = |header: &str| HeaderMismatch::Missing { header: header.to_owned().into() };
    let different = |header: &str| HeaderMismatch::Different { header: header.to_owned().into() };
    let repeated = |header: &str| HeaderMismatch::Repeated { header: header.to_owned().into() };
    for (arguments, headers, expected) in [
        (r#"{"region":"eu"}"#, vec![], missing(region)),
        (r#"{"region":"eu"}"#, vec![(region, "us")], different(region)),
        (r#"{"region":"eu"}"#, vec![(region, "EU")], different(region)),
        (r#"{"region":"eu"}"#, vec![(region, "eu"), (region, "eu")], repeated(region)),
        ("{}", vec![(region, "eu")], different(region)),
        (r#"{"region":null}"#, vec![(region, "null")], different(region)),
        (r#"{"limit":42}"#, vec![(limit, "43")], different(limit)),
        (r#"{"limit":42}"#, vec![(limit, "0x2a")], different(limit)),
        (r#"{"limit":9007199254740993}"#, vec![(limit, "9007199254740992")], different(limit)),
    ] {
        assert_eq!(check(Some(arguments), &headers), Err(expected), "{arguments} {headers:?}");
    }
    let unreadable = check(Some(r#"{"region":"eu"}"#), &[(region, "=?base64?!?=")]).unwrap_err();
    assert_eq!(
        unreadable.to_string(),
        "header mcp-param-region is marked as base64, but is not valid base64"
    );
}
