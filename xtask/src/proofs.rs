//! Proofs: tests that take minutes, or need root, and run on what is built for users.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::dist;
use crate::programs::cargo;

/// Tests of `mainstay` that are run on something built for them. Each prints a table, or why it can't run here.
struct Proof {
    name: &'static str,
    tests: &'static str,
    /// Builds it. Returns where it is.
    build: fn(&Path) -> anyhow::Result<PathBuf>,
    /// The variable by which the tests find it.
    variable: &'static str,
}

const PROOFS: [Proof; 4] = [
    Proof {
        name: "memory",
        tests: "memory::proof::",
        build: release,
        variable: "MAINSTAY_PROOF_BINARY",
    },
    Proof {
        name: "limits",
        tests: "servers::limits::proof::",
        build: release,
        variable: "MAINSTAY_PROOF_BINARY",
    },
    Proof {
        name: "dist",
        tests: "packaged::proof::",
        build: packages,
        variable: "MAINSTAY_PROOF_DIST",
    },
    Proof {
        name: "stack",
        tests: "stack::proof::",
        build: release,
        variable: "MAINSTAY_PROOF_BINARY",
    },
];

/// Runs the named proofs, or all of them.
pub(crate) fn run(root: &Path, named: &[String]) -> anyhow::Result<String> {
    if let Some(unknown) = named.iter().find(|name| PROOFS.iter().all(|one| one.name != **name)) {
        let names: Vec<_> = PROOFS.iter().map(|one| one.name).collect();
        bail!("no proof `{unknown}`; there are: {}", names.join(", "));
    }
    let mut held = Vec::new();
    for Proof { name, tests, build, variable } in PROOFS {
        if named.is_empty() || named.iter().any(|chosen| chosen == name) {
            println!("== {name}");
            // The caller may name another to try them on.
            let built = match std::env::var_os(variable) {
                Some(other) => other.into(),
                None => build(root)?,
            };
            let mut command = Command::new(cargo());
            command.args(["test", "--package", "mainstay", "--test", "it", tests, "--"]);
            command.args(["--ignored", "--nocapture", "--test-threads=1"]);
            start(root, command.env(variable, built))?;
            held.push(name);
        }
    }
    Ok(format!("proven: {}", held.join(", ")))
}

/// Builds the program for measurements.
fn release(root: &Path) -> anyhow::Result<PathBuf> {
    start(root, Command::new(cargo()).args(["build", "--release", "--package", "mainstay"]))?;
    Ok(dist::target_folder(root).join("release/mainstay"))
}

/// Builds what users get.
fn packages(root: &Path) -> anyhow::Result<PathBuf> {
    let dist = dist::run(root)?;
    println!("{}", dist.told);
    Ok(dist.folder)
}

fn start(root: &Path, command: &mut Command) -> anyhow::Result<()> {
    let shown: Vec<_> =
        command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let shown = shown.join(" ");
    let status = command.current_dir(root).status();
    let status = status.with_context(|| format!("can't start cargo {shown}"))?;
    ensure!(status.success(), "cargo {shown}: {status}");
    Ok(())
}
