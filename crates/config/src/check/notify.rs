//! Checks who is told of changes.

use super::Machine;
use super::exactly_one::exactly_one;
use super::programs::Program;
use crate::nearest::did_you_mean;
use crate::notes::Notes;
use crate::problem::quoted;
use crate::typed::Root;

pub(super) fn check(root: &Root, machine: Machine<'_>, notes: &mut Notes) {
    for one in &root.notify {
        exactly_one(one, "notification", &["command", "url"], notes);
        Program::of(one, "nobody is told this way").missing(machine, notes);
        for (key, needs) in [("env", "command"), ("headers", "url")] {
            if one.table.is_written(key) && !one.table.is_written(needs) {
                let message = format!("`{key}` has no effect without `{needs}`");
                notes.warning(one.table.at(key), &format!("{}.{key}", one.path), message);
            }
        }
        for key in ["servers", "on"] {
            if one.table.is_empty_list(key) {
                let message = format!("`{key}` is empty, so nobody is ever told");
                notes.error(one.table.at(key), &format!("{}.{key}", one.path), message);
            }
        }
        let told = root.servers.iter().chain(&root.services).chain(&root.externals);
        let known = told.map(|one| one.name.as_str());
        for server in one.table.list("servers") {
            if known.clone().any(|name| name == server.text) {
                continue;
            }
            let message =
                format!("there is no server, service or external {}", quoted(&server.text));
            let help = did_you_mean(&server.text, known.clone());
            notes.error(&server.at, &format!("{}.servers", one.path), message).help(help);
        }
    }
}
