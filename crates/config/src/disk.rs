//! The disk access of checks, as a trait, so that tests need no disk.

#![expect(clippy::disallowed_methods, reason = "the configuration is read before the daemon runs")]

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::time::Duration;

use mainstay_model::program_file::{HEAD_BYTES, ProgramFault, fault_of, interpreters};
use rustix::fs::OFlags;

/// The disk access that checking a configuration needs.
pub trait Disk {
    /// Whether the path is an executable regular file. True when unknown, so that there is no
    /// warning without a reason.
    fn is_program(&self, path: &Path) -> bool;

    /// Why the machine can't run what is at the path. None if it can, if nothing is there, or if that is not
    /// known. `folders` is the `PATH` of the server.
    fn program_fault(&self, path: &Path, folders: &str) -> Option<ProgramFault> {
        let _ = (path, folders);
        None
    }

    /// Whether the path is a folder. True when unknown.
    fn is_folder(&self, path: &Path) -> bool;

    /// Reads a file that holds a secret.
    ///
    /// # Errors
    ///
    /// When the file can't be read, is not a regular file or not UTF-8, or is larger than
    /// [`SECRET_BYTES_MAX`].
    fn secret(&self, path: &Path) -> io::Result<SecretFile>;
}

/// A secret is a password, a token or a key; a certificate chain fits too. Anything larger is
/// another file.
pub const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Longest look at the disk; without a hanging mount it takes microseconds.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// The content of a file that holds a secret.
pub struct SecretFile {
    pub text: String,
    /// Whether users other than the file's owner may read it.
    pub is_open_to_others: bool,
}

/// The disk of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

/// The disk as a daemon reads it: for secrets only. A daemon must not look for programs and
/// folders, since they may lie on a mount that hangs; the start of a server finds out, in a process
/// of its own.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SecretsOnly;

/// A disk where every program and folder exists, and no secret does.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoDisk;

// === impl RealDisk ===

impl Disk for RealDisk {
    fn is_program(&self, path: &Path) -> bool {
        look(path, is_executable)
    }

    fn program_fault(&self, path: &Path, folders: &str) -> Option<ProgramFault> {
        let folders = folders.to_owned();
        let find = move |path: &Path| {
            let meta = path.metadata().ok()?;
            if meta.is_dir() {
                return Some(ProgramFault::Folder);
            }
            if meta.is_file() && !is_executable(&meta) {
                return Some(ProgramFault::NotExecutable);
            }
            let head = head_of(path)?;
            // No kernel runs a text without being told how by the text.
            let fault = fault_of(&head).filter(|_| is_text(&head) || !runs_other_formats());
            fault.or_else(|| missing_interpreter(&head, &folders))
        };
        within_look(path, find).flatten()
    }

    fn is_folder(&self, path: &Path) -> bool {
        look(path, Metadata::is_dir)
    }

    fn secret(&self, path: &Path) -> io::Result<SecretFile> {
        use std::os::unix::fs::PermissionsExt;
        let file = open_regular(path)?;
        let meta = file.metadata()?;
        Ok(SecretFile {
            text: text_of(file, SECRET_BYTES_MAX)?,
            is_open_to_others: meta.permissions().mode() & 0o044 != 0,
        })
    }
}

// === impl SecretsOnly ===

impl Disk for SecretsOnly {
    fn is_program(&self, _: &Path) -> bool {
        true
    }

    fn is_folder(&self, _: &Path) -> bool {
        true
    }

    fn secret(&self, path: &Path) -> io::Result<SecretFile> {
        RealDisk.secret(path)
    }
}

// === impl NoDisk ===

impl Disk for NoDisk {
    fn is_program(&self, _: &Path) -> bool {
        true
    }

    fn is_folder(&self, _: &Path) -> bool {
        true
    }

    fn secret(&self, _: &Path) -> io::Result<SecretFile> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Whether the path's metadata passes `is_such`, as far as the disk answers in time.
fn look(path: &Path, is_such: impl FnOnce(&Metadata) -> bool + Send + 'static) -> bool {
    within_look(path, |path| path.metadata().is_ok_and(|meta| is_such(&meta))).unwrap_or(true)
}

/// What `find` finds at the path, unless that takes longer than [`LOOK_MAX`]. A mount that hangs only
/// blocks a thread of this function.
fn within_look<T: Send + 'static>(
    path: &Path,
    find: impl FnOnce(&Path) -> T + Send + 'static,
) -> Option<T> {
    let path = path.to_owned();
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let looking = std::thread::Builder::new().spawn(move || {
        // The receiver is gone after the deadline.
        let _ = tell.send(find(&path));
    });
    looking.ok()?;
    told.recv_timeout(LOOK_MAX).ok()
}

fn is_executable(meta: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    meta.is_file() && meta.permissions().mode() & 0o111 != 0
}

/// The fault of a script whose interpreter does not exist. `folders`: where `env` looks for it.
fn missing_interpreter(head: &[u8], folders: &str) -> Option<ProgramFault> {
    let is_there = |name: &str| match name.contains('/') {
        true => Path::new(name).exists(),
        false => {
            let mut files = folders.split(':').map(|folder| Path::new(folder).join(name));
            files.any(|file| file.metadata().is_ok_and(|meta| is_executable(&meta)))
        }
    };
    let mut names = interpreters(head).into_iter();
    names.find(|name| !is_there(name)).map(ProgramFault::MissingInterpreter)
}

/// The first bytes of a regular file. None if it can't be read: a program need not be readable.
fn head_of(path: &Path) -> Option<Vec<u8>> {
    use std::io::Read;
    // Checked before it is opened: opening a named pipe would wait for a writer.
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut head = Vec::new();
    File::open(path).ok()?.take(HEAD_BYTES as u64).read_to_end(&mut head).ok()?;
    Some(head)
}

fn is_text(head: &[u8]) -> bool {
    head.iter().all(|byte| !byte.is_ascii_control() || byte.is_ascii_whitespace())
}

/// Whether the kernel of this machine was told how to run other formats, by emulation for example.
fn runs_other_formats() -> bool {
    let entries = std::fs::read_dir("/proc/sys/fs/binfmt_misc").into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| name != "register" && name != "status")
}

/// The text of a file of at most this many bytes.
pub(crate) fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    text_of(File::open(path)?, bytes_max)
}

/// The same of a regular file, without waiting for a writer of anything else.
pub(crate) fn read_regular_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    text_of(open_regular(path)?, bytes_max)
}

/// Opens a regular file. Opening a named pipe would wait for a writer; opening some devices does something.
///
/// # Errors
/// When it is no regular file, and when it can't be opened.
pub fn open_regular(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let not_regular = || io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
    if !path.metadata()?.is_file() {
        return Err(not_regular());
    }
    // Another file may have taken its place since.
    let nonblock = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(nonblock).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

fn text_of(file: File, bytes_max: u64) -> io::Result<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {bytes_max} bytes"),
        ));
    }
    // The standard error would be silent about where; the text itself may be a secret.
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column =
            String::from_utf8_lossy(valid).chars().rev().take_while(|c| *c != '\n').count();
        let message = format!("it is not UTF-8 from line {line}, column {} on", column + 1);
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}
