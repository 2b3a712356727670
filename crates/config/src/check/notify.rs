//! Checks who is told of changes.

use super::exactly_one::exactly_one;
use super::servers::missing_program;
use crate::disk::Disk;
use crate::nearest::did_you_mean;
use crate::notes::Notes;
use crate::problem::quoted;
use crate::typed::Root;

pub(super) fn check(root: &Root, env_path: Option<&str>, disk: &dyn Disk, notes: &mut Notes) {
    for one in &root.notify {
        exactly_one(one, "notification", &["command", "url"], notes);
        missing_program(one, "nobody is told this way", env_path, disk, notes);
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
        let known = root.servers.iter().map(|server| server.name.as_str());
        for server in one.table.list("servers") {
            if known.clone().any(|name| name == server.text) {
                continue;
            }
            let message = format!("there is no server {}", quoted(&server.text));
            let help = did_you_mean(&server.text, known.clone());
            notes.error(&server.at, &format!("{}.servers", one.path), message).help(help);
        }
    }
}
