use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_model::settings::Asks;
use mainstay_protocol::Revision;
use mainstay_protocol::capabilities::ServerCapabilities;
use mainstay_protocol::list::{ListKind, ToolHints};
use mainstay_protocol::mirror::MirroredArguments;
use mainstay_upstream::facts::{Facts, Item, ItemFit, List, Lists};

use super::{ASK_EVERY, KINDS_MAX, KnownLists, LookUp, everything};

/// What a server says that lists these tools.
fn facts(tools: &[&str]) -> Arc<Facts> {
    let items = tools.iter().map(|name| Item {
        raw: format!(r#"{{"name":"{name}"}}"#).into(),
        key: (*name).into(),
        key_span: 8..8 + name.len() + 2,
        hints: ToolHints::default(),
        fit: ItemFit::Fits,
        mirrors: MirroredArguments::default(),
    });
    let mut lists = Lists::default();
    lists.set(ListKind::Tools, List { items: items.collect(), ..List::default() });
    Arc::new(Facts {
        greeting: "{}".into(),
        revision: Revision::LATEST_LEGACY,
        capabilities: ServerCapabilities::default(),
        lists,
    })
}

fn kind(name: &str) -> Arc<str> {
    format!(r#"{{"{name}":{{}}}}"#).into()
}

#[track_caller]
fn asks_for(answer: LookUp, wanted: &Arc<str>) {
    match answer {
        LookUp::Unknown { ask: Some(ask), .. } => assert_eq!(ask, *wanted),
        other => panic!("{other:?}"),
    }
}

fn tools(answer: LookUp) -> Vec<String> {
    match answer {
        LookUp::Lists(lists) => {
            lists.lists.of(ListKind::Tools).iter().map(|tool| tool.key.to_string()).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_instance_that_declares_everything_shows_that_all_see_the_same() {
    let (mut known, now) = (KnownLists::default(), Instant::now());
    asks_for(known.look_up(Asks::Auto, &kind("roots"), now), &everything());
    // Others that come meanwhile ask for nothing more.
    let second = known.look_up(Asks::Auto, &kind("sampling"), now);
    assert!(matches!(second, LookUp::Unknown { ask: None, stale: None }), "{second:?}");
    assert_eq!(known.are_alike(Asks::Auto), None);
    known.learn(&everything(), true, &facts(&["a"]), &facts(&["a"]));
    assert_eq!(known.are_alike(Asks::Auto), Some(true));
    for of in ["roots", "sampling", "elicitation"] {
        assert!(matches!(known.look_up(Asks::Auto, &kind(of), now), LookUp::AsForAll));
    }
}

#[test]
fn where_lists_differ_each_kind_is_asked_once() {
    let (mut known, now) = (KnownLists::default(), Instant::now());
    let base = facts(&["a"]);
    known.look_up(Asks::Auto, &kind("roots"), now);
    known.learn(&everything(), true, &base, &facts(&["a", "roots", "sampling"]));
    asks_for(known.look_up(Asks::Auto, &kind("roots"), now), &kind("roots"));
    known.learn(&kind("roots"), false, &base, &facts(&["a", "roots"]));
    assert_eq!(tools(known.look_up(Asks::Auto, &kind("roots"), now)), ["a", "roots"]);
    // A kind that sees what all see does not undo what is known.
    asks_for(known.look_up(Asks::Auto, &kind("other"), now), &kind("other"));
    known.learn(&kind("other"), false, &base, &base);
    assert_eq!(known.are_alike(Asks::Auto), Some(false));
    assert_eq!(tools(known.look_up(Asks::Auto, &kind("other"), now)), ["a"]);
}

#[test]
fn an_instance_that_serves_calls_teaches_as_well() {
    let (mut known, now) = (KnownLists::default(), Instant::now());
    known.learn(&kind("roots"), false, &facts(&["a"]), &facts(&["a", "b"]));
    assert_eq!(known.are_alike(Asks::Auto), Some(false));
    assert_eq!(tools(known.look_up(Asks::Auto, &kind("roots"), now)), ["a", "b"]);
    // That one kind sees the same says nothing of the others.
    let mut known = KnownLists::default();
    known.learn(&kind("roots"), false, &facts(&["a"]), &facts(&["a"]));
    assert_eq!(known.are_alike(Asks::Auto), None);
}

#[test]
fn what_is_configured_is_not_found_out() {
    let (mut known, now) = (KnownLists::default(), Instant::now());
    assert!(matches!(known.look_up(Asks::Never, &kind("roots"), now), LookUp::AsForAll));
    asks_for(known.look_up(Asks::Always, &kind("roots"), now), &kind("roots"));
    assert_eq!(known.are_alike(Asks::Never), Some(true));
    assert_eq!(known.are_alike(Asks::Always), Some(false));
}

#[test]
fn what_failed_is_tried_again_after_a_minute_and_not_waited_for_until_then() {
    let (mut known, now) = (KnownLists::default(), Instant::now());
    asks_for(known.look_up(Asks::Auto, &kind("roots"), now), &everything());
    known.note_asked(&everything(), now);
    assert!(matches!(known.look_up(Asks::Auto, &kind("roots"), now), LookUp::AsForAll));
    let almost = now + ASK_EVERY - Duration::from_millis(1);
    assert!(matches!(known.look_up(Asks::Auto, &kind("roots"), almost), LookUp::AsForAll));
    asks_for(known.look_up(Asks::Auto, &kind("roots"), now + ASK_EVERY), &everything());
}

#[test]
fn changed_lists_are_asked_for_again_and_the_old_ones_serve_until_then() {
    let (mut known, now) = (KnownLists::default(), Instant::now());
    let roots = kind("roots");
    known.note_base("1", None, true);
    known.learn(&roots, false, &facts(&["a"]), &facts(&["a", "b"]));
    known.note_base("1", None, false);
    assert_eq!(tools(known.look_up(Asks::Auto, &roots, now)), ["a", "b"], "nothing has changed");
    known.note_base("1", None, true);
    match known.look_up(Asks::Auto, &roots, now) {
        LookUp::Unknown { ask: Some(ask), stale: Some(stale) } => {
            assert_eq!(ask, roots);
            assert_eq!(stale.lists.of(ListKind::Tools).len(), 2);
        }
        other => panic!("{other:?}"),
    }
    known.note_asked(&roots, now);
    // A server that changes all the time is not asked all the time.
    assert_eq!(tools(known.look_up(Asks::Auto, &roots, now)), ["a", "b"]);
    // Another version is another server.
    known.note_base("2", None, false);
    assert_eq!(known.are_alike(Asks::Auto), None);
    asks_for(known.look_up(Asks::Auto, &roots, now), &everything());
}

#[test]
fn whoever_missed_something_is_to_look_again() {
    let (mut known, base) = (KnownLists::default(), facts(&["a"]));
    known.note_missed(&kind("roots"));
    assert!(!known.learn(&everything(), true, &base, &base), "there was nothing to miss");
    known.note_missed(&kind("roots"));
    assert!(known.learn(&kind("roots"), false, &base, &facts(&["b"])));
    assert!(!known.learn(&kind("roots"), false, &base, &facts(&["b"])), "it is said once");
}

#[test]
fn kinds_are_bounded_and_those_that_are_wanted_stay() {
    let (mut known, now) = (KnownLists::default(), Instant::now());
    let base = facts(&["a"]);
    let often = kind("often");
    for number in 0..2 * KINDS_MAX {
        let kind = kind(&number.to_string());
        known.look_up(Asks::Always, &kind, now);
        known.note_missed(&kind);
        known.learn(&kind, false, &base, &facts(&["a", "b"]));
        known.look_up(Asks::Always, &often, now);
    }
    assert_eq!(known.kinds.len(), KINDS_MAX);
    assert!(known.kinds.contains_key(&often));
    // One that had to make room is found out again.
    asks_for(known.look_up(Asks::Always, &kind("0"), now), &kind("0"));
    assert_eq!(known.kinds.len(), KINDS_MAX);
}

#[test]
fn what_fails_again_and_again_is_tried_ever_more_rarely() {
    let (mut known, mut now) = (KnownLists::default(), Instant::now());
    let mut pauses = Vec::new();
    for _ in 0..9 {
        asks_for(known.look_up(Asks::Auto, &kind("roots"), now), &everything());
        known.note_asked(&everything(), now);
        let begun = now;
        while !matches!(
            known.look_up(Asks::Auto, &kind("roots"), now),
            LookUp::Unknown { ask: Some(_), .. }
        ) {
            now += Duration::from_secs(60);
        }
        pauses.push((now - begun).as_secs() / 60);
        // That look has asked already.
        known.note_asked(&everything(), now);
        now += Duration::from_secs(7200);
    }
    assert_eq!(pauses[..3], [1, 4, 16]);
    assert_eq!(pauses[5..], [60, 60, 60, 60], "and not more rarely than once an hour");
}

#[test]
fn what_an_earlier_daemon_found_out_need_not_be_found_out_again() {
    let (mut known, now) = (KnownLists::default(), Instant::now());
    known.note_base("1", Some(true), true);
    assert!(matches!(known.look_up(Asks::Auto, &kind("roots"), now), LookUp::AsForAll));
    assert_eq!(known.version(), "1");
    known.note_base("2", Some(false), true);
    assert_eq!(known.version(), "2");
    asks_for(known.look_up(Asks::Auto, &kind("roots"), now), &kind("roots"));
}
