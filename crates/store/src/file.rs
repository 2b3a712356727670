//! Reading and replacing the files of the state folder. Only regular files are opened: a FIFO or a device
//! in the place of one is an error that is returned at once, and never a wait.

#![expect(
    clippy::disallowed_methods,
    reason = "called on the threads of a store and before the daemon serves"
)]

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

/// More than a disk that works needs for what is written here.
pub(crate) const SLOW_AFTER: Duration = Duration::from_secs(5);

/// How many files that could not be used are kept of each.
pub(crate) const ASIDE_MAX: usize = 9;

/// Reads a regular file of at most `bytes_max` bytes. None: there is no such file.
///
/// # Errors
/// When something else is there, when the file is larger, and when it can't be read.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = open(path)? else { return Ok(None) };
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    if meta.len() <= bytes_max {
        file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    }
    if meta.len().max(bytes.len() as u64) > bytes_max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(Some(bytes))
}

/// Replaces a file by one that holds `parts`, readable and writable by its owner only. A crash, also of
/// the machine, leaves the old file or the new one. The returned file is open for writing at its end.
///
/// The new file is made under the name `FILE.new`. Whatever has that name is removed before, since an
/// earlier daemon may have left it half written; a folder there is an error.
///
/// # Errors
/// When the new file can't be written, brought to disk or renamed.
pub(crate) fn replace(path: &Path, parts: &[&[u8]]) -> io::Result<File> {
    replace_with(path, parts, 0o600)
}

/// Replaces a file as the state folder's own are, but readable by everybody: one that holds no secret, and
/// that another user may have written than the one the daemon runs as.
///
/// # Errors
/// When the new file can't be written, brought to disk or renamed.
pub(crate) fn replace_readable(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_with(path, &[content], 0o644).map(drop)
}

fn replace_with(path: &Path, parts: &[&[u8]], mode: u32) -> io::Result<File> {
    let (new, mut file) = create_beside(path, mode)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()?;
    fs::rename(&new, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

/// Reads the first bytes of a file: as many as this, if there are so many. None: there is no such file;
/// what is no regular file has no bytes.
///
/// # Errors
/// When it can't be read.
pub(crate) fn head(path: &Path, bytes: usize) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let Some(file) = open(path)? else { return Ok(None) };
    if file.metadata()?.is_file() {
        file.take(bytes as u64).read_to_end(&mut head)?;
    }
    Ok(Some(head))
}

/// Replaces a file as [`replace`] does, without waiting until it is on disk: after a crash of the machine
/// it may be empty.
///
/// # Errors
/// When the new file can't be written or renamed.
pub(crate) fn replace_unsynced(path: &Path, content: &[u8]) -> io::Result<()> {
    let (new, mut file) = create_beside(path, 0o600)?;
    file.write_all(content)?;
    fs::rename(new, path)
}

/// Makes an empty file, readable and writable by its owner only, where there is none.
///
/// # Errors
/// When it can't be made.
pub(crate) fn create_empty(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Whether there is a regular file, or nothing.
///
/// # Errors
/// When it can't be looked at.
pub(crate) fn is_regular_or_absent(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(meta.is_file()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Whether this open file is the one at this path; not if there is none.
///
/// # Errors
/// When it can't be looked at.
pub(crate) fn is_at(path: &Path, file: &File) -> io::Result<bool> {
    let open = file.metadata()?;
    Ok(identity(path)? == Some((open.dev(), open.ino())))
}

/// What a file at a path is, whatever its name: device and number. None: there is none.
///
/// # Errors
/// When it can't be looked at.
pub(crate) fn identity(path: &Path) -> io::Result<Option<(u64, u64)>> {
    match fs::metadata(path) {
        Ok(meta) => Ok(Some((meta.dev(), meta.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Renames a file to `FILE.unreadable`, where it can be looked at and is not overwritten; returns its
/// new path. Where such a file is already, the name is `FILE.unreadable.2`, and so on up to 9.
///
/// # Errors
/// When it can't be renamed, and when there are nine such files.
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = free_beside(path)?;
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// Renames a file that belongs to one that was set aside.
///
/// # Errors
/// When it can't be renamed.
pub(crate) fn set_aside_as(path: &Path, aside: &Path) -> io::Result<()> {
    fs::rename(path, aside)
}

/// Copies a file that is about to be replaced to where [`set_aside`] would rename it; returns that path.
///
/// # Errors
/// When it can't be copied, and when there are nine such files.
pub(crate) fn copy_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = free_beside(path)?;
    fs::copy(path, &aside)?;
    Ok(aside)
}

/// The first path for a file to set aside that nothing has.
fn free_beside(path: &Path) -> io::Result<PathBuf> {
    for number in 1..=ASIDE_MAX {
        let aside = match number {
            1 => beside(path, ".unreadable"),
            _ => beside(path, &format!(".unreadable.{number}")),
        };
        match fs::symlink_metadata(&aside) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(aside),
            Err(error) => return Err(error),
        }
    }
    let message = format!("{ASIDE_MAX} files are set aside as FILE.unreadable: move them away");
    Err(io::Error::new(io::ErrorKind::AlreadyExists, message))
}

/// Why a write that began then is as bad as one that failed: the disk has not answered for more than five
/// seconds.
pub(crate) fn slow(path: &Path, busy_since: Instant) -> Option<String> {
    let (took, path) = (busy_since.elapsed(), path.display());
    (took > SLOW_AFTER)
        .then(|| format!("{path}: the disk has not answered for {} s", took.as_secs()))
}

/// Opens something for reading, whatever it is. None: there is nothing.
fn open(path: &Path) -> io::Result<Option<File>> {
    // Without O_NONBLOCK, opening a FIFO waits for somebody who writes to it.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
    match options.open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the file that is to replace another.
fn create_beside(path: &Path, mode: u32) -> io::Result<(PathBuf, File)> {
    let new = beside(path, ".new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // What is made here is a regular file: nothing that was there before is opened.
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    Ok((new, file))
}

/// The path of a file with this at the end of its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests;
