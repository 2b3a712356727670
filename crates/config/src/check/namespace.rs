//! The namespace that servers, services, endpoints, volumes and externals share.

use std::collections::BTreeMap;

use crate::document::At;
use crate::notes::Notes;
use crate::typed::{Named, Root};

/// Notes an error at each name that something before it in the file has already.
pub(super) fn check(root: &Root, notes: &mut Notes) {
    let kinds: [(&str, &[Named]); 5] = [
        ("server", &root.servers),
        ("service", &root.services),
        ("endpoint", &root.endpoints),
        ("volume", &root.volumes),
        ("external", &root.externals),
    ];
    let of_kind =
        |(noun, all): (&'static str, _)| <&[Named]>::into_iter(all).map(move |one| (noun, one));
    let mut all: Vec<(&str, &Named)> = kinds.into_iter().flat_map(of_kind).collect();
    all.sort_by_key(|(_, one)| one.at.rank());
    let mut holders: BTreeMap<&str, (&str, &At)> = BTreeMap::new();
    for (noun, one) in all {
        let Some((holder, at)) = holders.get(&*one.name) else {
            holders.insert(&one.name, (noun, &one.at));
            continue;
        };
        let message = format!("the name `{}` is taken by {} {holder}", one.name, article(holder));
        notes
            .error(&one.at, &one.path, message)
            .help(
                "servers, services, endpoints, volumes and externals share one namespace"
                    .to_owned(),
            )
            .other_at(at);
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['e', 'a']) { "an" } else { "a" }
}
