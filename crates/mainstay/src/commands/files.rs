//! Changes files that belong to other programs or hold secrets: always with a backup, never half
//! written.

#![expect(clippy::disallowed_methods, reason = "a command of its own, which nobody else waits for")]

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// Only the owner may read and write.
pub(super) const PRIVATE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;

/// A regular file that is there, as far as a new file in its place has to be like it.
struct Present {
    mode: u32,
    owner: u32,
    group: u32,
}

/// Copies a file to a backup beside it, with the same permissions and owner. None when there is no file.
///
/// # Errors
///
/// When the copy can't be written, or the file is no regular one.
pub(super) fn back_up(path: &Path, now: Timestamp) -> io::Result<Option<PathBuf>> {
    let Some(present) = Present::at(path)? else { return Ok(None) };
    let text = fs::read(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let time = now.strftime("%Y%m%dT%H%M%SZ");
    for number in 1_u32.. {
        let tail = if number == 1 { String::new() } else { format!("-{number}") };
        let copy = path.with_file_name(format!("{name}.bak-{time}{tail}"));
        match create(&copy, present.mode, &text) {
            Ok(()) => {
                present.own(&copy);
                return Ok(Some(copy));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Replaces a file's text in one step: readers see either the old text or the new one. The file
/// keeps its permissions and its owner, and a new one gets `mode`. A symbolic link stays one.
///
/// # Errors
///
/// When the file can't be written, or is no regular one; it is unchanged then.
pub(super) fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let path = target(path);
    let present = Present::at(&path)?;
    let mode = present.as_ref().map_or(mode, |present| present.mode);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = create(&beside, mode, text.as_bytes()).and_then(|()| {
        if let Some(present) = present {
            present.own(&beside);
        }
        fs::rename(&beside, &path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// The folder of the file that a path leads to. It is made if it is not there.
pub(super) fn folder_of(path: &Path) -> io::Result<PathBuf> {
    let path = target(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    Ok(folder.to_owned())
}

/// The file that a path leads to. A link may lead to a file that is not there yet.
fn target(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| match fs::read_link(path) {
        Ok(to) => path.parent().unwrap_or(Path::new("")).join(to),
        Err(_) => path.to_owned(),
    })
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

// === impl Present ===

impl Present {
    /// None: nothing is there.
    fn at(path: &Path) -> io::Result<Option<Self>> {
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if !meta.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let (owner, group) = (meta.uid(), meta.gid());
        Ok(Some(Self { mode: meta.permissions().mode() & 0o777, owner, group }))
    }

    /// Gives a new file the same owner and group, as far as this user may.
    fn own(&self, file: &Path) {
        if chown(file, Some(self.owner), Some(self.group)).is_err() {
            let _ = chown(file, None, Some(self.group));
        }
    }
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
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
    use std::path::Path;

    use jiff::Timestamp;

    use super::{back_up, replace, write_secret};

    fn mode(path: &Path) -> u32 {
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
    fn what_is_no_regular_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let now = "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap();
        for path in [&*socket, folder.path(), Path::new("/dev/null")] {
            assert!(back_up(path, now).is_err() && replace(path, "x", 0o600).is_err());
            assert!(!path.is_file(), "{}", path.display());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_to_a_file_that_is_not_there_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink("later", &link).unwrap();
        replace(&link, "text", 0o600).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(folder.path().join("later")).unwrap(), "text");
    }

    #[test]
    fn the_file_of_another_user_stays_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_secret(&path, "one").unwrap();
        // Only root may give files away.
        if chown(&path, Some(12_345), Some(12_346)).is_err() {
            return;
        }
        let copy = back_up(&path, Timestamp::UNIX_EPOCH).unwrap().unwrap();
        replace(&path, "two", 0o644).unwrap();
        for file in [&path, &copy] {
            let meta = fs::metadata(file).unwrap();
            assert_eq!((meta.uid(), meta.gid(), mode(file)), (12_345, 12_346, 0o600));
        }
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
