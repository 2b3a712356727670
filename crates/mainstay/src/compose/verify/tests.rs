use std::collections::BTreeSet;

use mainstay_admin::api::graph::Node;
use mainstay_admin::api::verify::CheckOutcome;
use mainstay_model::Name;
use mainstay_model::settings::{CallCheck, CheckKind, ProbeCheck, TargetCheck, ToolsCheck};
use mainstay_upstream::{Members, Secrets};
use serde_json::{Value, json};

use super::judge::{self, ToolAnswer};
use super::verdict::Verdict;
use super::{built_in, expected};

fn call_check() -> CallCheck {
    CallCheck {
        server: Name::try_new("search").unwrap(),
        tool: "find".to_owned(),
        args: "{}".to_owned(),
        is_error: false,
        contains: None,
        equals: None,
        json: Vec::new(),
    }
}

#[track_caller]
fn judged(check: &CallCheck, answer: &Value, expected: Result<&str, &str>) {
    let answer = match answer.as_str() {
        Some(error) => ToolAnswer::Error(error.to_owned()),
        None => ToolAnswer::Result(answer.to_string().into_bytes()),
    };
    let members = Members::new(&check.json);
    let found = judge::call(check, &members, &Secrets::default(), &answer);
    assert_eq!(found.as_deref().map_err(String::as_str), expected, "{answer:?}");
}

