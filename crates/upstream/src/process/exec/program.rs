//! Finds the program of a command.

use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use mainstay_model::program_file::{HEAD_BYTES, fault_of};

use super::plan::{Cause, Failure};

/// A program that was found.
pub(super) struct Program {
    /// The path for the kernel, relative to the working folder.
    pub(super) path: PathBuf,
    /// The path for messages.
    shown: String,
}

/// The search path of servers without a `PATH`.
const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// The error of an executable file in no format that the kernel knows.
const NOT_A_PROGRAM: i32 = rustix::io::Errno::NOEXEC.raw_os_error();

enum Kind {
    Executable,
    /// A folder, or a file without permission to execute it.
    Other,
    Missing,
}

/// Looks for the program where a shell in the server's environment and working folder would, so
/// that the error can name what is missing. `cwd`, the present working folder, is only used in
/// messages.
pub(super) fn find(name: &str, cwd: Option<&str>) -> Result<Program, Failure> {
    let not_found = || Failure::NotFound { program: name.to_owned() };
    let program = |path: PathBuf| {
        let shown = Path::new(cwd.unwrap_or_default()).join(&path).display().to_string();
        Program { path, shown }
    };
    if name.contains('/') {
        let found = program(PathBuf::from(name));
        return match kind_of(&found.path) {
            Kind::Executable => Ok(found),
            Kind::Other => Err(Failure::NotExecutable { path: found.shown }),
            Kind::Missing => Err(not_found()),
        };
    }
    let mut found_other = None;
    let folders = std::env::var_os("PATH").unwrap_or_else(|| PATH_DEFAULT.into());
    for folder in std::env::split_paths(&folders) {
        // An empty folder is the working folder; without a `/` the kernel's `PATH` would be meant.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
        let path = folder.join(name);
        match kind_of(&path) {
            Kind::Executable if !name.is_empty() => return Ok(program(path)),
            Kind::Other if path.is_file() => found_other = Some(path),
            _ => {}
        }
    }
    Err(found_other
        .map_or_else(not_found, |path| Failure::NotExecutable { path: program(path).shown }))
}

fn kind_of(path: &Path) -> Kind {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => Kind::Executable,
        Ok(_) => Kind::Other,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Kind::Other,
        Err(_) => Kind::Missing,
    }
}

/// The first bytes of a file. None if it can't be read.
fn head_of(path: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    std::fs::File::open(path).ok()?.take(HEAD_BYTES as u64).read_to_end(&mut head).ok()?;
    Some(head)
}

// === impl Program ===

impl Program {
    /// Explains why the kernel refused to load the program, which existed a moment ago.
    pub(super) fn explain(self, error: &io::Error) -> Failure {
        let path = self.shown;
        match error.kind() {
            io::ErrorKind::NotFound => Failure::NoInterpreter { path },
            io::ErrorKind::PermissionDenied => Failure::NotExecutable { path },
            _ if error.raw_os_error() == Some(NOT_A_PROGRAM) => {
                let fault = head_of(&self.path).and_then(|head| fault_of(&head));
                Failure::NotAProgram {
                    path,
                    fault: fault.as_ref().map(ToString::to_string),
                    remedy: fault.as_ref().map(|fault| fault.remedy().to_owned()),
                }
            }
            _ => Failure::Start { path, cause: Cause::of(error) },
        }
    }
}
