//! The crates of the workspace and their source files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The folders of all crates, sorted: `crates/*`, `servers/*`.
pub(crate) fn crates(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for group in ["crates", "servers"] {
        found.extend(entries(&root.join(group))?.into_iter().filter(|path| is_crate(path)));
    }
    Ok(found)
}

/// All Rust files below a folder.
pub(crate) fn rust_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder)? {
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))
}

/// The name of a crate's folder.
pub(crate) fn folder_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn is_crate(path: &Path) -> bool {
    path.join("Cargo.toml").is_file()
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("can't list {}", folder.display()));
        }
    };
    let mut paths = Vec::new();
    for entry in listing {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}
