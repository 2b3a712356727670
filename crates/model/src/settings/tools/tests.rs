use std::time::Duration;

use super::{ArgumentLimit, ArgumentPath, Measure, PathStep, ToolRule, ToolTerms, ValidateSpec};
use crate::Name;
use crate::pattern::Pattern;
use crate::settings::{Limits, ProcessSpec, Runtime, ServerSpec};

fn rule(pattern: &str) -> ToolRule {
    ToolRule {
        pattern: Pattern::try_new(pattern).unwrap(),
        call_timeout: None,
        call_timeout_max: None,
        needs: Vec::new(),
        retry: None,
        validate: None,
    }
}

fn server(tools: Vec<ToolRule>) -> ServerSpec {
    let name = Name::try_new("s").unwrap();
    ServerSpec { tools, ..ServerSpec::new(name, Runtime::Process(ProcessSpec::default())) }
}

fn seconds(count: u64) -> Option<Duration> {
    Some(Duration::from_secs(count))
}

fn limit(path: &str, measure: Measure, max: u64) -> ArgumentLimit {
    ArgumentLimit { path: ArgumentPath::try_new(path).unwrap(), measure, max }
}

#[test]
fn later_rules_replace_what_earlier_ones_set_and_needs_add_up() {
    let needs = |text: &str| vec![text.parse().unwrap()];
    let validate = |schema, limits| Some(ValidateSpec { schema, limits });
    let (items, other) =
        (limit("inputs", Measure::Items, 32), limit("inputs[]", Measure::Length, 9));
    let more = limit("inputs", Measure::Items, 64);
    let spec = server(vec![
        ToolRule {
            needs: needs("external:db"),
            retry: Some(true),
            validate: validate(Some(true), vec![items.clone(), other.clone()]),
            ..rule("*")
        },
        ToolRule {
            call_timeout: seconds(60),
            needs: needs("external:qdrant"),
            validate: validate(None, vec![more.clone()]),
            ..rule("embed*")
        },
        ToolRule { retry: Some(false), needs: needs("external:db"), ..rule("embed_now") },
        ToolRule { retry: Some(true), ..rule("other") },
    ]);
    let terms = ToolTerms::of(&spec, Some("embed_now"));
    assert_eq!(terms.retry, Some(false));
    assert_eq!(
        terms.needs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["external:db", "external:qdrant"]
    );
    assert_eq!(terms.limits, [other.clone(), more]);
    assert!(terms.schema && terms.validates());
    let limits = Limits::default();
    assert_eq!(terms.call_limits(&limits).call, Duration::from_secs(60));
    assert_eq!(terms.call_limits(&limits).call_key, "servers.s.tools.\"embed*\".call_timeout");

    let terms = ToolTerms::of(&spec, Some("list"));
    assert_eq!((terms.retry, terms.limits.as_slice()), (Some(true), [items, other].as_slice()));
    assert_eq!(terms.call_limits(&limits).call_key, "call_timeout");
    assert_eq!(ToolTerms::of(&spec, None), ToolTerms::default(), "no tool is called");
}

/// `(server, server max, rule, rule max) => (call, max)` with 30 s and 300 s of the gateway.
#[test]
fn of_two_deadlines_the_one_nearer_to_the_tool_holds() {
    for (given, call, call_max, key) in [
        ([None, None, None, None], 30, 300, "call_timeout"),
        ([None, None, seconds(600), None], 600, 600, "servers.s.tools.\"*\".call_timeout"),
        ([seconds(600), None, None, None], 600, 600, "servers.s.call_timeout"),
        ([None, None, None, seconds(10)], 10, 10, "servers.s.tools.\"*\".call_timeout_max"),
        ([None, seconds(10), None, None], 10, 10, "servers.s.call_timeout_max"),
        ([None, seconds(10), seconds(20), None], 20, 20, "servers.s.tools.\"*\".call_timeout"),
        (
            [seconds(5), seconds(6), seconds(20), seconds(40)],
            20,
            40,
            "servers.s.tools.\"*\".call_timeout",
        ),
        ([seconds(50), None, None, seconds(40)], 40, 40, "servers.s.tools.\"*\".call_timeout_max"),
    ] {
        let [call_timeout, call_timeout_max, of_rule, max_of_rule] = given;
        let mut spec = server(vec![ToolRule {
            call_timeout: of_rule,
            call_timeout_max: max_of_rule,
            ..rule("*")
        }]);
        (spec.call_timeout, spec.call_timeout_max) = (call_timeout, call_timeout_max);
        let terms = ToolTerms::of(&spec, Some("x"));
        let limits = Limits::default();
        let found = terms.call_limits(&limits);
        let expected = (Duration::from_secs(call), Duration::from_secs(call_max), key);
        assert_eq!((found.call, found.call_max, found.call_key), expected, "{given:?}");
    }
}

#[test]
fn paths_of_arguments() {
    let member = |name: &str| PathStep::Member(name.to_owned());
    let steps = |text: &str| ArgumentPath::try_new(text).map(|path| path.steps().to_vec()).ok();
    assert_eq!(steps("."), Some(vec![]));
    assert_eq!(steps("inputs[]"), Some(vec![member("inputs"), PathStep::Items]));
    let deep = vec![member("a"), PathStep::Items, PathStep::Items, member("b-c")];
    assert_eq!(steps("a[][].b-c"), Some(deep));
    for wrong in ["", "..", "a.", ".a", "[]", "a[0]", "a[]b", "a]", "a\n"] {
        assert_eq!(steps(wrong), None, "{wrong:?}");
    }
    assert_eq!(steps(&["a"; 17].join(".")), None);
}
