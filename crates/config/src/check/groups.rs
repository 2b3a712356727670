//! The servers of an endpoint.

use std::collections::BTreeSet;

use crate::nearest::did_you_mean;
use crate::notes::Notes;
use crate::problem::quoted;
use crate::typed::{Named, Root};

pub(super) fn check(root: &Root, notes: &mut Notes) {
    let servers: BTreeSet<&str> = root.servers.iter().map(|server| &*server.name).collect();
    for endpoint in &root.endpoints {
        members(endpoint, &servers, notes);
    }
}

fn members(endpoint: &Named, servers: &BTreeSet<&str>, notes: &mut Notes) {
    let key = format!("{}.servers", endpoint.path);
    if !endpoint.table.is_written("servers") {
        let message = format!("endpoint `{}` needs a list of `servers`", endpoint.name);
        notes.error(&endpoint.at, &endpoint.path, message);
        return;
    }
    for member in
        endpoint.table.list("servers").iter().filter(|member| !servers.contains(&*member.text))
    {
        notes
            .error(&member.at, &key, format!("there is no server {}", quoted(&member.text)))
            .help(suggest(&member.text, servers.iter().copied(), "servers"));
    }
    if endpoint.table.is_empty_list("servers") {
        notes.error(
            endpoint.table.at("servers"),
            &key,
            format!("endpoint `{}` has no server", endpoint.name),
        );
    }
}

/// The nearest name, or all there are.
pub(super) fn suggest<'a>(
    word: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    noun: &str,
) -> String {
    /// Most names in a hint.
    const NAMED_MAX: usize = 20;
    did_you_mean(word, known.clone()).unwrap_or_else(|| {
        let names: Vec<_> = known.take(NAMED_MAX).collect();
        if names.is_empty() {
            format!("there are no {noun}")
        } else {
            format!("{noun}: {}", names.join(", "))
        }
    })
}
