//! `[servers.NAME]`.

use std::path::{Path, PathBuf};

use mainstay_model::program_file::ProgramFault;

use super::exactly_one::exactly_one;
use crate::disk::Disk;
use crate::document::At;
use crate::notes::Notes;
use crate::packages::PackageCommand;
use crate::problem::quoted;
use crate::typed::{Named, Table};
use crate::url_keys;

pub(super) fn check(server: &Named, env_path: Option<&str>, disk: &dyn Disk, notes: &mut Notes) {
    // `image` is refused where it is read; that nothing else is written is no second mistake.
    if !server.table.is_written("image") {
        exactly_one(server, "server", &["command", "url"], notes);
    }
    keys_for_the_other(server, notes);
    program(server, env_path, disk, notes);
    folder(server, disk, notes);
    pins(server, notes);
    open_key(server, notes);
    if let Some(pool) = server.table.table("pool") {
        pool_bounds(pool, &server.path, notes);
    }
}

/// Reports keys of the other kind of server. An error, because the user relies on them.
fn keys_for_the_other(server: &Named, notes: &mut Notes) {
    let table = &server.table;
    let wrong: &[&str] = match (table.is_written("command"), table.is_written("url")) {
        (true, false) => &["headers", "http_proxy"],
        (false, true) => &["env", "cwd", "user", "group", "limits", "fetch_timeout"],
        _ => &[],
    };
    let (has, other) =
        if table.is_written("url") { ("url", "command") } else { ("command", "url") };
    for key in wrong.iter().filter(|key| table.is_written(key)) {
        let message = format!("`{key}` does not apply to a server with `{has}`");
        notes
            .error(table.at(key), &format!("{}.{key}", server.path), message)
            .help(format!("use it with `{other}`"));
    }
}

/// Warns when the program of a server is missing; it may be installed later.
fn program(server: &Named, env_path: Option<&str>, disk: &dyn Disk, notes: &mut Notes) {
    missing_program(server, "the server can't start", env_path, disk, notes);
}

/// Warns when a program is missing, with the consequence in words.
pub(super) fn missing_program(
    server: &Named,
    consequence: &str,
    env_path: Option<&str>,
    disk: &dyn Disk,
    notes: &mut Notes,
) {
    let Some(program) = server.table.list("command").first() else { return };
    if !server.lacks.is_empty() && program.text.contains("${") {
        return;
    }
    let own_path = server
        .table
        .secrets("env")
        .and_then(|env| env.get("PATH"))
        .map(|path| path.expose().as_str());
    let key = format!("{}.command", server.path);
    let folders = own_path.or(env_path).unwrap_or_default();
    if program.text.contains('/') {
        let path = Path::new(&program.text);
        if let Some(fault) = disk.program_fault(path, folders) {
            return unrunnable(path, &fault, &program.at, &key, notes);
        }
        if disk.is_program(path) {
            return;
        }
        let message = format!("there is no program {}", quoted(&program.text));
        notes
            .warning(&program.at, &key, message)
            .help(format!("{consequence} until the file exists and may be run"));
        return;
    }
    let mut candidates = folders
        .split(':')
        .filter(|folder| !folder.is_empty())
        .map(|folder| PathBuf::from(folder).join(&program.text));
    if let Some(found) = candidates.find(|candidate| disk.is_program(candidate)) {
        if let Some(fault) = disk.program_fault(&found, folders) {
            unrunnable(&found, &fault, &program.at, &key, notes);
        }
    } else {
        notes
            .warning(
                &program.at,
                &key,
                format!("no program {} is on the PATH", quoted(&program.text)),
            )
            .help(format!(
                "{consequence} until it is installed; a path with `/` works without the PATH"
            ));
    }
}

/// Warns that the machine can't run the program file.
fn unrunnable(program: &Path, fault: &ProgramFault, at: &At, key: &str, notes: &mut Notes) {
    let message = format!("{} can't be run: {fault}", program.display());
    notes.warning(at, key, message).help(fault.remedy().to_owned());
}

fn folder(server: &Named, disk: &dyn Disk, notes: &mut Notes) {
    let Some(cwd) = server.table.path("cwd") else { return };
    if !disk.is_folder(cwd) {
        let message = format!("there is no folder {}", cwd.display());
        notes
            .warning(server.table.at("cwd"), &format!("{}.cwd", server.path), message)
            .help("the server can't start until it exists".to_owned());
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

/// Warns of a key that is written out in `url`, where everybody who may read the file sees it.
fn open_key(server: &Named, notes: &mut Notes) {
    let Some((_, written)) = server.table.keyed_url("url") else { return };
    let Some(key) = url_keys::keys(written).into_iter().next() else { return };
    let (what, inside) = match key.name {
        Some(name) => (quoted(name), format!("`{name}=${{NAME}}`")),
        None => ("a part of the path".to_owned(), "`${NAME}` in its place".to_owned()),
    };
    let message = format!("{what} looks like a key that is written out");
    notes.warning(server.table.at("url"), &format!("{}.url", server.path), message).help(format!(
        "write {inside}, or the whole address as \"secret:env:NAME\" or \"secret:file:PATH\""
    ));
}

fn pool_bounds(pool: &Table, path: &str, notes: &mut Notes) {
    if let (Some(min), Some(max)) = (pool.count("min"), pool.count("max"))
        && min > max
        && pool.is_written("min")
    {
        let message = format!("`min` is {min}, more than `max`, which is {max}");
        notes.error(pool.at("min"), &format!("{path}.pool.min"), message);
    }
}

/// Warns of keys that have less effect than they promise.
pub(super) fn without_effect(servers: &[Named], notes: &mut Notes) {
    let needs = servers.iter().find(|server| server.table.is_written("needs"));
    if let Some(server) = needs {
        let message = "`needs` is checked, but this version does not act on it";
        let path = format!("{}.needs", server.path);
        notes
            .warning(server.table.at("needs"), &path, message)
            .help("servers start at once, without waiting for each other".to_owned());
    }
    let pools = servers.iter().filter_map(|server| Some((server, server.table.table("pool")?)));
    if let Some((server, pool)) = pools.into_iter().find(|(_, pool)| pool.is_written("min")) {
        let message = "`min` only keeps idle instances; this version starts none ahead of demand";
        let path = format!("{}.pool.min", server.path);
        notes
            .warning(pool.at("min"), &path, message)
            .help("instances start with the first calls that need them".to_owned());
    }
}
