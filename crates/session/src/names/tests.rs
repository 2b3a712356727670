use std::sync::Arc;

use mainstay_model::settings::{NameRule, Prefix};
use proptest::prelude::*;

use super::{Assignment, KeyForm, NameBounds, NameStyle, Names, UNLISTED_MAX, URIS_MAX};

const AUTO: NameStyle = NameStyle { prefix: Prefix::Auto, rule: NameRule::Spec };
const NEVER: NameStyle = NameStyle { prefix: Prefix::Never, rule: NameRule::Spec };

const UNBOUNDED: NameBounds =
    NameBounds { server_bytes_max: usize::MAX, list_bytes_max: usize::MAX };

fn unseen(_: &str) -> Option<Arc<str>> {
    None
}

/// Assigns names to items in this order, as one build does, and shows them.
fn show(names: &mut Names, style: NameStyle, form: KeyForm, items: &[(&str, &str)]) -> Vec<String> {
    show_within(names, style, form, items, UNBOUNDED).0
}

/// The same within bounds. Returns the number of listed names that are forgotten as well.
fn show_within(
    names: &mut Names,
    style: NameStyle,
    form: KeyForm,
    items: &[(&str, &str)],
    bounds: NameBounds,
) -> (Vec<String>, usize) {
    let mut assignment = Assignment::new(names, style, form, &unseen);
    let published: Vec<_> =
        items.iter().map(|(server, own)| assignment.publish(server, own).to_string()).collect();
    let fresh = assignment.into_fresh();
    let is_listed = |server: &str, own: &str| items.contains(&(server, own));
    let forgotten = names.remember(&fresh, is_listed, bounds);
    (published, forgotten)
}

fn show_tools(names: &mut Names, items: &[(&str, &str)]) -> Vec<String> {
    show(names, AUTO, KeyForm::Name, items)
}

fn owner(names: &Names, published: &str) -> Option<(String, String)> {
    let owner = names.owner(published)?;
    Some((owner.server.to_string(), owner.own.to_string()))
}

fn pair(server: &str, own: &str) -> Option<(String, String)> {
    Some((server.to_owned(), own.to_owned()))
}

#[test]
fn the_first_server_keeps_a_name_that_collides() {
    let mut names = Names::default();
    let items = [("a", "echo"), ("b", "echo"), ("b", "other"), ("a", "echo")];
    assert_eq!(show_tools(&mut names, &items), ["echo", "b_echo", "other", "echo"]);
    assert_eq!(owner(&names, "b_echo"), pair("b", "echo"));
    assert_eq!(owner(&names, "a_echo"), None);
}

#[test]
fn what_was_published_first_stays_whoever_comes_later() {
    let mut names = Names::default();
    assert_eq!(show_tools(&mut names, &[("late", "echo")]), ["echo"]);
    assert_eq!(
        show_tools(&mut names, &[("early", "echo"), ("late", "echo")]),
        ["early_echo", "echo"]
    );
    let stored = serde_json::to_string(&names).unwrap();
    let mut read: Names = serde_json::from_str(&stored).unwrap();
    assert_eq!(read, names);
    read.retain(|server| server != "early");
    assert_eq!(owner(&read, "early_echo"), None);
    assert_eq!(
        show_tools(&mut read, &[("late", "echo"), ("third", "echo")]),
        ["echo", "third_echo"]
    );
}

#[test]
fn a_uri_is_known_by_the_template_it_was_made_from() {
    let mut names = Names::default();
    let templates = [
        ("a", "x://{id}/data"),
        ("b", "x://{id}/data"),
        ("b", "y://{id}"),
        ("c", "z://{a}"),
        ("d", "z://{+b}"),
    ];
    show(&mut names, AUTO, KeyForm::Template, &templates);
    let of = |uri: &str| names.match_template(uri).map(|(server, own)| format!("{server} {own}"));
    assert_eq!(of("x://7/data").as_deref(), Some("a x://7/data"));
    assert_eq!(of("mainstay://b/x://7/data").as_deref(), Some("b x://7/data"));
    assert_eq!(of("y://7").as_deref(), Some("b y://7"));
    assert_eq!(of("z://1"), None, "it can be of either");
    assert_eq!(of("w://1"), None);
}

#[test]
fn names_are_made_to_fit_and_told_apart() {
    let mut names = Names::default();
    let items = [("s", "a/b"), ("s", "a b"), ("t", "a b"), ("t", ""), ("t", "v1.2")];
    let published = show_tools(&mut names, &items);
    assert_eq!(published[0], "a_b");
    assert!(published[1].starts_with("a_b_") && published[1].len() == 12, "{published:?}");
    assert_eq!(published[2..], ["t_a_b", "t", "v1.2"]);
    for ((server, own), published) in items.into_iter().zip(&published) {
        assert_eq!(owner(&names, published), pair(server, own));
    }
    let as_is = NameStyle { rule: NameRule::AsIs, ..AUTO };
    let (long, mut names) = ("l".repeat(100), Names::default());
    let items = [("s", "a/b"), ("s", ""), ("s", &long), ("t", "a/b")];
    assert_eq!(show(&mut names, as_is, KeyForm::Name, &items), ["a/b", "", &long, "t_a/b"]);
}

