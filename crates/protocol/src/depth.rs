//! The nesting depth of a JSON text, checked without parsing it.

/// Whether arrays and objects nest at most `max` levels deep.
///
/// The result for text that is not JSON is unspecified; the parser refuses such text.
pub fn within_depth(json: &[u8], max: usize) -> bool {
    // Each level has two brackets.
    if json.len() < 2 * (max + 1) {
        return true;
    }
    // Most messages have fewer brackets than any sensible limit, and counting them is much faster than
    // excluding those inside strings.
    let few = memchr::memchr2_iter(b'[', b'{', json).nth(max).is_none();
    few || deepest(json, max) <= max
}

/// How many levels deep arrays and objects nest: 0 for a string, 1 for an array of strings.
///
/// The result for text that is not JSON is unspecified.
pub fn depth(json: &[u8]) -> usize {
    deepest(json, usize::MAX)
}

/// The deepest level, or the first one that is deeper than `enough`.
fn deepest(json: &[u8], enough: usize) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        at += 1;
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
                if deepest > enough {
                    return deepest;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => at += string_len(&json[at..]),
            _ => {}
        }
    }
    deepest
}

/// The length of the rest of a string, including its closing quote.
fn string_len(rest: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &rest[at..]) {
        at += found + 1;
        if rest[at - 1] == b'"' {
            return at;
        }
        // The character after a backslash never closes the string.
        at = (at + 1).min(rest.len());
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::within_depth;

    fn check(json: &str, depth: usize) {
        assert!(within_depth(json.as_bytes(), depth), "{json} is not deeper than {depth}");
        assert_eq!(super::depth(json.as_bytes()), depth, "{json}");
        if depth > 0 {
            assert!(!within_depth(json.as_bytes(), depth - 1), "{json} is {depth} deep");
        }
    }

    #[test]
    fn brackets_count_where_they_nest() {
        check("1", 0);
        check("{}", 1);
        check(r#"{"a":[{}]}"#, 3);
        check(r#"[[],[],[],{"a":{}}]"#, 3);
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        check(r#""[[[[""#, 0);
        check(r#"["[[[[", "\"[[", "\\", "\u005b[", []]"#, 2);
    }

    #[test]
    fn what_is_no_json_is_no_panic() {
        for text in ["\"", "\"\\", "]]]]", "[\"", "{\"\\\"", ""] {
            assert!(within_depth(text.as_bytes(), 1), "{text}");
        }
        assert!(!within_depth(&b"[".repeat(1 << 20), 128));
    }

    fn depth_of(value: &serde_json::Value) -> usize {
        match value {
            serde_json::Value::Array(items) => 1 + items.iter().map(depth_of).max().unwrap_or(0),
            serde_json::Value::Object(members) => {
                1 + members.values().map(depth_of).max().unwrap_or(0)
            }
            _ => 0,
        }
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            r#"[\[\]{}"\\a]{0,6}"#.prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(6, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                prop::collection::hash_map(r#"[\[{"\\]{0,3}"#, inner, 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_a_parser(value in value()) {
            check(&value.to_string(), depth_of(&value));
        }
    }
}
