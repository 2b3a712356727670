//! What must hold across keys.

use crate::disk::Disk;
use crate::problem::Notes;
use crate::read::{Named, Root};

mod gateway;
mod graph;
mod groups;
mod servers;

/// Notes everything that is wrong between keys that are each right by themselves.
pub(crate) fn check(root: &Root, env_path: Option<&str>, disk: &dyn Disk, notes: &mut Notes) {
    gateway::check(&root.gateway, notes);
    let named: Vec<_> = root.servers.iter().chain(&root.endpoints).collect();
    gateway::shadowed(&root.gateway, &named, notes);
    for server in &root.servers {
        servers::check(server, env_path, disk, notes);
    }
    groups::check(root, notes);
    graph::check(root, notes);
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

/// What is read and yet does nothing is said, never passed over.
fn not_acted_on(all: &[Named], notes: &mut Notes) {
    for one in all {
        let message = format!("[{}] is checked, but this version does not act on it", one.path);
        notes
            .warning(&one.at, &one.path, message)
            .help("servers that need it start without waiting for it".to_owned());
    }
}

/// Notes if none or several of the keys are written; each that is one too many is pointed at.
fn exactly_one(one: &Named, noun: &str, keys: &[&'static str], notes: &mut Notes) {
    let mut written: Vec<_> = keys.iter().filter(|key| one.table.is_written(key)).collect();
    written.sort_by_key(|key| one.table.at(key).rank());
    let choice = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    let Some((first, others)) = written.split_first() else {
        let message = format!("nothing says what {noun} `{}` is", one.name);
        notes.error(&one.at, &one.path, message).help(format!("write exactly one of {choice}"));
        return;
    };
    for key in others {
        let message = format!("{noun} `{}` has `{first}` already", one.name);
        notes
            .error(one.table.at(key), &format!("{}.{key}", one.path), message)
            .help(format!("write exactly one of {choice}"));
    }
}
