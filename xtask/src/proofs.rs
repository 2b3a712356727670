//! Proofs: tests that take minutes, or need root, and run on the release build.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::programs::cargo;

/// The proofs, and the tests of `mainstay` that carry them out. Each prints a table, or why it can't
/// run here.
const PROOFS: [(&str, &str); 1] = [("memory", "memory::proof::")];

/// Runs the named proofs, or all of them.
pub(crate) fn run(root: &Path, named: &[String]) -> anyhow::Result<String> {
    if let Some(unknown) = named.iter().find(|name| PROOFS.iter().all(|(known, _)| known != name)) {
        let names: Vec<_> = PROOFS.iter().map(|(name, _)| *name).collect();
        bail!("no proof `{unknown}`; there are: {}", names.join(", "));
    }
    start(root, &["build", "--release", "--package", "mainstay"])?;
    let mut held = Vec::new();
    for (name, tests) in PROOFS {
        if named.is_empty() || named.iter().any(|chosen| chosen == name) {
            println!("== {name}");
            let arguments = ["test", "--package", "mainstay", "--test", "it", tests, "--"];
            start(root, &[&arguments[..], &["--ignored", "--nocapture"]].concat())?;
            held.push(name);
        }
    }
    Ok(format!("proven: {}", held.join(", ")))
}

/// Runs cargo. The program under proof is the release build, unless the caller names another.
fn start(root: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    const PROGRAM: &str = "MAINSTAY_PROOF_BINARY";
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let built = root.join(target).join("release/mainstay");
    let program = std::env::var_os(PROGRAM).unwrap_or_else(|| built.into());
    let mut command = Command::new(cargo());
    let status = command.args(arguments).current_dir(root).env(PROGRAM, program).status();
    let status = status.with_context(|| format!("can't start cargo {}", arguments.join(" ")))?;
    ensure!(status.success(), "cargo {}: {status}", arguments.join(" "));
    Ok(())
}
