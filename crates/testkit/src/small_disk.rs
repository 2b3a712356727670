//! A disk of a few megabytes: it can be full, and read-only.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
use tempfile::TempDir;

/// A file system in memory, mounted. Dropping it unmounts it.
pub struct SmallDisk {
    folder: TempDir,
}

/// Room for a daemon's state, and filled within moments.
const BYTES: usize = 8 << 20;
const BALLAST: &str = "ballast";
const BLOCK_BYTES: usize = 4096;

// === impl SmallDisk ===

impl SmallDisk {
    /// Mounts it. None where this user may not mount, which is said on standard error.
    ///
    /// # Panics
    /// When it can't be mounted for another reason.
    #[must_use]
    pub fn try_new() -> Option<Self> {
        match Self::mount() {
            Ok(mounted) => Some(mounted),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
                let _ = writeln!(io::stderr(), "SKIPPED: no small disk can be mounted: {error}");
                None
            }
        }
    }

    fn mount() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("mainstay-small-").tempdir()?;
        let options = options()?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("mainstay-small", folder.path(), "tmpfs", flags, Some(options.as_c_str()))?;
        Ok(Self { folder })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves no room for another block.
    ///
    /// # Panics
    /// When it can't be filled.
    pub fn fill(&self) {
        let mut ballast = File::create(self.path().join(BALLAST)).unwrap();
        loop {
            match ballast.write_all(&[0; BLOCK_BYTES]) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Leaves room for this many blocks of 4096 bytes, on a disk that was filled.
    ///
    /// # Panics
    /// When it was not filled.
    pub fn leave_blocks(&self, count: usize) {
        let ballast = File::options().write(true).open(self.path().join(BALLAST)).unwrap();
        let bytes = ballast.metadata().unwrap().len();
        ballast.set_len(bytes - (count * BLOCK_BYTES) as u64).unwrap();
    }

    /// Makes room again.
    ///
    /// # Panics
    /// When it was not filled.
    pub fn free(&self) {
        std::fs::remove_file(self.path().join(BALLAST)).unwrap();
    }

    /// Takes no more changes.
    ///
    /// # Panics
    /// When a file on it is open for writing.
    pub fn make_read_only(&self) {
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
        mount_remount(self.path(), flags, options().unwrap().as_c_str()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = unmount(self.folder.path(), UnmountFlags::DETACH);
    }
}

fn options() -> io::Result<CString> {
    CString::new(format!("size={BYTES},mode=700")).map_err(io::Error::other)
}
