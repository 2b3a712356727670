use std::sync::Arc;

use bytes::Bytes;
use mainstay_model::settings::{NameRule, Prefix};
use mainstay_model::{Budget, Charge, Ids, MemoryKind, ServerId};
use mainstay_protocol::list::{ListKind, ListPage};

use super::{Listing, Source};
use crate::names::{Assignment, KeyForm, NameStyle, Names};

/// The merged list of servers with these lists, and the servers.
fn merge(kind: ListKind, lists: &[(&str, &str)]) -> (Listing, Vec<ServerId>) {
    merge_within(kind, lists, Budget::UNLIMITED.charge(MemoryKind::Lists))
}

fn merge_within(
    kind: ListKind,
    lists: &[(&str, &str)],
    charge: Charge,
) -> (Listing, Vec<ServerId>) {
    let (ids, names) = (Ids::default(), Names::default());
    let form = match kind {
        ListKind::Tools | ListKind::Prompts => KeyForm::Name,
        ListKind::Resources => KeyForm::Uri,
        ListKind::ResourceTemplates => KeyForm::Template,
    };
    let style = NameStyle { prefix: Prefix::Auto, rule: NameRule::Spec };
    let mut assignment = Assignment::new(&names, style, form, &|_| None);
    let servers: Vec<_> = lists.iter().map(|_| ids.server()).collect();
    let parsed: Vec<_> =
        lists.iter().map(|(name, list)| (*name, ListPage::parse(list, kind).unwrap())).collect();
    let raws: Vec<Vec<Bytes>> = parsed
        .iter()
        .map(|(_, page)| page.items.iter().map(|item| item.raw.to_owned().into()).collect())
        .collect();
    for (name, page) in &parsed {
        for item in &page.items {
            assignment.publish(name, &item.key);
        }
    }
    let fresh = assignment.into_fresh();
    let sources = parsed.iter().zip(&raws).zip(&servers).map(|(((name, page), raws), server)| {
        let sources = page.items.iter().zip(raws).map(|(item, raw)| Source {
            raw,
            key: &item.key,
            key_span: item.key_span_in_item(),
            may_retry: false,
            is_left_out: raw.starts_with(b"{\"left_out\""),
        });
        (*server, *name, sources)
    });
    let listing = Listing::build(sources, |server, own| fresh.find(server, own).cloned(), charge);
    (listing, servers)
}

#[test]
fn only_the_name_changes_and_only_where_it_collides() {
    let (listing, servers) = merge(
        ListKind::Tools,
        &[
            ("a", r#"{"tools":[{"z":1.0,"name":"echo","x":{"name":"echo"}}]}"#),
            ("b", r#"{"tools":[{ "name" : "echo", "y":12345678901234567890 },{"name":"sum"}]}"#),
        ],
    );
    let items: Vec<_> = listing.entries().iter().map(|entry| entry.raw.clone()).collect();
    assert_eq!(items[0], r#"{"z":1.0,"name":"echo","x":{"name":"echo"}}"#);
    assert_eq!(items[1], r#"{ "name" : "b_echo", "y":12345678901234567890 }"#);
    assert_eq!(items[2], r#"{"name":"sum"}"#);
    assert_eq!(listing.bytes(), items.iter().map(Bytes::len).sum::<usize>());
    let back = listing.find("b_echo").unwrap();
    assert_eq!((back.server, &*back.own), (servers[1], "echo"));
    assert!(Arc::ptr_eq(&listing.entries()[0].name, &listing.entries()[0].own));
}

#[test]
fn a_name_that_comes_twice_at_a_server_is_listed_once() {
    let (listing, _) =
        merge(ListKind::Tools, &[("a", r#"{"tools":[{"name":"x","n":1},{"name":"x","n":2}]}"#)]);
    assert_eq!(listing.entries().len(), 1);
    assert_eq!(listing.find("x").unwrap().raw, r#"{"name":"x","n":1}"#);
}

#[test]
fn an_item_that_is_left_out_is_found_by_name_only() {
    let (listing, servers) = merge(
        ListKind::Tools,
        &[
            ("a", r#"{"tools":[{"left_out":1,"name":"x"},{"name":"y"}]}"#),
            ("b", r#"{"tools":[{"name":"x"}]}"#),
        ],
    );
    let names: Vec<_> = listing.entries().iter().map(|entry| &*entry.name).collect();
    assert_eq!(names, ["y", "b_x"]);
    let left_out = listing.find("x").unwrap();
    assert_eq!((left_out.server, &*left_out.own), (servers[0], "x"));
}

#[test]
fn resources_are_found_by_template() {
    let list = r#"{"resourceTemplates":[{"name":"t","uriTemplate":"x://{id}/data"}]}"#;
    let (listing, servers) = merge(ListKind::ResourceTemplates, &[("a", list), ("b", list)]);
    assert_eq!(listing.match_template("x://7/data"), Some((servers[0], "x://7/data".into())));
    assert_eq!(
        listing.match_template("mainstay://b/x://7/data"),
        Some((servers[1], "x://7/data".into()))
    );
    assert_eq!(listing.match_template("y://7"), None);
}

#[test]
fn a_list_ends_where_its_memory_does_and_gives_it_back() {
    // The share of lists is 1 MiB.
    let budget = Budget::new(2 << 20);
    let used = || budget.of(MemoryKind::Lists).used_bytes;
    let tools: Vec<String> = (0..10_000).map(|at| format!(r#"{{"name":"t{at}"}}"#)).collect();
    let all = format!(r#"{{"tools":[{}]}}"#, tools.join(","));
    let lists = [("a", r#"{"tools":[{"name":"x"}]}"#), ("b", &*all), ("c", &*all)];
    let (listing, servers) =
        merge_within(ListKind::Tools, &lists, budget.charge(MemoryKind::Lists));
    let [(b, without_b), (c, 10_000)] = listing.without_room() else {
        panic!("{:?}", listing.without_room())
    };
    assert_eq!((*b, *c), (servers[1], servers[2]));
    assert_eq!(listing.entries().len() + without_b, 10_001);
    assert!(listing.entries().len() > 1000 && listing.find("x").is_some());
    assert_eq!((listing.charged_bytes(), used() > 900_000), (used(), true));
    // What replaces it may be as large.
    let charge = budget.charge(MemoryKind::Lists);
    charge.grow(listing.charged_bytes());
    let (again, _) = merge_within(ListKind::Tools, &lists, charge);
    assert_eq!(again.entries().len(), listing.entries().len());
    drop(listing);
    assert_eq!(used(), again.charged_bytes());
    // With what some clients see beside it.
    let whole = again.with(Vec::<(_, _, Vec<_>)>::new(), |_, _| None, {
        let charge = budget.charge(MemoryKind::Lists);
        charge.grow(again.charged_bytes());
        charge
    });
    assert_eq!(whole.entries(), again.entries());
    drop((again, whole));
    assert_eq!(used(), 0);
}
