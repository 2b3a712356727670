//! Checks rules that concern several keys.

mod checks;
mod exactly_one;
mod gateway;
mod graph;
mod groups;
mod namespace;
mod notify;
mod pages;
mod probes;
mod programs;
mod servers;
mod services;
mod tools;

use crate::disk::Disk;
use crate::notes::Notes;
use crate::typed::Root;

/// What is known of the machine that the configuration is for.
#[derive(Clone, Copy)]
pub(crate) struct Machine<'a> {
    /// The daemon's `PATH`.
    pub(crate) env_path: Option<&'a str>,
    pub(crate) disk: &'a dyn Disk,
}

/// Notes everything that is wrong across keys that are each valid by themselves.
pub(crate) fn check(root: &Root, machine: Machine<'_>, notes: &mut Notes) {
    gateway::check(&root.gateway, notes);
    let named: Vec<_> = root.servers.iter().chain(&root.endpoints).collect();
    gateway::shadowed(&root.gateway, &named, notes);
    for server in &root.servers {
        servers::check(server, machine, notes);
    }
    for service in &root.services {
        services::check(service, machine, notes);
    }
    for external in &root.externals {
        probes::check(external, "external", machine, notes);
    }
    volumes(root, notes);
    namespace::check(root, notes);
    groups::check(root, notes);
    graph::check(root, notes);
    notify::check(root, machine, notes);
    checks::check(root, machine, notes);
    servers::without_effect(&root.servers, notes);
}

fn volumes(root: &Root, notes: &mut Notes) {
    for volume in &root.volumes {
        let message = format!("[{}] is checked, but this version does not watch it", volume.path);
        notes
            .warning(&volume.at, &volume.path, message)
            .help("what needs it starts without waiting for it".to_owned());
        if !volume.table.is_written("path") {
            let message = format!("volume `{}` needs a `path`", volume.name);
            notes.error(&volume.at, &volume.path, message);
        }
    }
}
