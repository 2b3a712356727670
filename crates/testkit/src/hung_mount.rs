//! A mount that hangs: every access waits until the mount is removed.
//!
//! It is a FUSE file system whose server answers only the first request, like a network mount whose
//! server is gone.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

/// The mount. Dropping it lets go of everybody who waits.
pub struct HungMount {
    /// None after it was closed.
    device: Option<File>,
    folder: TempDir,
}

/// The number of the kernel's first request, and how long its header is; see `linux/fuse.h`.
const INIT: u32 = 26;
const HEADER_BYTES: usize = 40;
/// The version that the answer speaks, by its major and minor number.
const VERSION: (u32, u32) = (7, 23);
const ANSWER_BYTES: usize = 16 + 64;
/// The kernel insists on room for this much.
const REQUEST_BYTES_MAX: usize = 64 << 10;

impl HungMount {
    /// Mounts it. None when there is no `/dev/fuse` or the user may not mount, which is printed on
    /// standard error.
    ///
    /// # Panics
    ///
    /// When the mount does not hang as it should.
    #[must_use]
    pub fn try_new() -> Option<Self> {
        match Self::mount() {
            Ok(mounted) => Some(mounted),
            Err(error) => {
                use io::ErrorKind::{NotFound, PermissionDenied};
                assert!(matches!(error.kind(), NotFound | PermissionDenied), "{error}");
                let _ = writeln!(io::stderr(), "SKIPPED: no mount that hangs can be made: {error}");
                None
            }
        }
    }

    fn mount() -> io::Result<Self> {
        let mut device = File::options().read(true).write(true).open("/dev/fuse")?;
        let folder = tempfile::Builder::new().prefix("mainstay-hung-").tempdir()?;
        let options =
            format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
        let options = CString::new(options).map_err(io::Error::other)?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("mainstay-hung", folder.path(), "fuse", flags, Some(options.as_c_str()))?;
        greet(&mut device)?;
        Ok(Self { device: Some(device), folder })
    }

    /// The mount point. Accessing it hangs.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path below it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for HungMount {
    fn drop(&mut self) {
        // Without a server, the kernel refuses all waiting and later requests.
        self.device = None;
        let _ = unmount(self.folder.path(), UnmountFlags::DETACH);
    }
}

/// Answers the first request, so that the kernel sends others.
fn greet(device: &mut File) -> io::Result<()> {
    let mut request = vec![0; REQUEST_BYTES_MAX];
    let length = device.read(&mut request)?;
    let field = |at: usize| request.get(at..at + 4).and_then(|field| field.try_into().ok());
    let opcode = field(4).map(u32::from_ne_bytes);
    if length < HEADER_BYTES || opcode != Some(INIT) {
        return Err(io::Error::other("the kernel begins with another request"));
    }
    let mut answer = Vec::with_capacity(ANSWER_BYTES);
    answer.extend((ANSWER_BYTES as u32).to_ne_bytes());
    answer.extend(0_u32.to_ne_bytes());
    answer.extend(&request[8..16]);
    answer.extend(VERSION.0.to_ne_bytes());
    answer.extend(VERSION.1.to_ne_bytes());
    answer.resize(ANSWER_BYTES, 0);
    device.write_all(&answer)
}
