//! Checks rules that concern several keys.

mod exactly_one;
mod gateway;
mod graph;
mod groups;
mod notify;
mod servers;

use self::exactly_one::exactly_one;
use crate::disk::Disk;
use crate::notes::Notes;
use crate::typed::{Named, Root};

/// Notes everything that is wrong across keys that are each valid by themselves.
pub(crate) fn check(root: &Root, env_path: Option<&str>, disk: &dyn Disk, notes: &mut Notes) {
    gateway::check(&root.gateway, notes);
    let named: Vec<_> = root.servers.iter().chain(&root.endpoints).collect();
    gateway::shadowed(&root.gateway, &named, notes);
    for server in &root.servers {
        servers::check(server, env_path, disk, notes);
    }
    groups::check(root, notes);
    graph::check(root, notes);
    notify::check(root, env_path, disk, notes);
    servers::without_effect(&root.servers, notes);
    not_acted_on(&root.volumes, notes);
    not_acted_on(&root.externals, notes);
    for volume in &root.volumes {
        if !volume.table.is_written("path") {
            notes.error(
                &volume.at,
                &volume.path,
                format!("volume `{}` needs a `path`", volume.name),
            );
        }
    }
    for external in &root.externals {
        exactly_one(external, "external", &["http", "tcp", "command", "redis", "postgres"], notes);
    }
}

/// Warns of sections that this version reads and does not act on.
fn not_acted_on(all: &[Named], notes: &mut Notes) {
    for one in all {
        let message = format!("[{}] is checked, but this version does not act on it", one.path);
        notes
            .warning(&one.at, &one.path, message)
            .help("servers that need it start without waiting for it".to_owned());
    }
}
