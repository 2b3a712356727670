//! Reads and replaces the files of the state folder. Only regular files are read: a FIFO or a device in
//! place of one causes an error at once and is never waited for.

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

/// The time after which a disk counts as slow.
pub(crate) const SLOW_AFTER: Duration = Duration::from_secs(5);

/// The largest number of unreadable files that are kept for each file.
pub(crate) const ASIDE_MAX: usize = 9;

/// Reads a regular file of at most `bytes_max` bytes. Returns `None` if it does not exist.
///
/// # Errors
/// Returns an error when the path is not a regular file, the file is larger, or it can't be read.
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

/// Replaces a file atomically by one with `parts` as its content, readable and writable by its owner only.
/// After a crash, also of the machine, either the old or the new file is there. Returns the new file, open
/// for writing at its end.
///
/// The new file is first written as `FILE.new`. A file of that name, which an earlier daemon may have left
/// half written, is removed before; a folder of that name is an error.
///
/// # Errors
/// Returns an error when the new file can't be written, synced or renamed.
pub(crate) fn replace(path: &Path, parts: &[&[u8]]) -> io::Result<File> {
    replace_with(path, parts, 0o600)
}

/// Replaces a file as [`replace`] does, but readable by everyone. For files without secrets, which another
/// user than the daemon's may write.
///
/// # Errors
/// Returns an error when the new file can't be written, synced or renamed.
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

/// Reads the first `bytes` bytes of a file, or all if it is shorter. Returns `None` if it does not exist,
/// and no bytes if it is not a regular file.
///
/// # Errors
/// Returns an error when the file can't be read.
pub(crate) fn head(path: &Path, bytes: usize) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let Some(file) = open(path)? else { return Ok(None) };
    if file.metadata()?.is_file() {
        file.take(bytes as u64).read_to_end(&mut head)?;
    }
    Ok(Some(head))
}

/// Replaces a file as [`replace`] does, without syncing it. After a crash of the machine it may be empty.
///
/// # Errors
/// Returns an error when the new file can't be written or renamed.
pub(crate) fn replace_unsynced(path: &Path, content: &[u8]) -> io::Result<()> {
    let (new, mut file) = create_beside(path, 0o600)?;
    file.write_all(content)?;
    fs::rename(new, path)
}

/// Creates an empty file, readable and writable by its owner only, unless the path exists.
///
/// # Errors
/// Returns an error when the file can't be created.
pub(crate) fn create_empty(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Returns whether the path is a regular file or does not exist.
///
/// # Errors
/// Returns an error when the path can't be examined.
pub(crate) fn is_regular_or_absent(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(meta.is_file()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Returns whether `file` is the file at this path. `false` if nothing is there.
///
/// # Errors
/// Returns an error when the path or the file can't be examined.
pub(crate) fn is_at(path: &Path, file: &File) -> io::Result<bool> {
    let open = file.metadata()?;
    Ok(identity(path)? == Some((open.dev(), open.ino())))
}

/// Returns the device and inode numbers of the file at a path. `None` if nothing is there.
///
/// # Errors
/// Returns an error when the path can't be examined.
pub(crate) fn identity(path: &Path) -> io::Result<Option<(u64, u64)>> {
    match fs::metadata(path) {
        Ok(meta) => Ok(Some((meta.dev(), meta.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Renames a file to `FILE.unreadable`, so that it is preserved for inspection. Returns the new path. If
/// that name is taken, the name is `FILE.unreadable.2`, and so on up to 9.
///
/// # Errors
/// Returns an error when the file can't be renamed or all nine names are taken.
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = free_beside(path)?;
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// Renames a file that belongs to one that was set aside.
///
/// # Errors
/// Returns an error when the file can't be renamed.
pub(crate) fn set_aside_as(path: &Path, aside: &Path) -> io::Result<()> {
    fs::rename(path, aside)
}

/// Copies a file that is about to be replaced to the path that [`set_aside`] would choose. Returns that
/// path.
///
/// # Errors
/// Returns an error when the file can't be copied or all nine names are taken.
pub(crate) fn copy_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = free_beside(path)?;
    fs::copy(path, &aside)?;
    Ok(aside)
}

/// Returns the first free path for a file to set aside.
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

/// Returns the reason to treat a write as failed: the disk has not answered since `busy_since`, and that is
/// more than five seconds ago.
pub(crate) fn slow(path: &Path, busy_since: Instant) -> Option<String> {
    let (took, path) = (busy_since.elapsed(), path.display());
    (took > SLOW_AFTER)
        .then(|| format!("{path}: the disk has not answered for {} s", took.as_secs()))
}

/// Opens anything for reading. Returns `None` if it does not exist. A link to nothing exists: a new file in
/// its place would go unnoticed by whoever set the link.
fn open(path: &Path) -> io::Result<Option<File>> {
    // Without O_NONBLOCK, opening a FIFO waits for a writer.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
    match options.open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink()) {
                true => Err(io::Error::new(io::ErrorKind::NotFound, "it is a dangling link")),
                false => Ok(None),
            }
        }
        Err(error) => Err(error),
    }
}

/// Creates the file that is to replace another.
fn create_beside(path: &Path, mode: u32) -> io::Result<(PathBuf, File)> {
    let new = beside(path, ".new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // `create_new` guarantees a regular file: nothing that existed before is opened.
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    Ok((new, file))
}

/// Returns the path with `suffix` appended to its file name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests;
