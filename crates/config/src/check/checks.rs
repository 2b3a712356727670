//! Checks of `mainstay verify`: exactly one kind, about what there is, and each under a name of its own.

use std::collections::BTreeMap;

use super::Machine;
use super::exactly_one::Subject;
use super::groups::suggest;
use super::probes::of_others;
use super::programs::{Program, open_key};
use crate::document::At;
use crate::keys::{KINDS, OF_SERVERS, PARTS};
use crate::notes::Notes;
use crate::problem::quoted;
use crate::typed::{Named, Root};

/// Longest name, in characters: one that fits beside results.
const NAME_CHARS_MAX: usize = 80;

pub(super) fn check(root: &Root, machine: Machine<'_>, notes: &mut Notes) {
    let mut names: BTreeMap<&str, &At> = BTreeMap::new();
    for one in &root.checks {
        name(one, &mut names, notes);
        let called = format!("check {}", one.name);
        let (table, at, path) = (&one.table, &one.at, one.path.as_str());
        let subject = Subject { table, at, path, called: &called };
        if subject.exactly_one(&KINDS, notes) {
            of_others(subject, &KINDS, &PARTS, notes);
            about(root, one, &called, notes);
        }
        if table.is_empty_list("tools_include") {
            let message = "`tools_include` is empty, so the check says nothing";
            notes
                .error(table.at("tools_include"), &format!("{path}.tools_include"), message)
                .help("`tools = []` passes if there are no tools".to_owned());
        }
        open_key(subject, "http", notes);
        let owner = root.servers.iter().chain(&root.services);
        let owner = owner.clone().find(|owner| table.text("of") == Some(&owner.name));
        Program {
            words: table.list("command"),
            path: format!("{path}.command"),
            lacks: &one.lacks,
            env: owner.and_then(|owner| owner.table.secrets("env")),
            consequence: "the check fails",
        }
        .missing(machine, notes);
    }
}

/// Notes names that others have, and those that can't stand in a line.
fn name<'a>(one: &'a Named, names: &mut BTreeMap<&'a str, &'a At>, notes: &mut Notes) {
    let Some(name) = one.table.text("name") else { return };
    let (at, key) = (one.table.at("name"), format!("{}.name", one.path));
    if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        let message = "this is not a name for a check";
        let help = format!("write one line of at most {NAME_CHARS_MAX} characters");
        notes.error(at, &key, message).help(help);
    }
    if let Some(first) = names.get(name) {
        let message = format!("another check is called {} already", quoted(name));
        notes.error(at, &key, message).other_at(first);
    } else {
        names.insert(name, at);
    }
}

/// Notes a server, service or external that there is not.
fn about(root: &Root, one: &Named, called: &str, notes: &mut Notes) {
    let table = &one.table;
    let asks_a_server = OF_SERVERS.into_iter().find(|kind| table.is_written(kind));
    if let Some(kind) = asks_a_server
        && !table.is_written("server")
    {
        let message = format!("{called} has `{kind}` and no `server`");
        notes.error(&one.at, &one.path, message).help("write server = \"NAME\"".to_owned());
    }
    let servers = || root.servers.iter().map(|one| one.name.as_str());
    let others = root.services.iter().chain(&root.externals).map(|one| one.name.as_str());
    let all: Vec<_> = servers().chain(others).collect();
    if let Some(server) = table.text("server")
        && servers().all(|known| known != server)
    {
        let message = match all.contains(&server) {
            true => format!("{} is no server, and has no tools", quoted(server)),
            false => format!("there is no server {}", quoted(server)),
        };
        notes.error(table.at("server"), &format!("{}.server", one.path), message).help(suggest(
            server,
            servers(),
            "servers",
        ));
    }
    if let Some(of) = table.text("of")
        && !all.contains(&of)
    {
        let message = format!("there is no server, service or external {}", quoted(of));
        notes.error(table.at("of"), &format!("{}.of", one.path), message).help(suggest(
            of,
            all.iter().copied(),
            "servers, services and externals",
        ));
    }
}