#[test]
fn names_that_clients_have_seen_stay_unless_strict_names_are_wanted() {
    let published = r#"{"published":{"s":{"a/b":"a/b","v1.2":"v1.2","fine":"fine"}}}"#;
    let mut names: Names = serde_json::from_str(published).unwrap();
    let items = [("s", "a/b"), ("s", "v1.2"), ("s", "fine"), ("s", "c/d")];
    assert_eq!(show_tools(&mut names, &items), ["a/b", "v1.2", "fine", "c_d"]);
    let strict = NameStyle { rule: NameRule::Strict, ..AUTO };
    let replaced = ["a_b", "v1_2", "fine", "c_d"];
    assert_eq!(show(&mut names, strict, KeyForm::Name, &items), replaced);
    let stored = serde_json::to_string(&names).unwrap();
    let mut names: Names = serde_json::from_str(&stored).unwrap();
    for name in ["a/b", "a_b"] {
        assert_eq!(owner(&names, name), pair("s", "a/b"), "the old name still leads to its tool");
    }
    assert_eq!(show_tools(&mut names, &items), replaced);
}

#[test]
fn a_group_that_never_prefixes_serves_the_first_of_two_equal_names() {
    let mut names = Names::default();
    let items = [("a", "echo"), ("b", "echo"), ("b", "x/y"), ("b", "x y")];
    let published = show(&mut names, NEVER, KeyForm::Name, &items);
    assert_eq!(published[..3], ["echo", "echo", "x_y"]);
    assert_ne!(published[3], "x_y");
    assert_eq!(owner(&names, "echo"), pair("a", "echo"));
}

#[test]
fn of_many_uris_those_are_remembered_that_servers_share() {
    let mut names = Names::default();
    let many: Vec<String> = (0..20_000).map(|number| format!("x://{number}")).collect();
    let mut items: Vec<(&str, &str)> = many.iter().map(|uri| ("a", uri.as_str())).collect();
    items.extend([("b", "x://7"), ("b", "y://1")]);
    let published = show(&mut names, AUTO, KeyForm::Uri, &items);
    assert_eq!(published[7], "x://7");
    assert_eq!(published[20_000..], ["mainstay://b/x://7", "y://1"]);
    assert_eq!(names.len(), 3, "a server with few URIs keeps its bare ones");
    assert_eq!(owner(&names, "x://7"), pair("a", "x://7"));
    // The other server comes first from now on.
    let items = [("b", "x://7"), ("a", "x://7")];
    assert_eq!(show(&mut names, AUTO, KeyForm::Uri, &items), ["mainstay://b/x://7", "x://7"]);
}

#[test]
fn uris_that_change_all_the_time_are_forgotten() {
    let mut names = Names::default();
    for batch in 0..50 {
        let own: Vec<String> = (0..100).map(|number| format!("x://{batch}/{number}")).collect();
        let items: Vec<(&str, &str)> = own.iter().map(|own| ("s", own.as_str())).collect();
        show(&mut names, AUTO, KeyForm::Uri, &items);
        assert!(names.len() <= 100 + URIS_MAX, "{}", names.len());
    }
    assert_eq!(owner(&names, "x://49/0"), pair("s", "x://49/0"));
    assert_eq!(owner(&names, "x://0/0"), None);
}

#[test]
fn a_uri_that_clients_have_seen_stays_without_being_remembered() {
    let names = Names::default();
    let seen = |uri: &str| (uri == "x://1").then(|| Arc::from("late"));
    let mut assignment = Assignment::new(&names, AUTO, KeyForm::Uri, &seen);
    assert_eq!(&*assignment.publish("early", "x://1"), "mainstay://early/x://1");
    assert_eq!(&*assignment.publish("late", "x://1"), "x://1");
    assert!(!assignment.into_fresh().is_empty(), "both are remembered from now on");
}

#[test]
fn names_of_items_that_are_gone_are_forgotten_oldest_first() {
    let mut names = Names::default();
    show_tools(&mut names, &[("s", "stays"), ("t", "other")]);
    for batch in 0..5 {
        let own: Vec<String> =
            (0..1000).map(|number| format!("tool_{batch}_{number:03}")).collect();
        let mut items: Vec<(&str, &str)> = own.iter().map(|own| ("s", own.as_str())).collect();
        items.push(("s", "stays"));
        show_tools(&mut names, &items);
        // Nothing depends on the order in memory.
        names = serde_json::from_str(&serde_json::to_string(&names).unwrap()).unwrap();
    }
    let is_known = |own: &str| names.find("s", own).is_some();
    assert!(is_known("stays") && is_known("tool_4_000") && is_known("tool_2_000"));
    assert!(!is_known("tool_1_999"));
    assert_eq!(owner(&names, "tool_1_999"), None);
    assert_eq!(names.len(), 2 + 1000 + UNLISTED_MAX);
    assert!(names.find("t", "other").is_some(), "another server is not concerned");
}

