//! The programs that the chores start, and where those are kept that this repository installs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

#[cfg(test)]
mod tests;

/// The cargo to start: the one that runs this program, else the one on `PATH`.
///
/// It is looked up when the program runs. A path taken at compile time would outlive its toolchain
/// in a target folder that is kept.
pub(crate) fn cargo() -> PathBuf {
    cargo_named_by(std::env::var_os("CARGO"))
}

fn cargo_named_by(variable: Option<OsString>) -> PathBuf {
    variable.filter(|path| !path.is_empty()).unwrap_or_else(|| "cargo".into()).into()
}

/// The folder that keeps tools and peers between runs, outside the checkout.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    let from = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    from("MAINSTAY_CACHE")
        .or_else(|| from("XDG_CACHE_HOME").map(|cache| cache.join("mainstay")))
        .or_else(|| from("HOME").map(|home| home.join(".cache/mainstay")))
        .context("neither HOME nor XDG_CACHE_HOME is set")
}

/// The folder of the programs that this repository installs, with `bin` in it.
pub(crate) fn tools() -> anyhow::Result<PathBuf> {
    Ok(cache()?.join("tools"))
}

/// A command that finds what is installed by this repository, and what distributions keep for root.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", path());
    command
}

fn path() -> OsString {
    let before = tools().ok().map(|tools| tools.join("bin"));
    let own = std::env::var_os("PATH").unwrap_or_default();
    let after = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let all = before.into_iter().chain(std::env::split_paths(&own)).chain(after);
    std::env::join_paths(all).unwrap_or(own)
}

/// Whether a program can be started with these arguments and ends well.
pub(crate) fn answers(program: &Path, arguments: &[&str]) -> bool {
    command(program).args(arguments).output().is_ok_and(|output| output.status.success())
}
