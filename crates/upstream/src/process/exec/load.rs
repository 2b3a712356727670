//! The last step: this process becomes the program.
//!
//! By the system call itself and not by `Command::exec`, because the C library's `execvp` behind that
//! hands whatever the kernel can't load to a shell.
#![expect(unsafe_code, reason = "no safe function replaces a process without trying a shell")]

use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::plan::Rlimits;

/// Replaces this process by the program, with these arguments (the first is its name) and this
/// environment. Returns only on failure.
pub(super) fn load(
    path: &Path,
    arguments: &[String],
    environment: Vec<(OsString, OsString)>,
    rlimits: Rlimits,
) -> io::Error {
    // The limits last, so that they do not concern this program.
    match Words::new(path, arguments, environment).and_then(|words| set(rlimits).map(|()| words)) {
        Ok(words) => words.load(),
        Err(error) => error,
    }
}

fn set(rlimits: Rlimits) -> io::Result<()> {
    let Rlimits { data_bytes, processes } = rlimits;
    for (resource, max) in [(Resource::Data, data_bytes), (Resource::Nproc, processes)] {
        if max.is_some() {
            // Not above what the daemon itself may have.
            let hard = getrlimit(resource).maximum;
            let max = max.min(hard.or(max));
            setrlimit(resource, Rlimit { current: max, maximum: max })?;
        }
    }
    Ok(())
}

/// Arguments for the kernel, each ended by a zero byte.
struct Words {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Words {
    fn new(
        path: &Path,
        arguments: &[String],
        environment: Vec<(OsString, OsString)>,
    ) -> io::Result<Self> {
        let variable = |(name, value): (OsString, OsString)| {
            let mut entry = name.into_vec();
            entry.push(b'=');
            entry.extend(value.into_vec());
            CString::new(entry)
        };
        Ok(Self {
            path: CString::new(path.as_os_str().to_owned().into_vec())?,
            arguments: arguments
                .iter()
                .map(|one| CString::new(&**one))
                .collect::<Result<_, _>>()?,
            environment: environment.into_iter().map(variable).collect::<Result<_, _>>()?,
        })
    }

    fn load(&self) -> io::Error {
        let pointers = |words: &[CString]| {
            let all = words.iter().map(|word| word.as_ptr());
            all.chain(std::iter::once(std::ptr::null())).collect::<Vec<_>>()
        };
        let (arguments, environment) = (pointers(&self.arguments), pointers(&self.environment));
        // SAFETY: both lists end with a null pointer and point into `self`, which outlives the calls;
        // restoring the default of a signal installs no handler.
        unsafe {
            // Rust's runtime ignores SIGPIPE, and an ignored signal stays ignored in the program.
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            libc::execve(self.path.as_ptr(), arguments.as_ptr(), environment.as_ptr());
        }
        io::Error::last_os_error()
    }
}
