//! The program that is given to users: linked statically, without symbols, and without paths of this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::{elf, pack};
use crate::programs::cargo;

/// A program that was built, or stands in for one in tests.
pub(super) struct Program {
    pub(super) file: PathBuf,
    pub(super) version: String,
    /// As in `x86_64`.
    pub(super) machine: &'static str,
}

// === impl Program ===

impl Program {
    /// Compiles it for this machine.
    pub(super) fn build(root: &Path, target: &Path) -> anyhow::Result<Self> {
        let triple = triple();
        let mut cargo = Command::new(cargo());
        // With a target named, build scripts and macros are not linked statically.
        cargo.args(["build", "--locked", "--profile", "dist", "--package", "mainstay"]);
        cargo.args(["--target", &triple]).current_dir(root);
        // Flags with spaces in paths stay whole in this form.
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(root).join("\u{1f}")).env_remove("RUSTFLAGS");
        pack::start(&mut cargo)?;
        let file = target.join(&triple).join("dist/mainstay");
        ensure!(elf::is_static(&std::fs::read(&file)?), "{} is not static", file.display());
        Self::found(file)
    }

    /// Takes a program that is there.
    pub(super) fn found(file: PathBuf) -> anyhow::Result<Self> {
        let mut program = Self { file, version: String::new(), machine: std::env::consts::ARCH };
        let said = program.says(&["--version"])?;
        let version = said.trim().rsplit(' ').next().context("it has no version")?;
        version.clone_into(&mut program.version);
        Ok(program)
    }

    /// The name of everything that is made of it.
    pub(super) fn name(&self) -> String {
        format!("mainstay-{}-{}-linux", self.version, self.machine)
    }

    /// Runs it and returns what it prints.
    pub(super) fn says(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let shown = format!("{} {}", self.file.display(), arguments.join(" "));
        let output = Command::new(&self.file).args(arguments).output();
        let output = output.with_context(|| format!("can't start {shown}"))?;
        ensure!(output.status.success(), "{shown}: {}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// The C library that the tests use, too.
pub(super) fn triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

fn flags(root: &Path) -> Vec<String> {
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    let mut hide = |folder: &Path, name: &str| {
        flags.push(format!("--remap-path-prefix={}={name}", folder.display()));
    };
    hide(root, "/mainstay");
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    if let Some(home) = home {
        hide(&home, "/cargo");
    }
    flags
}
