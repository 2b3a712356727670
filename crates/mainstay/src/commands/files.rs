//! Changes files that belong to other programs or hold secrets: always with a backup, never half
//! written.

#![expect(clippy::disallowed_methods, reason = "a command of its own, which nobody else waits for")]

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// Only the owner may read and write.
pub(super) const PRIVATE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;

/// Copies a file to a backup beside it, with the same permissions. None when there is no file.
///
/// # Errors
///
/// When the copy can't be written.
pub(super) fn back_up(path: &Path, now: Timestamp) -> io::Result<Option<PathBuf>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mode = fs::metadata(path)?.permissions().mode() & 0o777;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let time = now.strftime("%Y%m%dT%H%M%SZ");
    for number in 1_u32.. {
        let tail = if number == 1 { String::new() } else { format!("-{number}") };
        let copy = path.with_file_name(format!("{name}.bak-{time}{tail}"));
        match create(&copy, mode, &text) {
            Ok(()) => return Ok(Some(copy)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Replaces a file's text in one step: readers see either the old text or the new one. The file
/// keeps its permissions, and a new one gets `mode`. A symbolic link stays one.
///
/// # Errors
///
/// When the file can't be written; it is unchanged then.
pub(super) fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mode = fs::metadata(&path).map_or(mode, |meta| meta.permissions().mode() & 0o777);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = create(&beside, mode, text.as_bytes()).and_then(|()| fs::rename(&beside, &path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Writes a new file that only its owner may read, in a folder that only its owner may enter.
///
/// # Errors
///
/// When the file exists or can't be written.
pub(super) fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(folder)?;
    }
    create(path, PRIVATE, secret.as_bytes())
}

/// Creates a file with exactly this mode, whatever the umask is.
fn create(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
    file.write_all(bytes)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use jiff::Timestamp;

    use super::{back_up, replace, write_secret};

    fn mode(path: &std::path::Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn copies_have_names_of_their_own_and_the_same_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let now = "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap();
        assert_eq!(back_up(&path, now).unwrap(), None);
        write_secret(&path, "one").unwrap();
        let first = back_up(&path, now).unwrap().unwrap();
        let second = back_up(&path, now).unwrap().unwrap();
        assert_eq!(first, folder.path().join("a.json.bak-20260102T030405Z"));
        assert_eq!(second, folder.path().join("a.json.bak-20260102T030405Z-2"));
        assert_eq!((mode(&first), fs::read_to_string(&first).unwrap()), (0o600, "one".to_owned()));
    }

    #[test]
    fn a_replaced_file_keeps_its_permissions_and_its_link() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("real"), folder.path().join("link"));
        replace(&path, "one", 0o640).unwrap();
        assert_eq!(mode(&path), 0o640);
        symlink(&path, &link).unwrap();
        replace(&link, "two", 0o600).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((mode(&path), fs::read_to_string(&path).unwrap()), (0o640, "two".to_owned()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_secret_is_nobody_elses_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets/a");
        write_secret(&path, "s").unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert!(write_secret(&path, "t").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "s");
    }
}
