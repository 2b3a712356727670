//! Reads and writes the files of control groups.

#![expect(clippy::disallowed_methods, reason = "no disk is behind the files of control groups")]

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Writes a value. The error names the file.
pub(super) fn write(folder: &Path, file: &str, value: &str) -> io::Result<()> {
    let path = folder.join(file);
    fs::write(&path, value)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// Writes a value, or says nothing where the kernel has no such file.
pub(super) fn write_if_there(folder: &Path, file: &str, value: &str) -> io::Result<()> {
    match folder.join(file).exists() {
        true => write(folder, file, value),
        false => Ok(()),
    }
}

/// Makes a group and those above it. The error names it.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))
}

/// Removes a group with all below it.
///
/// # Errors
/// When a process is in one of them.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    for below in groups_below(folder) {
        remove(&below)?;
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Removes a group unless there is something in it.
pub(super) fn remove_empty(folder: &Path) {
    // Failure means that another daemon has groups in it.
    let _ = fs::remove_dir(folder);
}

/// The groups that a process is in, as the kernel lists them. `None`: it is gone.
pub(super) fn groups_of(pid: i32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()
}

/// Whether the kernel controls groups by the files in this folder.
pub(super) fn is_control_group(folder: &Path) -> bool {
    const KINDS: [u32; 2] = [0x0027_e0eb, 0x6367_7270];
    let kind = rustix::fs::statfs(folder).ok().and_then(|found| u32::try_from(found.f_type).ok());
    kind.is_some_and(|kind| KINDS.contains(&kind))
}

pub(super) fn is_group(folder: &Path) -> bool {
    folder.is_dir()
}

/// The groups directly below a group.
pub(super) fn groups_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_group = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|it| it.is_dir());
    entries.filter(is_group).map(|entry| entry.path()).collect()
}

pub(super) fn text(folder: &Path, file: &str) -> Option<String> {
    fs::read_to_string(folder.join(file)).ok()
}

/// The number that is all of a file.
pub(super) fn number(folder: &Path, file: &str) -> Option<u64> {
    text(folder, file)?.trim().parse().ok()
}

/// The number in a line `key number`.
pub(super) fn number_of(folder: &Path, file: &str, key: &str) -> Option<u64> {
    let text = text(folder, file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
    value.trim().parse().ok()
}

/// Whether a file lists this word.
pub(super) fn lists(folder: &Path, file: &str, word: &str) -> bool {
    text(folder, file).is_some_and(|text| text.split_whitespace().any(|it| it == word))
}

/// The processes in a group and in those below it. A process of another namespace is not listed.
pub(super) fn processes(folder: &Path) -> Vec<i32> {
    let own = text(folder, "cgroup.procs").unwrap_or_default();
    let own = own.lines().filter_map(|line| line.trim().parse().ok()).filter(|pid| *pid > 0);
    let mut all: Vec<i32> = own.collect();
    all.extend(groups_below(folder).iter().flat_map(|below| processes(below)));
    all
}
