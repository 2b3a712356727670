//! Whether a test that is named exists.

use std::path::Path;

use crate::sources;

/// Looks for a test by `crate::module::name` or by a file's path.
///
/// The inner result says what is wrong with the name.
pub(super) fn find(root: &Path, test: &str) -> anyhow::Result<Result<(), String>> {
    if test.contains("::") { find_function(root, test) } else { Ok(find_file(root, test)) }
}

fn find_file(root: &Path, path: &str) -> Result<(), String> {
    let inside = !path.starts_with('/') && !path.split('/').any(|part| part == "..");
    if inside && root.join(path).is_file() { Ok(()) } else { Err("no such file".to_owned()) }
}

fn find_function(root: &Path, test: &str) -> anyhow::Result<Result<(), String>> {
    let parts: Vec<&str> = test.split("::").collect();
    let [owner, modules @ .., name] = parts.as_slice() else {
        return Ok(Err("not of the form crate::module::test".to_owned()));
    };
    let crates = sources::crates(root)?;
    let Some(folder) = crates.iter().find(|path| sources::folder_name(path) == *owner) else {
        return Ok(Err(format!("no crate `{owner}`")));
    };
    let mut near = Vec::new();
    for file in sources::rust_files(folder)? {
        if !defines(&sources::read(&file)?, name) {
            continue;
        }
        let module = module_of(file.strip_prefix(folder)?);
        if is_module(modules, &module) {
            return Ok(Ok(()));
        }
        near.push(format!("{owner}::{module}::{name}"));
    }
    Ok(Err(if near.is_empty() {
        format!("no test `{name}` in `{owner}`")
    } else {
        format!("not there, but {}", near.join(", "))
    }))
}

/// Whether a file holds a test function of this name: the function, with an attribute or a macro
/// before it that makes functions tests.
fn defines(source: &str, name: &str) -> bool {
    let function = format!("fn {name}(");
    source.match_indices(&function).any(|(at, _)| {
        let before = source[..at].trim_end_matches("async ").trim_end();
        let last = before.lines().rev().take_while(|line| line.trim_start().starts_with('#'));
        let mut marks = last.map(str::trim_start);
        marks.any(|mark| mark.starts_with("#[test]") || mark.starts_with("#[tokio::test"))
    })
}

/// `src/framing/lines/tests.rs` is `framing::lines::tests`; `tests/it/http.rs` is `it::http`.
fn module_of(file: &Path) -> String {
    let without_top = file.strip_prefix("src").or_else(|_| file.strip_prefix("tests"));
    let path = without_top.unwrap_or(file).with_extension("");
    let mut parts: Vec<String> =
        path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| matches!(last.as_str(), "lib" | "main")) {
        parts.pop();
    }
    parts.join("::")
}

/// A module for tests inside a file has no file of its own.
fn is_module(named: &[&str], file: &str) -> bool {
    let full = named.join("::");
    full == file
        || full.strip_suffix("tests").is_some_and(|rest| rest.trim_end_matches(':') == file)
}
