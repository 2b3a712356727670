use mainstay_model::settings::{ArgumentLimit, ArgumentPath, Measure};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::excess;

fn limit(path: &str, measure: Measure, max: u64) -> ArgumentLimit {
    ArgumentLimit { path: ArgumentPath::try_new(path).unwrap(), measure, max }
}

fn told(arguments: &Value, limits: &[ArgumentLimit]) -> Option<String> {
    excess(&arguments.to_string(), limits).map(|excess| excess.to_string())
}

/// S4: 32 inputs of 10,000 characters each.
#[test]
fn s4_4_a_batch_has_32_inputs_of_10000_characters() {
    let limits = [limit("inputs", Measure::Items, 32), limit("inputs[]", Measure::Length, 10_000)];
    let batch = |count: usize, length: usize| json!({ "inputs": vec!["ä".repeat(length); count] });
    assert_eq!(told(&batch(32, 10_000), &limits), None);
    let said = "inputs has 33 items, the limit is 32";
    assert_eq!(told(&batch(33, 1), &limits).as_deref(), Some(said));
    let mut one_too_long = batch(4, 10_000);
    one_too_long["inputs"][2] = json!("x".repeat(10_001));
    let said = "inputs[2] has 10001 characters, the limit is 10000";
    assert_eq!(told(&one_too_long, &limits).as_deref(), Some(said));
    // An embeddings call takes one text, too.
    assert_eq!(told(&json!({ "inputs": "x".repeat(20_000) }), &limits), None);
}

#[test]
fn each_measure_at_any_place() {
    let limits = [
        limit(".", Measure::Items, 3),
        limit("filter", Measure::Depth, 2),
        limit("filter.must[].name", Measure::Length, 3),
        limit("document", Measure::Bytes, 10),
        limit("grid[][]", Measure::Items, 1),
    ];
    for (arguments, expected) in [
        (json!({}), None),
        (json!({"a": 1, "b": 2, "c": 3}), None),
        (json!({"a": 1, "b": 2, "c": 3, "d": 4}), Some("arguments has 4 items, the limit is 3")),
        (json!({"filter": [[1]]}), None),
        (json!({"filter": [{"a": [1]}]}), Some("filter is nested 3 deep, the limit is 2")),
        (json!({"filter": {"must": [1, {"name": "abcd"}]}}), Some("filter is nested 2")),
        (json!({"document": "12345678"}), None),
        (json!({"document": "123456789"}), Some("document has 11 bytes, the limit is 10")),
        (json!({"grid": [[[1]], [[2], [3, 4]]]}), Some("grid[1][1] has 2 items, the limit is 1")),
        (json!({"grid": {"a": [[1, 2]]}}), None),
    ] {
        let found = told(&arguments, &limits);
        if arguments.pointer("/filter/must").is_some() {
            let said = "filter.must[1].name has 4 characters, the limit is 3";
            assert_eq!(found.as_deref().map(|_| said), Some(said), "{arguments}");
            continue;
        }
        assert_eq!(found.as_deref(), expected, "{arguments}");
    }
    let names = [limit("filter.must[].name", Measure::Length, 3)];
    let said = told(&json!({"filter": {"must": [1, {"name": "abcd"}]}}), &names);
    assert_eq!(said.as_deref(), Some("filter.must[1].name has 4 characters, the limit is 3"));
}

#[test]
fn a_member_that_is_there_twice_is_checked_twice_however_it_is_written() {
    let limits = [limit("inputs", Measure::Items, 1), limit("inputs[]", Measure::Length, 2)];
    for text in [
        r#"{"inputs": [1, 2], "inputs": []}"#,
        r#"{"inputs": [], "inputs": [1, 2]}"#,
        r#"{"in\u0070uts": [1, 2]}"#,
        r#"{"inputs": ["\u0061bc"]}"#,
    ] {
        assert!(excess(text, &limits).is_some(), "{text}");
    }
    assert!(excess(r#"{"inputs": ["\u00e4\n"]}"#, &limits).is_none(), "characters are counted");
}

#[test]
fn deep_and_broken_texts_are_no_trouble() {
    let deep = format!("{{\"a\": {}{}, \"b\": [1, 2]}}", "[".repeat(100_000), "]".repeat(100_000));
    let limits = [limit("b", Measure::Items, 1)];
    assert_eq!(excess(&deep, &limits).unwrap().found, 2, "what comes behind is seen");
    assert_eq!(excess(&deep, &[limit("a", Measure::Depth, 99_999)]).unwrap().found, 100_000);
    for broken in ["", "{", "{\"b\": [1, 2", "nonsense", "[1, 2]"] {
        assert_eq!(excess(broken, &limits), None, "{broken}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(1)), Just(json!(null)), "[aä]{0,4}".prop_map(Value::from)];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ab]", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// What a limit means, in the plainest words: the values at a path.
fn at_path<'a>(value: &'a Value, steps: &[&str]) -> Vec<&'a Value> {
    let Some((first, rest)) = steps.split_first() else { return vec![value] };
    let below: Vec<&Value> = match (*first, value) {
        ("[]", Value::Array(items)) => items.iter().collect(),
        ("[]", _) => vec![],
        (name, value) => value.get(name).into_iter().collect(),
    };
    below.into_iter().flat_map(|value| at_path(value, rest)).collect()
}

fn amount(value: &Value, measure: Measure) -> Option<u64> {
    fn depth(value: &Value) -> u64 {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }
    match (measure, value) {
        (Measure::Items, Value::Array(items)) => Some(items.len() as u64),
        (Measure::Items, Value::Object(members)) => Some(members.len() as u64),
        (Measure::Length, Value::String(text)) => Some(text.chars().count() as u64),
        (Measure::Depth, value) => Some(depth(value)),
        (Measure::Bytes, value) => Some(value.to_string().len() as u64),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn an_excess_is_found_exactly_where_there_is_one(
        arguments in value(),
        all in prop::collection::vec((0..6usize, 0..4usize, 0..6u64), 1..4),
    ) {
        let paths = [(".", vec![]), ("a", vec!["a"]), ("a[]", vec!["a", "[]"]), ("a.b", vec!["a", "b"]),
            ("b[][]", vec!["b", "[]", "[]"]), ("b[].a", vec!["b", "[]", "a"])];
        let mut limits: Vec<ArgumentLimit> = Vec::new();
        let mut is_exceeded = false;
        for (path, measure, max) in all {
            let ((text, steps), measure) = (&paths[path], Measure::ALL[measure]);
            if limits.iter().any(|had| had.path.as_str() == *text && had.measure == measure) {
                continue;
            }
            limits.push(limit(text, measure, max));
            is_exceeded |= at_path(&arguments, steps)
                .into_iter()
                .filter_map(|value| amount(value, measure))
                .any(|found| found > max);
        }
        let found = excess(&arguments.to_string(), &limits);
        prop_assert_eq!(found.is_some(), is_exceeded, "{:?}", found);
        if let Some(found) = found {
            prop_assert!(found.found > found.max);
        }
    }
}
