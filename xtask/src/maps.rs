//! The maps of the code: `ARCHITECTURE.md` and `docs/orientation.md` name only what exists.

use std::collections::BTreeSet;
use std::path::Path;

use crate::{none_of, sources};

#[cfg(test)]
mod tests;

/// Checks both maps of this repository.
pub(crate) fn check(root: &Path) -> anyhow::Result<String> {
    let mut words = BTreeSet::new();
    for folder in ["crates", "servers", "xtask", "fuzz"] {
        for file in sources::rust_files(&root.join(folder))? {
            words.extend(words_of(&sources::read(&file)?).map(str::to_owned));
            words.extend(file.iter().filter_map(|part| part.to_str()).map(str::to_owned));
        }
    }
    let architecture = sources::read(&root.join("ARCHITECTURE.md"))?;
    let names = names(&architecture);
    let mut problems: Vec<String> = names
        .iter()
        .filter(|name| !name.split("::").all(|part| words.contains(part)))
        .map(|name| format!("ARCHITECTURE.md: nothing is called `{name}`"))
        .collect();
    let modules = modules(&architecture);
    let is_there = |path: &str| root.join(path).exists();
    let gone = modules.iter().filter(|path| !is_there(path));
    problems.extend(gone.map(|path| format!("ARCHITECTURE.md: there is no {path}")));
    let answers = answers(&sources::read(&root.join("docs/orientation.md"))?);
    for (path, names) in &answers {
        let text = sources::read(&root.join(path)).unwrap_or_default();
        let there: BTreeSet<&str> = words_of(&text).collect();
        let gone = names.iter().filter(|name| !there.contains(name.as_str()));
        problems.extend(gone.map(|name| format!("docs/orientation.md: `{name}` is not in {path}")));
    }
    none_of(&problems)?;
    Ok(format!("{} names and {} modules on the map exist", names.len(), modules.len()))
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|it: char| !it.is_alphanumeric() && it != '_').filter(|word| !word.is_empty())
}

/// What stands in backticks outside of blocks of code.
fn in_backticks(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|part| part.split('`').skip(1).step_by(2)).collect()
}

/// Paths such as `module::item` and types such as `CamelCase` in a text.
fn names(text: &str) -> Vec<&str> {
    let is_type = |name: &str| {
        let upper = name.chars().filter(char::is_ascii_uppercase).count();
        name.starts_with(|first: char| first.is_ascii_uppercase())
            && upper > 1
            && name.chars().all(char::is_alphanumeric)
            && name.chars().any(char::is_lowercase)
    };
    let is_name = |name: &&str| {
        let plain = words_of(name).eq(name.split("::"));
        plain && (name.contains("::") || is_type(name))
    };
    in_backticks(text).into_iter().filter(is_name).collect()
}

/// The modules in the first cells of the tables below `### \`crate\``, as paths.
fn modules(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut of = None;
    for line in text.lines() {
        if line.starts_with('#') {
            of = line.strip_prefix("### `").and_then(|name| name.strip_suffix('`'));
        }
        let first = line.strip_prefix("| ").and_then(|row| row.split(" |").next());
        if let (Some(name), Some(cell)) = (of, first) {
            let path = |module: &str| format!("crates/{name}/src/{}.rs", module.replace("::", "/"));
            found.extend(in_backticks(cell).into_iter().map(path));
        }
    }
    found
}

/// The files that a page of questions names, each with the names that follow it.
fn answers(text: &str) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let cells = text.lines().filter_map(|line| line.strip_suffix(" |")?.rsplit("| ").next());
    for name in cells.flat_map(in_backticks) {
        if name.contains('/') {
            found.push((name.to_owned(), Vec::new()));
        } else if let Some((_, names)) = found.last_mut() {
            names.push(name.to_owned());
        }
    }
    found
}
