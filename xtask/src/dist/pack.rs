//! Archives and checksums. Equal files make equal archives.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::programs::command;

/// The time that all files get, in seconds since 1970: `SOURCE_DATE_EPOCH`, else that of the commit, else none.
pub(super) fn time(root: &Path) -> anyhow::Result<u64> {
    if let Ok(own) = std::env::var("SOURCE_DATE_EPOCH") {
        return own.trim().parse().context("SOURCE_DATE_EPOCH is not a number of seconds");
    }
    let mut git = command(Path::new("git"));
    let output = git.args(["log", "-1", "--format=%ct"]).current_dir(root).output();
    let said = output.ok().filter(|output| output.status.success());
    let said = said.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    // Sources without a repository have no time of their own.
    Ok(said.and_then(|said| said.parse().ok()).unwrap_or_default())
}

/// Writes a file with its mode, whatever the mask of this process is.
pub(super) fn put(file: &Path, mode: u32, content: &[u8]) -> anyhow::Result<()> {
    if let Some(folder) = file.parent() {
        make_folder(folder, 0o755)?;
    }
    fs::write(file, content).with_context(|| file.display().to_string())?;
    Ok(fs::set_permissions(file, fs::Permissions::from_mode(mode))?)
}

/// Makes a folder and those above it. Only the last gets the mode, if it is not there yet.
pub(super) fn make_folder(folder: &Path, mode: u32) -> anyhow::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        make_folder(above, 0o755)?;
    }
    fs::create_dir(folder).with_context(|| folder.display().to_string())?;
    Ok(fs::set_permissions(folder, fs::Permissions::from_mode(mode))?)
}

/// Packs `members`, which are in `folder`, into `file`. Compresses if its name ends with `.gz`.
pub(super) fn tar(file: &Path, folder: &Path, members: &[&str], time: u64) -> anyhow::Result<()> {
    let mut tar = command(Path::new("tar"));
    tar.args(["--create", "--format=gnu", "--sort=name", "--owner=0", "--group=0"]);
    tar.args(["--numeric-owner", &format!("--mtime=@{time}"), "--file"]).arg(file);
    if file.extension().is_some_and(|extension| extension == "gz") {
        // Without the name and the time of the file.
        tar.arg("--use-compress-program=gzip -9 --no-name");
    }
    start(tar.arg("--directory").arg(folder).args(members))
}

/// The SHA-256 of a file, in hexadecimal.
pub(super) fn sha256(file: &Path) -> anyhow::Result<String> {
    let input = fs::File::open(file).with_context(|| file.display().to_string())?;
    let output = command(Path::new("sha256sum")).stdin(input).output();
    let output = output.context("can't start sha256sum")?;
    ensure!(output.status.success(), "sha256sum: {}", output.status);
    let said = String::from_utf8(output.stdout)?;
    Ok(said.split_whitespace().next().context("sha256sum said nothing")?.to_owned())
}

/// Writes the checksum of `folder/file` into `folder/file.sha256`, as `sha256sum --check` reads it.
pub(super) fn write_checksum(folder: &Path, file: &str) -> anyhow::Result<()> {
    let line = format!("{}  {file}\n", sha256(&folder.join(file))?);
    put(&folder.join(format!("{file}.sha256")), 0o644, line.as_bytes())
}

/// Runs a command, which has to end well.
pub(super) fn start(command: &mut Command) -> anyhow::Result<()> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("can't start {shown}"))?;
    ensure!(status.success(), "{shown}: {status}");
    Ok(())
}
