//! Tells whether a connection could not be opened because the daemon has no file descriptor left. That
//! is no fault of the server, and no sign that it is gone.

use std::io;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

/// Whether an error says that the process or the system has no file descriptor left. The system's
/// resolver of names does not say so, therefore it is tried out for an error without a number.
pub(crate) fn are_used_up(error: &io::Error) -> bool {
    match error.raw_os_error() {
        Some(number) => says_so(Errno::from_raw_os_error(number)),
        None => eventfd(0, EventfdFlags::CLOEXEC).is_err_and(says_so),
    }
}

fn says_so(errno: Errno) -> bool {
    matches!(errno, Errno::MFILE | Errno::NFILE)
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustix::io::Errno;

    use super::are_used_up;

    #[test]
    fn only_want_of_descriptors_is_want_of_descriptors() {
        for (error, expected) in [
            (Errno::MFILE.into(), true),
            (Errno::NFILE.into(), true),
            (Errno::CONNREFUSED.into(), false),
            (io::Error::other("failed to look up a name"), false),
        ] {
            assert_eq!(are_used_up(&error), expected, "{error}");
        }
    }
}
