//! Files that can't be read say where.

use mainstay_config::import::parse;

use super::text_file;

#[test]
fn what_is_broken_has_line_and_column() {
    for (name, text, expected) in [
        (
            "a.json",
            "{\n  \"mcpServers\": {\n    \"a\": { \"command\": }\n  }\n}",
            "a.json:3:23: error: this is not valid JSON: ",
        ),
        (
            "a.json",
            "{ \"mcpServers\": {",
            "a.json:1:17: error: this is not valid JSON: unterminated object",
        ),
        (
            "a.json",
            "{ 'mcpServers': {} }",
            "a.json:1:3: error: this is not valid JSON: single-quoted strings are not allowed",
        ),
        (
            "c.toml",
            "[mcp_servers.a]\ncommand = npx\n",
            "c.toml:2:11: error: this is not valid TOML: ",
        ),
        ("c.yaml", "services:\n  a: [1, 2\n  b: 3\n", "c.yaml:"),
        ("a.json", "{ \"editor.fontSize\": 3 }", "it has no servers in a known format"),
        ("empty", "", "it has no servers"),
        ("poem.txt", "roses are red", "it has no servers"),
    ] {
        let problems =
            parse(&text_file(name, "/x/y", text)).err().map(|problems| problems.to_string());
        let problems = problems.unwrap_or_else(|| panic!("{text} is read"));
        assert!(problems.contains(expected), "{expected}\n{problems}");
    }
}

#[test]
fn a_byte_order_mark_and_comments_are_no_matter() {
    let text = "\u{feff}// servers\n{ \"mcpServers\": { \"a\": { \"command\": \"a\" } } }";
    assert_eq!(parse(&text_file("a", "/x/y", text)).unwrap().format, "mcpServers");
}
