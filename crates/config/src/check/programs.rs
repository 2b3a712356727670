//! Programs, folders and addresses that servers, services, probes and notifications name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mainstay_model::Redacted;
use mainstay_model::program_file::ProgramFault;
use mainstay_model::settings::Lack;

use super::Machine;
use super::exactly_one::Subject;
use crate::disk::Disk;
use crate::document::At;
use crate::notes::Notes;
use crate::packages::PackageCommand;
use crate::problem::quoted;
use crate::typed::{Named, Placed};
use crate::units::format_size;
use crate::url_keys;

/// A command that is run some day.
pub(super) struct Program<'a> {
    pub(super) words: &'a [Placed],
    /// The path of the key.
    pub(super) path: String,
    /// What the table of the command refers to and the daemon does not have.
    pub(super) lacks: &'a [Lack],
    pub(super) env: Option<&'a BTreeMap<String, Redacted<String>>>,
    /// What follows while the program is missing, in words.
    pub(super) consequence: &'a str,
}

/// Warns of what keeps a server or a service from starting; it may be installed later.
pub(super) fn check(owner: &Named, noun: &str, machine: Machine<'_>, notes: &mut Notes) {
    let consequence = format!("the {noun} can't start");
    Program::of(owner, &consequence).missing(machine, notes);
    folder(owner, noun, machine.disk, notes);
    pins(owner, notes);
    reservation(owner, notes);
    let called = format!("{noun} `{}`", owner.name);
    let (table, at, path) = (&owner.table, &owner.at, owner.path.as_str());
    if table.declares("url") {
        open_key(Subject { table, at, path, called: &called }, "url", notes);
    }
}

/// Reports more memory in reserve than the limit allows.
fn reservation(owner: &Named, notes: &mut Notes) {
    let Some(limits) = owner.table.table("limits") else { return };
    if let (Some(reserved), Some(max)) =
        (limits.count("memory_reservation"), limits.count("memory"))
        && reserved > max
    {
        let (reserved, max) = (format_size(reserved as u64), format_size(max as u64));
        let message =
            format!("`memory_reservation` is {reserved}, more than `memory`, which is {max}");
        let path = format!("{}.limits.memory_reservation", owner.path);
        notes.error(limits.at("memory_reservation"), &path, message);
    }
}

// === impl Program ===

impl<'a> Program<'a> {
    /// The `command` of a table, with its `env`.
    pub(super) fn of(owner: &'a Named, consequence: &'a str) -> Self {
        Self {
            words: owner.table.list("command"),
            path: format!("{}.command", owner.path),
            lacks: &owner.lacks,
            env: owner.table.secrets("env"),
            consequence,
        }
    }

    /// Warns when the program is missing, with the consequence in words.
    pub(super) fn missing(&self, machine: Machine<'_>, notes: &mut Notes) {
        let Machine { env_path, disk } = machine;
        let Some(program) = self.words.first() else { return };
        if !self.lacks.is_empty() && program.text.contains("${") {
            return;
        }
        let own_path = self.env.and_then(|env| env.get("PATH")).map(|path| path.expose().as_str());
        let folders = own_path.or(env_path).unwrap_or_default();
        if program.text.contains('/') {
            let path = Path::new(&program.text);
            if let Some(fault) = disk.program_fault(path, folders) {
                return unrunnable(path, &fault, &program.at, &self.path, notes);
            }
            if disk.is_program(path) {
                return;
            }
            let message = format!("there is no program {}", quoted(&program.text));
            notes
                .warning(&program.at, &self.path, message)
                .help(format!("{} until the file exists and may be run", self.consequence));
            return;
        }
        let mut candidates = folders
            .split(':')
            .filter(|folder| !folder.is_empty())
            .map(|folder| PathBuf::from(folder).join(&program.text));
        if let Some(found) = candidates.find(|candidate| disk.is_program(candidate)) {
            if let Some(fault) = disk.program_fault(&found, folders) {
                unrunnable(&found, &fault, &program.at, &self.path, notes);
            }
        } else {
            let message = format!("no program {} is on the PATH", quoted(&program.text));
            notes.warning(&program.at, &self.path, message).help(format!(
                "{} until it is installed; a path with `/` works without the PATH",
                self.consequence
            ));
        }
    }
}

/// Warns that the machine can't run the program file.
fn unrunnable(program: &Path, fault: &ProgramFault, at: &At, key: &str, notes: &mut Notes) {
    let message = format!("{} can't be run: {fault}", program.display());
    notes.warning(at, key, message).help(fault.remedy().to_owned());
}

fn folder(server: &Named, noun: &str, disk: &dyn Disk, notes: &mut Notes) {
    let Some(cwd) = server.table.path("cwd") else { return };
    if !disk.is_folder(cwd) {
        let message = format!("there is no folder {}", cwd.display());
        notes
            .warning(server.table.at("cwd"), &format!("{}.cwd", server.path), message)
            .help(format!("the {noun} can't start until it exists"));
    }
}

/// A package that is another one tomorrow may be one that does other things.
fn pins(server: &Named, notes: &mut Notes) {
    let placed = server.table.list("command");
    let words: Vec<_> = placed.iter().map(|word| word.text.clone()).collect();
    let Some(Ok(run)) = PackageCommand::parse(&words) else { return };
    for package in run.packages.iter().filter(|package| package.version.is_none()) {
        // In a shell script, the package is part of a word.
        let place = placed.iter().find(|word| word.text.contains(&package.written));
        let at = place.map_or(server.table.at("command"), |word| &word.at);
        let message = format!(
            "{} is not pinned: each start may run another version",
            quoted(&package.written)
        );
        let write = package.at("VERSION");
        notes
            .warning(at, &format!("{}.command", server.path), message)
            .help(format!("write {}; `mainstay fetch` says which it is now", quoted(&write)));
    }
}

/// Warns of a secret that is written out in an address, where everybody who may read the file sees it.
pub(super) fn open_key(subject: Subject<'_>, name: &str, notes: &mut Notes) {
    let Some((_, written)) = subject.table.keyed_url(name) else { return };
    let Some(key) = url_keys::keys(written).into_iter().next() else { return };
    let (what, inside) = match key.name {
        Some(name) => (quoted(name), format!("`{name}=${{NAME}}`")),
        None => ("a part of the path".to_owned(), "`${NAME}` in its place".to_owned()),
    };
    let message = format!("{what} looks like a key that is written out");
    let path = format!("{}.{name}", subject.path);
    notes.warning(subject.table.at(name), &path, message).help(format!(
        "write {inside}, or the whole address as \"secret:env:NAME\" or \"secret:file:PATH\""
    ));
}
