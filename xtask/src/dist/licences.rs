//! The licences of all crates that are linked into the program, which have to go with it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::program::{Program, triple};
use crate::programs::{cargo, command};

/// How the names of files begin that hold a licence, in capitals.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];

/// What is linked in beside crates.
const C_LIBRARY: &str = "The GNU C Library is linked in under the GNU Lesser General Public License, version 2.1 or \
later. The sources of Mainstay and `make dist` link the program again, with another version of that library, too.\n\n";

/// A crate from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    /// Name and version.
    name: String,
    licence: String,
    folder: PathBuf,
}

/// Collects the texts: each once, below the crates that it is for.
pub(super) fn of_dependencies(root: &Path, program: &Program) -> anyhow::Result<String> {
    let crates = crates(root)?;
    ensure!(!crates.is_empty(), "cargo names no crates that are linked in");
    let mut text = format!("Licences of what is linked into {}.\n\n{C_LIBRARY}", program.name());
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in &crates {
        writeln!(text, "{}: {}", one.name, one.licence)?;
        for licence in texts_of(&one.folder)? {
            let names = texts.entry(licence).or_default();
            if names.last() != Some(&one.name) {
                names.push(one.name.clone());
            }
        }
    }
    for (licence, names) in texts {
        write!(text, "\n{}\n{}:\n\n{licence}\n", "-".repeat(78), names.join(", "))?;
    }
    Ok(text)
}

/// All crates of a registry that the program is made of, sorted.
fn crates(root: &Path) -> anyhow::Result<Vec<Crate>> {
    let (tree, triple) =
        (["tree", "--locked", "--package", "mainstay", "--prefix", "none"], triple());
    let tree = said(
        root,
        &[&tree[..], &["--edges", "normal", "--format", "{p}", "--target", &triple]].concat(),
    )?;
    let linked: Vec<String> = tree.lines().filter_map(name).collect();
    let metadata = said(root, &["metadata", "--locked", "--format-version", "1"])?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo names no packages")?;
    let mut crates: Vec<Crate> = packages
        .iter()
        .filter(|package| !package["source"].is_null())
        .filter_map(|package| {
            let text = |member: &str| package[member].as_str().unwrap_or_default().to_owned();
            let name = format!("{} {}", text("name"), text("version"));
            let folder = Path::new(package["manifest_path"].as_str()?).parent()?.to_owned();
            linked.contains(&name).then(|| Crate { name, licence: text("license"), folder })
        })
        .collect();
    crates.sort();
    Ok(crates)
}

/// The name and version in a line such as `serde v1.0.229 (proc-macro)`.
fn name(line: &str) -> Option<String> {
    let mut words = line.split(' ');
    let (name, version) = (words.next()?, words.next()?);
    Some(format!("{name} {}", version.strip_prefix('v')?))
}

/// The texts in a crate's folder, without spaces at the ends of lines, so that equal ones are equal.
fn texts_of(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        if path.is_file() && NAMES.iter().any(|begin| name.starts_with(begin)) {
            files.push(path);
        }
    }
    files.sort();
    let text = |file: &PathBuf| {
        let text = String::from_utf8_lossy(&fs::read(file)?).into_owned();
        let lines: Vec<_> = text.trim().lines().map(str::trim_end).collect();
        anyhow::Ok(lines.join("\n"))
    };
    files.iter().map(text).collect()
}

fn said(root: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = command(&cargo()).args(arguments).current_dir(root).output();
    let output = output.context("can't start cargo")?;
    let problem = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo {}: {problem}", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{crates, name, texts_of};

    #[test]
    fn crates_of_the_program_are_named_with_their_licences_and_texts() {
        assert_eq!(name("serde v1.0.229 (*)").as_deref(), Some("serde 1.0.229"));
        assert_eq!(name(""), None);
        let crates = crates(&crate::root().unwrap()).unwrap();
        let tokio = crates.iter().find(|one| one.name.starts_with("tokio 1.")).expect("tokio");
        assert_eq!(tokio.licence, "MIT");
        assert!(texts_of(&tokio.folder).unwrap()[0].contains("Permission is hereby granted"));
        // Neither what only tests use, nor what is built here.
        for absent in ["proptest ", "mainstay-"] {
            assert!(!crates.iter().any(|one| one.name.starts_with(absent)), "{absent}");
        }
    }

    #[test]
    fn equal_texts_are_equal_whatever_ends_their_lines() {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in [("LICENSE", "a \r\nb\n"), ("license.md", "a\nb"), ("src.rs", "c")] {
            fs::write(folder.path().join(file), text).unwrap();
        }
        assert_eq!(texts_of(folder.path()).unwrap(), ["a\nb", "a\nb"]);
    }
}
