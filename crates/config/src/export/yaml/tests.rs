use std::path::Path;

use serde_json::{Value, json};

use proptest::prelude::*;

use super::{alone, names, put, take_out};

fn url(at: &str) -> Vec<(&'static str, Value)> {
    vec![("type", json!("streamable_http")), ("uri", json!(at))]
}

fn putting(text: &str) -> String {
    put(Path::new("f"), text, "extensions", "mainstay", &url("http://m/mcp"))
        .unwrap_or_else(|error| error.to_string())
}

const OURS: &str = "  mainstay:\n    type: streamable_http\n    uri: http://m/mcp\n";

#[test]
fn a_new_entry_comes_first_and_nothing_else_moves() {
    for (text, expected) in [
        ("", format!("extensions:\n{OURS}")),
        ("# mine\n", format!("# mine\nextensions:\n{OURS}")),
        ("a: 1", format!("a: 1\nextensions:\n{OURS}")),
        ("---\na: 1\n", format!("---\na: 1\nextensions:\n{OURS}")),
        (
            "extensions: # all\n  # one\n  one:\n    type: builtin\nb: 2\n",
            format!("extensions: # all\n{OURS}  # one\n  one:\n    type: builtin\nb: 2\n"),
        ),
        ("extensions:\n  mainstay:\n    cmd: |\n    args:\n---\n{", format!("extensions:\n{OURS}---\n{{")),
        ("extensions: {} # none\nb: 2\n", format!("extensions: # none\n{OURS}b: 2\n")),
        ("extensions:\nb: 2\n", format!("extensions:\n{OURS}b: 2\n")),
        ("extensions: null", format!("extensions:\n{OURS}")),
        (
            "extensions:\n    one:\n        type: x\n",
            "extensions:\n    mainstay:\n        type: streamable_http\n        uri: http://m/mcp\n    \
             one:\n        type: x\n"
                .to_owned(),
        ),
        ("a: 1\r\n", format!("a: 1\r\nextensions:\r\n{}", OURS.replace('\n', "\r\n"))),
    ] {
        let found = putting(text);
        assert_eq!(found, expected, "{text:?}");
        assert_eq!(putting(&found), found, "twice: {text:?}");
    }
}

#[test]
fn an_entry_that_is_there_keeps_what_else_it_says() {
    for (text, expected) in [
        (
            "extensions:\n  mainstay: # ours\n    enabled: false # for now\n    type: stdio\n    cmd: m\n    args:\n    - connect\n    - x\n    name: mainstay\n  two: {}\n",
            "extensions:\n  mainstay: # ours\n    type: streamable_http\n    uri: http://m/mcp\n    enabled: false # for now\n    name: mainstay\n  two: {}\n".to_owned(),
        ),
        ("extensions:\n  mainstay: {type: x}\n# end\n", format!("extensions:\n{OURS}# end\n")),
        ("extensions:\n  mainstay:\n", format!("extensions:\n{OURS}")),
    ] {
        assert_eq!(putting(text), expected, "{text}");
    }
}

#[test]
fn what_is_taken_out_leaves_no_trace() {
    for (text, expected) in [
        (format!("a: 1\nextensions:\n{OURS}"), "a: 1\n"),
        (
            format!("extensions:\n{OURS}  two:\n    x: |\n      y\n"),
            "extensions:\n  two:\n    x: |\n      y\n",
        ),
        (
            format!("extensions:\n  two: {{}}\n\n{OURS}\nb: 1\n"),
            "extensions:\n  two: {}\n\n\nb: 1\n",
        ),
        (format!("extensions:\n  # somebody's\n{OURS}"), "extensions:\n  # somebody's\n"),
        ("extensions:\n  two: {}\n".to_owned(), "extensions:\n  two: {}\n"),
        ("b: 1\n".to_owned(), "b: 1\n"),
    ] {
        let found = take_out(Path::new("f"), &text, "extensions", "mainstay").unwrap();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn what_can_not_be_edited_is_refused_with_its_place() {
    for (text, expected) in [
        ("extensions: {one: {type: x}}\n", "f:1:13: error: expected extensions to be on lines"),
        ("extensions: [a]\n", "f:1:1: error: expected extensions to be a table"),
        ("- a\n", "expected the file to be a table"),
        ("{a: 1}\n", "can't be added to a file of this shape"),
        ("a: 1\n---\nb: 2\n", "can't be added to a file of this shape"),
        ("a: [\n", "this is not valid YAML"),
        (
            "extensions:\n  mainstay:\n    cmd: |\n  mainstay:\n    type: y\n",
            "f:4:3: error: mainstay is here for the second time",
        ),
        ("a: &x {b: {}}\nextensions: *x\n", "extensions"),
    ] {
        assert!(putting(text).contains(expected), "{text}: {}", putting(text));
    }
}

#[test]
fn texts_are_quoted_where_they_must_be() {
    let entry = [
        ("a", json!("on")),
        ("b", json!("")),
        ("c", json!("with space: x")),
        ("d", json!("C:\\x")),
        ("e", json!(["connect", "x"])),
        ("f", json!(true)),
    ];
    assert_eq!(
        alone("t", "n", &entry),
        "t:\n  \"n\":\n    a: \"on\"\n    b: \"\"\n    c: \"with space: x\"\n    d: \"C:\\\\x\"\n    e: \
         [\"connect\",\"x\"]\n    f: true\n"
    );
}

#[test]
fn nothing_is_taken_out_where_the_rest_could_not_be_read() {
    let text = "extensions:\n  mainstay:\n    type: x\n---\n    - 'd";
    assert!(take_out(Path::new("f"), text, "extensions", "mainstay").is_err());
}

proptest! {
    /// Lines of all sorts in any order, most of which are no YAML together.
    #[test]
    fn whatever_is_written_holds(
        lines in prop::collection::vec(
            prop::sample::select(&[
                "extensions:", "extensions: {}", "extensions: *x", "a: &x", "  one:", "  mainstay:",
                "  mainstay: {type: x}", "    type: y", "    cmd: |", "      ø text", "    args:", "    - c", "    - 'd", "      e'",
                "", "# why", "  # why", "---", "...", "{", "}", "b: 1", "- c", "\tx",
            ][..]),
            0..9,
        ),
    ) {
        let text = lines.join("\n");
        let path = Path::new("f");
        let Ok(with) = put(path, &text, "extensions", "mainstay", &url("http://m/mcp")) else { return Ok(()) };
        prop_assert!(names(path, &with, "extensions").unwrap().contains(&"mainstay".to_owned()), "{text}");
        prop_assert_eq!(put(path, &with, "extensions", "mainstay", &url("http://m/mcp")).unwrap(), with.clone());
        if let Ok(without) = take_out(path, &with, "extensions", "mainstay") {
            prop_assert!(!names(path, &without, "extensions").unwrap().contains(&"mainstay".to_owned()));
        }
    }
}
