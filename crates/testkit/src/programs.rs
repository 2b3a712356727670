//! The programs of this crate, for tests of other crates: cargo tells only a crate's own tests
//! where they are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, ensure};

/// The path of `mainstay-misbehave`, built if it is missing or older than its source.
///
/// # Errors
/// When it cannot be built.
pub fn misbehave() -> anyhow::Result<PathBuf> {
    program("mainstay-misbehave")
}

/// The path of `mainstay-fixture`, as [`misbehave`].
///
/// # Errors
/// When it cannot be built.
pub fn fixture() -> anyhow::Result<PathBuf> {
    program("mainstay-fixture")
}

fn program(name: &str) -> anyhow::Result<PathBuf> {
    // A test is at target/PROFILE/deps/NAME, a program at target/PROFILE/NAME.
    let test = std::env::current_exe()?;
    let folder = test.ancestors().nth(2).context("the test is in no target folder")?;
    let path = folder.join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = path.metadata().and_then(|file| file.modified()).ok();
    if built.is_none_or(|built| newest(&source.join("src")).is_some_and(|edit| edit > built)) {
        build(source, folder)?;
    }
    ensure!(path.exists(), "{} is missing after the build", path.display());
    Ok(path)
}

fn build(source: &Path, folder: &Path) -> anyhow::Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--bins", "--manifest-path"]).arg(source.join("Cargo.toml"));
    if let Some(target) = folder.parent() {
        cargo.arg("--target-dir").arg(target);
    }
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let output = cargo.output().context("running cargo")?;
    ensure!(output.status.success(), "building: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The latest change of any file below a folder; none where there is no source.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    entries
        .filter_map(|entry| {
            let kind = entry.file_type().ok()?;
            if kind.is_dir() {
                newest(&entry.path())
            } else {
                entry.metadata().ok()?.modified().ok()
            }
        })
        .max()
}
