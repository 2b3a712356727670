use proptest::prelude::*;

use super::{Fit, Misfit};
use crate::Era;
use crate::list::ListKind;

const SCHEMA: &str = r#""inputSchema":{"type":"object"}"#;

fn tool(members: &str) -> Fit {
    Fit::of(ListKind::Tools, Era::Legacy, &format!("{{{members}}}"))
}

fn misfit(fit: Fit) -> String {
    match fit {
        Fit::Unfit(misfit) => misfit.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn tools_that_clients_refuse_are_told_with_the_reason() {
    for (members, reason) in [
        (r#""name":"b""#, "`inputSchema` is missing"),
        (r#""name":"b","inputSchema":null"#, "`inputSchema` is not an object"),
        (r#""name":"b","inputSchema":{"type":"string"}"#, r#"`inputSchema.type` is not "object""#),
        (r#""name":"b","inputSchema":{}"#, "`inputSchema.type` is missing"),
        (
            r#""name":"b","inputSchema":{"type":["object"]}"#,
            r#"`inputSchema.type` is not "object""#,
        ),
        (
            r#""name":"b","inputSchema":{"type":"object","properties":{"x":"string"}}"#,
            "`inputSchema.properties.x` is not a schema",
        ),
        (
            r#""name":"b","inputSchema":{"type":"object","required":"x"}"#,
            "`inputSchema.required` is not an array",
        ),
        (
            r#""name":"b","inputSchema":{"type":"object","required":["x",1]}"#,
            "`inputSchema.required[1]` is not a string",
        ),
        (SCHEMA, "`name` is missing"),
        (&format!(r#""name":7,{SCHEMA}"#), "`name` is not a string"),
        (&format!(r#""name":"b",{SCHEMA},"description":5"#), "`description` is not a string"),
        (&format!(r#""name":"b",{SCHEMA},"title":{{}}"#), "`title` is not a string"),
        (&format!(r#""name":"b",{SCHEMA},"annotations":[]"#), "`annotations` is not an object"),
        (
            &format!(r#""name":"b",{SCHEMA},"annotations":{{"readOnlyHint":"yes"}}"#),
            "`annotations.readOnlyHint` is not true or false",
        ),
        (
            &format!(r#""name":"b",{SCHEMA},"outputSchema":{{"type":"array"}}"#),
            r#"`outputSchema.type` is not "object""#,
        ),
        (
            &format!(r#""name":"b",{SCHEMA},"icons":[{{"src":"x"}},{{}}]"#),
            "`icons[1].src` is missing",
        ),
        (&format!(r#""name":"b",{SCHEMA},"_meta":7"#), "`_meta` is not an object"),
        (
            &format!(r#""name":"b",{SCHEMA},"execution":{{"taskSupport":"maybe"}}"#),
            r#"`execution.taskSupport` is not "required", "optional" or "forbidden""#,
        ),
    ] {
        assert_eq!(misfit(tool(members)), reason, "{members}");
    }
}

#[test]
fn tools_that_clients_take_stay_as_they_are() {
    for members in [
        format!(r#""name":"b",{SCHEMA}"#),
        format!(r#""name":"",{SCHEMA},"x":null,"description":"d","title":"t""#),
        r#" "name" : "b" , "inputSchema" : { "type" : "object" , "properties" : { "x" : { } } } "#
            .to_owned(),
        r#""na\u006de":"b","input\u0053chema":{"\u0074ype":"ob\u006aect"}"#.to_owned(),
        format!(r#""name":"b",{SCHEMA},"annotations":{{"title":"t","readOnlyHint":true}}"#),
        format!(r#""name":"b",{SCHEMA},"outputSchema":{{"type":"object","x":[null]}}"#),
    ] {
        assert_eq!(tool(&members), Fit::Fits, "{members}");
    }
}

#[test]
fn what_means_the_same_in_another_form_is_mended() {
    let mended = |members: &str| match tool(members) {
        Fit::Mended(text) => text,
        other => panic!("{members}: {other:?}"),
    };
    let fits = format!(r#"{{"name":"b",{SCHEMA}}}"#);
    let nulls = r#""description":null, "title" : null,"outputSchema":null,"annotations":null"#;
    assert_eq!(mended(&format!(r#""name":"b",{nulls},{SCHEMA},"_meta":null,"icons":null"#)), fits);
    assert_eq!(
        mended(
            r#""name":"b","inputSchema":{"type":"object","properties":{"x":true,"y":{"n":1.0},"z":false},"required":null},"w":null"#
        ),
        r#"{"name":"b","inputSchema":{"type":"object","properties":{"x":{},"y":{"n":1.0},"z":{"not":{}}}},"w":null}"#
    );
    // What is mended fits.
    let Fit::Mended(text) = tool(&format!(r#""name":"b","title":null,{SCHEMA}"#)) else { panic!() };
    assert_eq!(Fit::of(ListKind::Tools, Era::Legacy, &text), Fit::Fits);
}

#[test]
fn later_tools_may_have_more_kinds_of_schemas() {
    let tool = |members: &str| {
        misfit(Fit::of(ListKind::Tools, Era::Modern, &format!(r#"{{"name":"b",{members}}}"#)))
    };
    assert_eq!(tool(&format!(r#"{SCHEMA},"outputSchema":{{"type":"array"}}"#)), "Fits");
    assert_eq!(tool(r#""inputSchema":{"type":"object","properties":{"x":true}}"#), "Fits");
    assert_eq!(tool(r#""inputSchema":{"anyOf":[]}"#), "`inputSchema.type` is missing");
}

#[test]
fn other_lists_have_shapes_of_their_own() {
    use ListKind::{Prompts, ResourceTemplates, Resources};
    for (kind, item, expected) in [
        (Prompts, r#"{"name":"p","arguments":[{"name":"a","required":true}]}"#, "Fits"),
        (Prompts, r#"{"name":"p","arguments":{}}"#, "`arguments` is not an array"),
        (Prompts, r#"{"name":"p","arguments":[{}]}"#, "`arguments[0].name` is missing"),
        (
            Prompts,
            r#"{"name":"p","arguments":[{"name":"a","required":"no"}]}"#,
            "`arguments[0].required` is not true or false",
        ),
        (Resources, r#"{"uri":"x://1","name":"n","size":7}"#, "Fits"),
        (Resources, r#"{"uri":"x://1"}"#, "`name` is missing"),
        (Resources, r#"{"uri":"notes.txt","name":"n"}"#, "`uri` is not a URI with a scheme"),
        (Resources, r#"{"uri":"x://1","name":"n","size":"7"}"#, "`size` is not a number"),
        (Resources, r#"{"uri":"x://1","name":"n","mimeType":7}"#, "`mimeType` is not a string"),
        (
            Resources,
            r#"{"uri":"x://1","name":"n","annotations":{"audience":["user"],"priority":0.5,"lastModified":"2025-01-12T15:00:58Z"}}"#,
            "Fits",
        ),
        (
            Resources,
            r#"{"uri":"x://1","name":"n","annotations":{"priority":2}}"#,
            "`annotations.priority` is not a number from 0 to 1",
        ),
        (
            Resources,
            r#"{"uri":"x://1","name":"n","annotations":{"lastModified":"2025-01-12"}}"#,
            "`annotations.lastModified` is not a date with time and offset",
        ),
        (
            Resources,
            r#"{"uri":"x://1","name":"n","annotations":{"audience":["all"]}}"#,
            r#"`annotations.audience[0]` is not "user" or "assistant""#,
        ),
        (ResourceTemplates, r#"{"uriTemplate":"x://{n}","name":"n"}"#, "Fits"),
        (ResourceTemplates, r#"{"uriTemplate":"x://{n}"}"#, "`name` is missing"),
    ] {
        assert_eq!(misfit(Fit::of(kind, Era::Legacy, item)), expected, "{item}");
    }
}

#[test]
fn times_are_told_from_other_text() {
    for (text, expected) in [
        ("2025-01-12T15:00:58Z", true),
        ("2025-01-12T15:00:58.123456+02:00", true),
        ("2025-01-12T15:00Z", true),
        ("2025-01-12T15:00:58", false),
        ("2025-01-12 15:00:58Z", false),
        ("2025-01-12T15:00:58.Z", false),
        ("yesterday", false),
    ] {
        let item =
            format!(r#"{{"uri":"x:1","name":"n","annotations":{{"lastModified":"{text}"}}}}"#);
        let fit = Fit::of(ListKind::Resources, Era::Legacy, &item);
        assert_eq!(fit == Fit::Fits, expected, "{text}");
    }
}

proptest! {
    /// Whatever a server lists: nothing panics, and what is mended fits.
    #[test]
    fn what_is_mended_fits(members in proptest::collection::vec(
        (
            prop_oneof![
                Just("name"), Just("title"), Just("description"), Just("inputSchema"),
                Just("outputSchema"), Just("annotations"), Just("icons"), Just("x"),
            ],
            prop_oneof![
                Just("null"), Just("\"x\""), Just("7"), Just("true"), Just("[]"), Just("{}"),
                Just(r#"{"type":"object","properties":{"a":true,"b":{}},"required":null}"#),
                Just(r#"[{"src":"x","sizes":null}]"#), Just(r#"{"readOnlyHint":null}"#),
            ],
        ),
        0..9,
    )) {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
        match tool(&members.join(",")) {
            Fit::Mended(text) => {
                prop_assert_eq!(Fit::of(ListKind::Tools, Era::Legacy, &text), Fit::Fits);
            }
            Fit::Unfit(Misfit::Missing(path) | Misfit::Wrong(path, _)) => prop_assert!(!path.is_empty()),
            Fit::Fits => {}
        }
    }
}