fn text(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

fn failing(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": true })
}

#[test]
fn any_result_that_is_no_error_passes_where_nothing_more_is_expected() {
    let check = call_check();
    judged(&check, &text("4 hits"), Ok("\"4 hits\""));
    judged(&check, &json!({ "content": [] }), Ok("without a text"));
    judged(&check, &failing("no index"), Err("it fails: \"no index\""));
    judged(&check, &json!("unknown tool"), Err("it fails: \"unknown tool\""));
    let no_result = "it answers with something that is no result of a tool";
    judged(&check, &json!([true]), Err(no_result));
    judged(&check, &json!(4), Err(no_result));
}

#[test]
fn a_failure_can_be_what_must_come_back() {
    let check =
        CallCheck { is_error: true, contains: Some("no permission".to_owned()), ..call_check() };
    judged(&check, &failing("no permission for you"), Ok("\"no permission for you\""));
    judged(&check, &json!("no permission"), Ok("\"no permission\""));
    judged(&check, &text("done"), Err("it succeeds: \"done\""));
    let other = "no text of its result contains \"no permission\": \"no disk\"";
    judged(&check, &failing("no disk"), Err(other));
}

#[test]
fn a_text_is_looked_for_in_each_text_and_compared_with_all_of_them() {
    let two = json!({ "content": [
        { "type": "text", "text": "one" }, { "type": "image", "data": "one two" }, { "type": "text", "text": "two\n" },
    ]});
    let contains = |text: &str| CallCheck { contains: Some(text.to_owned()), ..call_check() };
    judged(&contains("two"), &two, Ok("\"one two\""));
    let missing = "no text of its result contains \"one two\": \"one two\"";
    judged(&contains("one two"), &two, Err(missing));
    let equals = |text: &str| CallCheck { equals: Some(text.to_owned()), ..call_check() };
    judged(&equals("one\ntwo"), &two, Ok("\"one two\""));
    judged(&equals("one"), &two, Err("its text is not \"one\": \"one two\""));
}

#[test]
fn members_are_looked_for_in_structured_content_and_else_in_the_text() {
    let values = |all: &[&str]| all.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let check = CallCheck {
        json: vec![
            ("hits.0.id".to_owned(), values(&["7", "8"])),
            ("ok".to_owned(), values(&["true"])),
        ],
        ..call_check()
    };
    let right = json!({ "hits": [{ "id": 7.0 }], "ok": true });
    let structured = json!({ "content": [], "structuredContent": right });
    judged(&check, &structured, Ok("without a text"));
    judged(&check, &text(&format!(" {right}\n")), Ok("\"{\"hits\":[{\"id\":7.0}],\"ok\":true}\""));
    let wrong =
        json!({ "content": [], "structuredContent": { "hits": [{ "id": 9 }], "ok": true } });
    judged(&check, &wrong, Err("\"hits.0.id\" in its result is 9 instead of 7 or 8"));
    let missing = json!({ "content": [], "structuredContent": { "hits": [{ "id": 8 }] } });
    judged(&check, &missing, Err("its result has no member \"ok\", but \"hits\""));
    let no_json = "it has no structured content, and its text is not JSON: \"ok\"";
    judged(&check, &text("ok"), Err(no_json));
}

#[test]
fn missing_and_unexpected_tools_are_named() {
    let set = |names: &[&str]| -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    };
    let check = |names: &[&str], is_exact: bool| ToolsCheck {
        server: Name::try_new("search").unwrap(),
        names: set(names),
        is_exact,
    };
    for (names, is_exact, found, expected) in [
        (&["a", "b"][..], true, &["b", "a"][..], Ok("exactly these 2")),
        (&[], true, &[], Ok("exactly these 0")),
        (&["a"], false, &["a", "b"], Ok("all of them, among 2")),
        (&["a", "b"], true, &["b", "c"], Err("missing: a; unexpected: c")),
        (&["a"], true, &["a", "b", "c"], Err("unexpected: b, c")),
        (&["a", "x"], false, &["a", "b"], Err("missing: x")),
    ] {
        let judged = judge::tools(&check(names, is_exact), &set(found));
        assert_eq!(judged.as_deref().map_err(String::as_str), expected);
    }
    let many: Vec<_> = (10..30).map(|number| format!("t{number}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let why = judge::tools(&check(&many, true), &set(&[])).unwrap_err();
    assert!(why.ends_with("t18, t19 and 10 more"), "{why}");
}

#[test]
fn what_is_expected_is_a_phrase() {
    let phrase = |kind: &CheckKind, json: &[(String, Vec<String>)]| {
        expected::of(kind, &Members::new(json), &Secrets::default())
    };
    let json = vec![("status".to_owned(), vec!["\"green\"".to_owned(), "\"yellow\"".to_owned()])];
    let check = CallCheck {
        contains: Some("a\nb".to_owned()),
        equals: Some("x".to_owned()),
        json: json.clone(),
        ..call_check()
    };
    assert_eq!(
        phrase(&CheckKind::Call(check), &json),
        "find answers with a result with the text \"a\\nb\" and that is \"x\" and where \"status\" = \
         \"green\" or \"yellow\""
    );
    assert_eq!(phrase(&CheckKind::Call(call_check()), &[]), "find answers with a result");
    let tcp = ProbeCheck::Tcp("127.0.0.1:1".to_owned());
    let target = CheckKind::Target(TargetCheck { of: None, check: tcp, output: None });
    assert_eq!(phrase(&target, &[]), "127.0.0.1:1 accepts a connection");
}

fn node(state: &str, more: &Value) -> Node {
    let mut node = json!({
        "name": "search", "kind": "server", "layer": 1, "state": state, "required": false,
        "since": "2026-01-01T00:00:00Z", "needs": [], "waiting_for": [], "stopped_by_hand": false,
    });
    for (key, value) in more.as_object().unwrap() {
        node[key] = value.clone();
    }
    serde_json::from_value(node).unwrap()
}

#[test]
fn what_was_stopped_by_hand_is_skipped_and_what_is_not_ready_fails_with_the_reason_of_the_graph() {
    use CheckOutcome::{Failed, Skipped};
    let need = json!([{
        "need": "service:db", "state": "stopped", "since": "2026-01-01T00:00:00Z", "stopped_by_hand": true,
    }]);
    let reason = |reason: &str| json!({ "reason": reason });
    for (state, more, outcome, found, hint) in [
        (
            "stopped",
            json!({ "stopped_by_hand": true }),
            Skipped,
            "search was stopped by hand",
            "`mainstay start search` starts it",
        ),
        (
            "held",
            json!({ "waiting_for": need, "reason": "it needs service:db, which was stopped by hand" }),
            Skipped,
            "search is held: it needs service:db, which was stopped by hand",
            "`mainstay start db` starts it",
        ),
        (
            "crash-looping",
            reason("exited with code 3"),
            Failed,
            "search is crash-looping: exited with code 3",
            "`mainstay logs search` shows what it wrote",
        ),
        (
            "waiting",
            reason("it needs service:db, which was lost"),
            Failed,
            "search is waiting: it needs service:db, which was lost",
            "`mainstay status search` says more",
        ),
        ("starting", json!({}), Failed, "search is starting", "`mainstay status search` says more"),
    ] {
        let verdict = built_in::unready(&node(state, &more)).unwrap();
        let expected = Verdict {
            outcome,
            found: found.to_owned(),
            hint: Some(hint.to_owned()),
            is_late: false,
        };
        assert_eq!(verdict, expected);
    }
    for state in ["ready", "degraded", "idle"] {
        assert_eq!(built_in::unready(&node(state, &json!({}))), None);
    }
}

fn breaker(state: &str, more: &Value) -> Value {
    let mut breaker = json!({
        "name": "search", "kind": "server", "state": state, "since": "2026-01-01T00:00:00Z",
        "enabled": true, "failures": 3, "failures_max": 3, "failures_total": 3, "recovery_ms": 60_000,
        "last_error": "it answered HTTP 503", "trial_under_way": false,
    });
    for (key, value) in more.as_object().unwrap() {
        breaker[key] = value.clone();
    }
    json!({ "breaker": breaker })
}

#[test]
fn what_is_ready_and_refuses_calls_fails_with_the_reason_and_the_next_trial() {
    let open = node("ready", &breaker("OPEN", &json!({ "next_trial_in_ms": 41_000 })));
    let verdict = built_in::refusing(&open).unwrap();
    assert_eq!(verdict.outcome, CheckOutcome::Failed);
    assert_eq!(
        verdict.found,
        "its circuit breaker is open and refuses calls, after 3 failures in a row: it answered HTTP 503; the next \
         trial is in 41 s"
    );
    assert_eq!(verdict.hint.as_deref(), Some("`mainstay breaker reset search` closes it at once"));
    let trying = node("ready", &breaker("HALF_OPEN", &json!({ "trial_under_way": true })));
    let verdict = built_in::refusing(&trying).unwrap();
    assert!(verdict.found.ends_with("; a trial is under way"), "{}", verdict.found);
}

#[test]
fn a_half_open_breaker_is_a_note() {
    let waits = node("ready", &breaker("HALF_OPEN", &json!({})));
    assert_eq!(built_in::refusing(&waits), None);
    assert_eq!(
        built_in::ready(&waits),
        "it is ready, its circuit breaker is half-open after 3 failures in a row: it answered HTTP 503; the next \
         call is a trial"
    );
    let closed = node("ready", &breaker("CLOSED", &json!({ "failures": 1 })));
    assert_eq!(built_in::refusing(&closed), None);
    assert_eq!(built_in::ready(&closed), "it is ready");
}

#[test]
fn tools_that_are_refused_are_named_with_what_they_need() {
    let refused = json!({ "refused_tools": [{
        "need": "external:mount", "state": "unhealthy", "since": "2026-01-01T00:00:00Z",
        "reason": "external:mount, which is unhealthy: its probe got no answer",
        "patterns": ["extract_*"], "tools": ["extract_all"],
    }] });
    let verdict = built_in::refusing(&node("ready", &refused)).unwrap();
    assert_eq!(verdict.outcome, CheckOutcome::Failed);
    let (subject, why) = verdict.found.split_once(" for ").unwrap();
    assert_eq!(subject, "tool extract_all of search is refused");
    assert!(
        why.ends_with(": external:mount, which is unhealthy: its probe got no answer"),
        "{why}"
    );
    assert_eq!(verdict.hint.as_deref(), Some("`mainstay status mount` says more"));
}