#[test]
fn a_server_keeps_its_newest_names_within_its_bytes() {
    let mut names = Names::default();
    let bounds = NameBounds { server_bytes_max: 100_000, list_bytes_max: usize::MAX };
    show_tools(&mut names, &[("t", "other")]);
    for batch in 0..20 {
        let own: Vec<String> =
            (0..10).map(|number| format!("{batch}_{number}_{}", "x".repeat(1000))).collect();
        let items: Vec<_> = own.iter().map(|own| ("s", own.as_str())).collect();
        let (_, forgotten) = show_within(&mut names, AUTO, KeyForm::Name, &items, bounds);
        assert_eq!(forgotten, 0, "what is listed has room");
        assert!(names.bytes() <= 101_000, "{}", names.bytes());
        assert!(items.iter().all(|(_, own)| names.find("s", own).is_some()));
    }
    assert!(names.find("t", "other").is_some(), "another server is not concerned");
    // More than there is room for is listed at once.
    let own: Vec<String> =
        (0..200).map(|number| format!("{number}_{}", "y".repeat(1000))).collect();
    let items: Vec<_> = own.iter().map(|own| ("s", own.as_str())).collect();
    let (published, forgotten) = show_within(&mut names, AUTO, KeyForm::Name, &items, bounds);
    assert!((50..150).contains(&forgotten), "{forgotten}");
    assert!(names.find("s", items[199].1).is_some() && names.find("s", items[0].1).is_none());
    assert_eq!(owner(&names, &published[0]), None);
    assert!(names.bytes() <= 101_000, "{}", names.bytes());
}

#[test]
fn names_without_room_take_the_place_of_those_of_the_largest_server() {
    let mut names = Names::default();
    let own: Vec<String> = (0..100).map(|number| format!("tool_{number}")).collect();
    let items: Vec<_> = own.iter().map(|own| ("large", own.as_str())).collect();
    show_tools(&mut names, &items);
    let bounds = NameBounds { server_bytes_max: usize::MAX, list_bytes_max: names.bytes() };
    let (_, forgotten) =
        show_within(&mut names, AUTO, KeyForm::Name, &[("small", "a"), ("small", "b")], bounds);
    assert_eq!(forgotten, 0);
    assert!(names.find("small", "a").is_some() && names.find("small", "b").is_some());
    assert!(names.find("large", "tool_0").is_none() && names.find("large", "tool_99").is_some());
    assert!(names.bytes() <= bounds.list_bytes_max);
}

proptest! {
    #[test]
    fn names_never_take_more_than_their_bounds_and_count_what_they_take(
        asks in proptest::collection::vec(("[ab]", "[a-c/\u{1}\"]{1,30}", 0..2_u8), 1..60),
        server_bytes_max in 0..3000_usize,
        list_bytes_max in 0..4000_usize,
    ) {
        let mut names = Names::default();
        let bounds = NameBounds { server_bytes_max, list_bytes_max };
        for chunk in asks.chunks(5) {
            let items: Vec<_> =
                chunk.iter().map(|(server, own, _)| (server.as_str(), own.as_str())).collect();
            // Strict names replace known ones, which are then remembered as former names.
            let rule = if chunk[0].2 == 0 { NameRule::AsIs } else { NameRule::Strict };
            let style = NameStyle { prefix: Prefix::Auto, rule };
            show_within(&mut names, style, KeyForm::Name, &items, bounds);
            prop_assert!(names.bytes() <= list_bytes_max);
            let text = serde_json::to_string(&names).unwrap();
            prop_assert!(text.len() <= names.bytes() + 100, "{} {text}", names.bytes());
            let stored: Names = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(stored.bytes(), names.bytes());
            prop_assert_eq!(&stored, &names);
        }
        names.shrink(0, |_, _| true);
        prop_assert_eq!((names.bytes(), names.len()), (0, 0));
    }

    #[test]
    fn no_two_things_ever_get_one_name(
        asks in proptest::collection::vec(("[ab](_[ab]){0,2}", "[ab/ .]([_ ][ab]){0,3}", 0..3_u8), 1..40),
        always in any::<bool>(),
    ) {
        let mut names = Names::default();
        let mut given = std::collections::BTreeMap::new();
        let prefix = if always { Prefix::Always } else { Prefix::Auto };
        for chunk in asks.chunks(7) {
            let rule = match chunk[0].2 {
                0 => NameRule::Spec,
                1 => NameRule::Strict,
                _ => NameRule::AsIs,
            };
            let items: Vec<_> =
                chunk.iter().map(|(server, own, _)| (server.as_str(), own.as_str())).collect();
            let style = NameStyle { prefix, rule };
            for (item, published) in
                items.iter().zip(show(&mut names, style, KeyForm::Name, &items))
            {
                prop_assert!(published.chars().count() <= 64);
                prop_assert!(rule != NameRule::Strict || super::is_strict(&published));
                let item = (item.0.to_owned(), item.1.to_owned());
                prop_assert_eq!(owner(&names, &published), Some(item.clone()));
                let owner = given.entry(published).or_insert_with(|| item.clone());
                prop_assert_eq!(&*owner, &item);
            }
        }
    }
}
