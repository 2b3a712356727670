use proptest::prelude::*;

use super::{BadList, ListKind, ListPage, ToolHints};
use crate::edit::{Edit, splice};

#[test]
fn items_are_cut_out_byte_for_byte() {
    let result = r#" { "_meta" : {"tools":[1]}, "tools" : [ {"title":"T", "name" : "a\/b", "inputSchema":{"z":1.0,"a":12345678901234567890123}} ,{"name":"c"}], "nextCursor":"" } "#;
    let page = ListPage::parse(result, ListKind::Tools).unwrap();
    assert_eq!(page.next_cursor.as_deref(), Some(""));
    assert_eq!(page.malformed, 0);
    let [first, second] = page.items.as_slice() else { panic!("{:?}", page.items) };
    assert_eq!(
        first.raw,
        r#"{"title":"T", "name" : "a\/b", "inputSchema":{"z":1.0,"a":12345678901234567890123}}"#
    );
    assert_eq!(&result[first.span.clone()], first.raw);
    assert_eq!(first.key, "a/b");
    assert_eq!(&result[first.key_span.clone()], r#""a\/b""#);
    assert_eq!(&first.raw[first.key_span_in_item()], r#""a\/b""#);
    assert_eq!(second.key, "c");

    let mut edits = [
        Edit::new(first.key_span.clone(), b"\"x_a\""),
        Edit::new(second.key_span.clone(), b"\"x_c\""),
    ];
    let renamed = splice(result.as_bytes(), &mut edits);
    let expected = result.replace(r#""a\/b""#, "\"x_a\"").replace("\"c\"", "\"x_c\"");
    assert_eq!(renamed, expected.as_bytes());
}

#[test]
fn each_list_has_its_member_and_its_key() {
    let result = r#"{
        "tools": [{"name": "t", "uri": "no"}],
        "resources": [{"name": "no", "uri": "u"}],
        "resourceTemplates": [{"name": "no", "uriTemplate": "x/{y}"}],
        "prompts": [{"name": "p"}]
    }"#;
    for (kind, key) in ListKind::ALL.into_iter().zip(["t", "u", "x/{y}", "p"]) {
        let page = ListPage::parse(result, kind).unwrap();
        assert_eq!(page.items[0].key, key);
        assert_eq!(page.next_cursor, None);
        assert_eq!(ListKind::from_method(kind.method()), Some(kind));
    }
}

#[test]
fn one_bad_item_does_not_take_the_others_with_it() {
    let result =
        r#"{"tools":[7,null,{},[],["a"],{"name":7},{"name":"a","name":"b"},{"name":"c"}]}"#;
    let page = ListPage::parse(result, ListKind::Tools).unwrap();
    assert_eq!(page.items.len(), 1);
    assert_eq!(page.items[0].key, "c");
    assert_eq!(page.malformed, 7);
}

#[test]
fn what_is_no_page_is_refused() {
    for result in ["[]", "null", "{}", r#"{"tools":{}}"#, r#"{"tools":null}"#, r#"{"prompts":[]}"#]
    {
        let refused = ListPage::parse(result, ListKind::Tools);
        assert!(matches!(refused, Err(BadList::NoItems { member: "tools" })), "{result}");
    }
    for result in [r#"{"tools":[]"#, r#"{"tools":[],"tools":[]}"#, r#"{"tools":[,]}"#] {
        let refused = ListPage::parse(result, ListKind::Tools);
        assert!(matches!(refused, Err(BadList::NotJson(_))), "{result}");
    }
}

#[test]
fn a_page_is_kept_whatever_its_cursor_is() {
    for (cursor, next, is_odd) in [
        ("null", None, false),
        ("\"\"", Some(""), false),
        ("\"7\"", Some("7"), false),
        ("7", None, true),
        ("{}", None, true),
        ("false", None, true),
    ] {
        let result = format!(r#"{{"tools":[{{"name":"a"}}],"nextCursor":{cursor}}}"#);
        let page = ListPage::parse(&result, ListKind::Tools).unwrap();
        assert_eq!(page.items.len(), 1);
        assert_eq!((page.next_cursor.as_deref(), page.has_odd_cursor), (next, is_odd), "{cursor}");
    }
}

#[test]
fn promises_of_tools() {
    let hints = |annotations: &str| {
        let result = format!(r#"{{"tools":[{{"name":"t","annotations":{annotations}}}]}}"#);
        ListPage::parse(&result, ListKind::Tools).unwrap().items[0].hints
    };
    let read_only = hints(r#"{"readOnlyHint":true,"destructiveHint":false,"openWorldHint":true}"#);
    let expected = ToolHints {
        read_only: Some(true),
        destructive: Some(false),
        idempotent: None,
        open_world: Some(true),
    };
    assert_eq!(read_only, expected);
    assert!(read_only.may_retry());
    assert!(hints(r#"{"idempotentHint":true}"#).may_retry());
    for nothing in ["{}", "null", "[]", "[true]", r#"{"readOnlyHint":"true"}"#] {
        assert_eq!(hints(nothing), ToolHints::default(), "{nothing}");
        assert!(!hints(nothing).may_retry());
    }
}

proptest! {
    #[test]
    fn every_item_and_key_is_where_its_span_says(
        names in prop::collection::vec(".{0,20}", 0..8),
        cursor in prop::option::of(".{0,8}"),
        pretty in any::<bool>(),
    ) {
        let tools: Vec<_> =
            names.iter().map(|name| serde_json::json!({ "d": 1, "name": name, "z": [] })).collect();
        let value = serde_json::json!({ "tools": tools, "nextCursor": cursor });
        let result =
            if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let result = result.unwrap();
        let page = ListPage::parse(&result, ListKind::Tools).unwrap();
        prop_assert_eq!(page.next_cursor.as_deref(), cursor.as_deref());
        prop_assert_eq!(page.items.len(), names.len());
        for (item, name) in page.items.iter().zip(&names) {
            prop_assert_eq!(&item.key, name);
            let key: String = serde_json::from_str(&result[item.key_span.clone()]).unwrap();
            prop_assert_eq!(&key, name);
            prop_assert_eq!(&result[item.span.clone()], item.raw);
        }
    }

    #[test]
    fn no_text_panics(text in r#"[\[\]{}",:a-z0-9\\]{0,40}"#) {
        for kind in ListKind::ALL {
            let _ = ListPage::parse(&text, kind);
        }
    }
}
