//! The floors of the workspace: faces, works, cores, words. Crates depend on their own floor or on
//! lower ones, and the two lower floors do no I/O. Within a crate, modules have floors where `plans`
//! gives them some, files form no large circles, and the name of a type stands for one thing.

use std::path::Path;

use anyhow::Context;
use toml::Table;

use crate::code::Code;
use crate::{none_of, sources};

mod circles;
mod inside;
mod meanings;
mod plans;
mod purity;
mod writers;

#[cfg(test)]
mod tests;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Floor {
    Words,
    Cores,
    Works,
    Faces,
    /// Servers of our own, which speak to the rest only over the protocol.
    Servers,
    /// Tests and measurements: nothing that is shipped may need them.
    Tools,
}

/// Every crate, by its folder's name. A new one has to be given its floor here.
const FLOORS: [(&str, Floor); 18] = [
    ("protocol", Floor::Words),
    ("model", Floor::Words),
    ("session", Floor::Cores),
    ("policy", Floor::Cores),
    ("supervisor", Floor::Cores),
    ("pool", Floor::Works),
    ("fleet", Floor::Works),
    ("upstream", Floor::Works),
    ("store", Floor::Works),
    ("config", Floor::Works),
    ("telemetry", Floor::Works),
    ("mainstay", Floor::Faces),
    ("gateway", Floor::Faces),
    ("admin", Floor::Faces),
    ("safekeeping", Floor::Faces),
    ("demo", Floor::Servers),
    ("testkit", Floor::Tools),
    ("bench", Floor::Tools),
];

/// What a pure crate can't be built on.
const IMPURE: [&str; 13] = [
    "tokio",
    "tokio-util",
    "futures-util",
    "hyper",
    "hyper-util",
    "reqwest",
    "mio",
    "async-io",
    "rusqlite",
    "redis",
    "rustix",
    "nix",
    "libc",
];

/// Checks every crate's manifest and the sources of the pure ones.
pub(crate) fn check(root: &Path) -> anyhow::Result<String> {
    let crates = sources::crates(root)?;
    let mut problems = Vec::new();
    for folder in &crates {
        let name = sources::folder_name(folder);
        let manifest: Table = sources::read(&folder.join("Cargo.toml"))?
            .parse()
            .with_context(|| format!("{}/Cargo.toml", folder.display()))?;
        match floor(&name) {
            None => problems.push(format!("{name}: has no floor; give it one in xtask")),
            Some(floor) => {
                problems.extend(judge(&name, floor, &manifest));
                if floor <= Floor::Cores {
                    problems.extend(purity::check(root, folder)?);
                }
                if floor != Floor::Tools {
                    problems.extend(writers::check(root, folder)?);
                }
                problems.extend(within(&name, &Code::read(root, folder)?));
            }
        }
    }
    problems.extend(writers::idle(root)?);
    none_of(&problems)?;
    Ok(format!("{} crates stand where they should", crates.len()))
}

/// What is wrong within a crate.
fn within(name: &str, code: &Code) -> Vec<String> {
    let mut problems = Vec::new();
    for plan in plans::INSIDE.iter().filter(|plan| plan.name == name) {
        problems.extend(inside::check(code, plan));
    }
    let circles = circles::too_large(code);
    problems
        .extend(circles.iter().map(|circle| format!("{name}: {}", circles::shown(code, circle))));
    problems.extend(meanings::twofold(code).iter().map(|twofold| format!("{name}: {twofold}")));
    problems
}

fn floor(name: &str) -> Option<Floor> {
    FLOORS.iter().find(|(known, _)| *known == name).map(|(_, floor)| *floor)
}

/// What is wrong with what one crate is built on. Tests may use anything.
fn judge(name: &str, floor: Floor, manifest: &Table) -> Vec<String> {
    let mut problems = Vec::new();
    if manifest.get("lints").and_then(|lints| lints.get("workspace")?.as_bool()) != Some(true) {
        problems.push(format!("{name}: needs `[lints] workspace = true`"));
    }
    for dependency in dependencies(manifest) {
        let ours = dependency.strip_prefix("mainstay-");
        let wrong = match ours {
            Some(other) => wrong_inside(name, floor, other),
            None if floor <= Floor::Cores && IMPURE.contains(&dependency) => {
                Some("does I/O or waits, which a pure crate must not")
            }
            None => None,
        };
        if let Some(wrong) = wrong {
            problems.push(format!("{name} -> {dependency}: {wrong}"));
        }
    }
    problems
}

/// Why one crate of ours may not be built on another, if it may not.
fn wrong_inside(name: &str, own: Floor, other: &str) -> Option<&'static str> {
    let Some(other_floor) = floor(other) else { return Some("is not a crate of this workspace") };
    match (own, other_floor) {
        // The binary carries the demonstration servers.
        (Floor::Faces, Floor::Servers) if name == "mainstay" => None,
        (Floor::Tools, _) => None,
        (_, Floor::Tools) => Some("is for tests and must not be shipped"),
        (Floor::Words, _) => Some("words know no other crate"),
        (own, other) if other > own => Some("points up"),
        _ => None,
    }
}

/// The names of what a crate is built on, for every platform.
fn dependencies(manifest: &Table) -> Vec<&str> {
    let mut tables = vec![manifest];
    let targets = manifest.get("target").and_then(|targets| targets.as_table());
    tables.extend(targets.into_iter().flat_map(Table::values).filter_map(|of| of.as_table()));
    let mut names = Vec::new();
    for table in tables {
        for kind in ["dependencies", "build-dependencies"] {
            let listed = table.get(kind).and_then(|listed| listed.as_table());
            names.extend(listed.into_iter().flat_map(Table::keys).map(String::as_str));
        }
    }
    names
}
