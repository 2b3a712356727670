//! Assembles the checks of `mainstay verify`, and gives names to those without one.

use std::collections::BTreeSet;
use std::path::Path;

use mainstay_model::Name;
use mainstay_model::settings::{
    CallCheck, CheckKind, CheckSpec, ProbeCheck, TargetCheck, ToolsCheck,
};

use super::{probes, process, texts};
use crate::typed::{Named, Root, Table};

/// All checks; none where a problem has been noted.
pub(super) fn checks(root: &Root) -> Option<Vec<CheckSpec>> {
    let written = root.checks.iter().filter_map(|check| check.table.text("name"));
    let mut taken: BTreeSet<String> = written.map(str::to_owned).collect();
    let check = |one: &Named| {
        let table = &one.table;
        let kind = kind(root, table)?;
        let name = match table.text("name") {
            Some(name) => name.to_owned(),
            None => free(&usual_name(&kind), &mut taken),
        };
        let mut lacks = one.lacks.clone();
        // Its command would run without what its owner lacks.
        if let (Some(owner), true) = (owner(root, table), table.is_written("command")) {
            lacks.extend(owner.lacks.iter().cloned());
        }
        let timeout = table.duration("timeout")?;
        Some(CheckSpec { number: one.name.parse().ok()?, name, kind, timeout, lacks })
    };
    root.checks.iter().map(check).collect()
}

fn kind(root: &Root, table: &Table) -> Option<CheckKind> {
    let server = || Name::try_new(table.text("server")?).ok();
    if let Some(tool) = table.text("tool") {
        return Some(CheckKind::Call(CallCheck {
            server: server()?,
            tool: tool.to_owned(),
            args: table.text("args")?.to_owned(),
            is_error: table.bool("is_error")?,
            contains: table.text("contains").map(str::to_owned),
            equals: table.text("equals").map(str::to_owned),
            json: table.expected("json").to_vec(),
        }));
    }
    let is_exact = table.is_written("tools");
    if is_exact || table.is_written("tools_include") {
        let key = if is_exact { "tools" } else { "tools_include" };
        let names = texts(table, key).into_iter().collect();
        return Some(CheckKind::Tools(ToolsCheck { server: server()?, names, is_exact }));
    }
    let program = owner(root, table).and_then(|owner| process(&owner.table));
    let check = probes::check(table, program.as_ref())?;
    let output = match &check {
        ProbeCheck::Command(_) => table.text("contains").map(str::to_owned),
        _ => None,
    };
    let of = match table.text("of") {
        Some(of) => Some(Name::try_new(of).ok()?),
        None => None,
    };
    Some(CheckKind::Target(TargetCheck { of, check, output }))
}

/// The server or service that a check is about, whose program lends its environment.
fn owner<'a>(root: &'a Root, table: &Table) -> Option<&'a Named> {
    let of = table.text("of")?;
    let mut programs = root.servers.iter().chain(&root.services);
    programs.find(|one| one.name == of && !one.table.list("command").is_empty())
}

/// The name of a check that has none: what it is about, and what is checked of it.
fn usual_name(kind: &CheckKind) -> String {
    match kind {
        CheckKind::Call(call) => format!("{}/{}", call.server, call.tool),
        CheckKind::Tools(tools) => format!("{}/tools", tools.server),
        CheckKind::Target(TargetCheck { of: Some(of), check, .. }) => {
            format!("{of}/{}", check.word())
        }
        CheckKind::Target(TargetCheck { check, .. }) => match target(check) {
            Some(target) => format!("{}/{target}", check.word()),
            None => check.word().to_owned(),
        },
    }
}

/// Where an address leads, or which program a command runs. None where that may be a secret.
fn target(check: &ProbeCheck) -> Option<String> {
    match check {
        ProbeCheck::Tcp(address) => Some(address.clone()),
        ProbeCheck::Http(http) => {
            let url = url::Url::parse(&http.written).ok()?;
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            Some(format!("{}{port}", url.host_str()?))
        }
        ProbeCheck::Command(process) => {
            let program = Path::new(process.command.first()?).file_name()?;
            Some(program.to_str()?.to_owned()).filter(|_| process.command_secrets.is_empty())
        }
        _ => None,
    }
}

/// The name, with a number behind it where it is taken. Takes it.
fn free(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut free = name.to_owned();
    let mut number = 2;
    while !taken.insert(free.clone()) {
        free = format!("{name} {number}");
        number += 1;
    }
    free
}
