use proptest::prelude::*;
use serde_json::value::RawValue;

members! {
    Probe {
        a = "a",
        b = "b-c",
    }
}

type Found<'a> = (Option<&'a str>, Option<&'a str>);

fn scanned(json: &str) -> Option<Found<'_>> {
    Probe::scan(json).map(|probe| (probe.a, probe.b))
}

/// What the full parser finds.
fn parsed(json: &str) -> Option<Found<'_>> {
    let object = json.trim_ascii_start().starts_with('{');
    let probe = object.then(|| serde_json::from_str::<Probe<'_>>(json).ok()).flatten();
    probe.map(|probe| (probe.a, probe.b))
}

#[test]
fn members_are_found_as_they_are_written() {
    for (json, expected) in [
        ("{}", (None, None)),
        (r#" { "a" : null , "x":[{"a":1},[]], "b-c":-0.5e+7 } "#, (Some("null"), Some("-0.5e+7"))),
        (
            r#"{"a":{"a":[ ]},"b-c":"\"\u00e9\\é"}"#,
            (Some(r#"{"a":[ ]}"#), Some(r#""\"\u00e9\\é""#)),
        ),
        (r#"{"x":1,"x":2,"":true}"#, (None, None)),
    ] {
        assert_eq!(scanned(json), Some(expected), "{json}");
        assert_eq!(parsed(json), Some(expected), "{json}");
    }
}

#[test]
fn what_is_left_to_the_full_parser_is_read_by_it() {
    let nested =
        |levels: usize| format!(r#"{{"a":{}7{}}}"#, "[".repeat(levels), "]".repeat(levels));
    let (followed, deeper) = (nested(64), nested(65));
    assert!(scanned(&followed).is_some());
    for json in [r#"{"\u0061":1}"#, &deeper] {
        assert_eq!(scanned(json), None, "{json}");
        assert!(Probe::parse(json).is_ok_and(|probe| probe.a.is_some()), "{json}");
    }
}

#[test]
fn what_is_no_object_is_not_taken() {
    for json in [
        "",
        " ",
        "{",
        "[]",
        "7",
        "{}}",
        "{} x",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a":1 "b":2}"#,
        r#"{a:1}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":1e}"#,
        r#"{"a":-}"#,
        r#"{"a":+1}"#,
        r#"{"a":tru}"#,
        r#"{"a":nul"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12"}"#,
        "{\"a\":\"\n\"}",
        "{\"a\n\":1}",
        r#"{"a":"}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":[}"#,
        r#"{"a":[1}"#,
        r#"{"a":{"b":1]}"#,
        r#"{"a":{1:1}}"#,
        r#"{"a":1,"a":1}"#,
        r#"{"a":{"b"}}"#,
    ] {
        assert_eq!(scanned(json), None, "{json}");
        assert_eq!(parsed(json), None, "{json}");
    }
}

#[test]
fn every_byte_of_a_string_is_looked_at_wherever_it_stands() {
    for length in 0..20 {
        for at in 0..=length {
            for (byte, is_json) in [('\u{1f}', false), ('\0', false), ('\u{7f}', true), ('é', true)]
            {
                let mut text = "x".repeat(length);
                text.insert(at, byte);
                let json = format!(r#"{{"a":"{text}"}}"#);
                assert_eq!(scanned(&json).is_some(), is_json, "{json:?}");
            }
        }
    }
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        r#"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?"#,
        r#""([a-z{}:,é\[\]]|\\["\\/bfnrtu]|\\u[0-9a-fA-F]{4}){0,12}""#,
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let member = ("[ab]|b-c|[a-z]{0,9}", inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|all| format!("[{}]", all.join(" ,"))),
            prop::collection::vec(member, 0..4).prop_map(|all| object(&all)),
        ]
    })
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<_> = members.iter().map(|(name, of)| format!(r#""{name}": {of}"#)).collect();
    format!("{{{}}}", members.join(", "))
}

proptest! {
    #[test]
    fn agrees_with_the_full_parser(
        members in prop::collection::vec(("[ab]|b-c|[a-z]{0,9}", value()), 0..5),
        broken in prop::option::of((any::<prop::sample::Index>(), "[\"{}:,\\\\\\[\\] 0e.-]")),
    ) {
        let mut json = object(&members);
        if let Some((at, with)) = broken {
            let at = at.index(json.len());
            if json.is_char_boundary(at) && json.is_char_boundary(at + 1) {
                json.replace_range(at..=at, &with);
            }
        }
        let found = scanned(&json);
        // Only a name with an escape in it makes the two differ, and then nothing was found.
        prop_assert!(found.is_none() || found == parsed(&json), "{json}");
        prop_assert!(found.is_some() || parsed(&json).is_none() || json.contains('\\'), "{json}");
        prop_assert!(serde_json::from_str::<&RawValue>(&json).is_ok() || found.is_none(), "{json}");
    }
}
