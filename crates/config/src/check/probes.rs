//! Probes: exactly one check, and only keys that belong to it.

use super::exactly_one::Subject;
use super::programs::{Program, open_key};
use crate::keys::{CHECKS, DETAILS};
use crate::notes::Notes;
use crate::typed::Named;

use super::Machine;

/// Checks the probe of a server or service, or an external, which is one itself.
pub(super) fn check(owner: &Named, noun: &str, machine: Machine<'_>, notes: &mut Notes) {
    let table = if noun == "external" {
        &owner.table
    } else {
        match owner.table.table("probe") {
            Some(table) => table,
            None => return,
        }
    };
    let (at, path, called) = match noun {
        "external" => (&owner.at, owner.path.clone(), format!("external `{}`", owner.name)),
        _ => (
            owner.table.at("probe"),
            format!("{}.probe", owner.path),
            format!("the probe of {noun} `{}`", owner.name),
        ),
    };
    let subject = Subject { table, at, path: &path, called: &called };
    let checks: Vec<_> = CHECKS.into_iter().filter(|key| table.declares(key)).collect();
    let is_one = subject.exactly_one(&checks, notes);
    if is_one {
        of_others(subject, &CHECKS, &DETAILS, notes);
    }
    if owner.table.declares("url") && owner.table.is_written("url") && table.is_written("log") {
        let message = "`log` does not apply: Mainstay has no output of a server with `url`";
        notes.error(table.at("log"), &format!("{path}.log"), message);
    }
    if table.declares("ping") && table.bool("ping") == Some(false) {
        notes
            .error(table.at("ping"), &format!("{path}.ping"), "`ping` can only be true")
            .help("without a probe the handshake and the lists decide".to_owned());
    }
    open_key(subject, "http", notes);
    // Externals have no environment of their own.
    let env = if noun == "external" { None } else { owner.table.secrets("env") };
    Program {
        words: table.list("command"),
        path: format!("{path}.command"),
        lacks: &owner.lacks,
        env,
        consequence: "the probe can't pass",
    }
    .missing(machine, notes);
}

/// Reports keys that belong to other kinds of checks than the one that is written. An error, because the user
/// relies on them.
pub(super) fn of_others(
    subject: Subject<'_>,
    kinds: &[&str],
    parts: &[(&str, &[&str])],
    notes: &mut Notes,
) {
    let Subject { table, path, called, .. } = subject;
    let Some(kind) = kinds.iter().find(|key| table.is_written(key)) else { return };
    for (key, of) in parts {
        if of.contains(kind) || !table.is_written(key) {
            continue;
        }
        let of: Vec<_> =
            of.iter().filter(|key| table.declares(key)).map(|key| format!("`{key}`")).collect();
        let message = format!("`{key}` does not apply: {called} has `{kind}`");
        notes
            .error(table.at(key), &format!("{path}.{key}"), message)
            .help(format!("use it with {}", of.join(" or ")));
    }
}
