//! File descriptors that are kept for the operator.
//!
//! When clients and servers have used up the descriptors of the process, the command socket could not
//! accept a connection, and nobody could see why. So some are held back, and given up for it.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustix::io::Errno;

/// Descriptors in reserve: a few commands at once, and the files of `/proc` that their answers need.
const FILES: usize = 16;

/// The reserve: open files that serve no other purpose.
#[derive(Debug, Default)]
pub(crate) struct FileReserve {
    files: Mutex<Vec<File>>,
    /// Whether descriptors were given up and not taken back yet.
    given_up: AtomicBool,
}

// === impl FileReserve ===

impl FileReserve {
    /// Gives the descriptors up if `error` says that there are none left. Returns whether it did.
    pub(crate) fn give_up(&self, error: &io::Error) -> bool {
        if !is_exhausted(error) {
            return false;
        }
        self.given_up.store(true, Ordering::Release);
        !std::mem::take(&mut *self.files.lock()).is_empty()
    }

    /// Takes descriptors back, as many as there are. Costs nothing while the reserve is complete.
    #[expect(clippy::disallowed_methods, reason = "no disk is behind /dev/null")]
    pub(crate) fn fill(&self) {
        let mut files = self.files.lock();
        while files.len() < FILES {
            let Ok(file) = File::open("/dev/null") else { return };
            files.push(file);
        }
        self.given_up.store(false, Ordering::Release);
    }

    /// Whether the operator may need the next descriptor.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }
}

/// Whether the process or the system has no descriptor left.
fn is_exhausted(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| code == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustix::io::Errno;

    use super::{FILES, FileReserve};

    #[test]
    fn the_reserve_is_given_up_for_want_of_descriptors_only() {
        let reserve = FileReserve::default();
        reserve.fill();
        let held = || reserve.files.lock().len();
        assert!(!reserve.give_up(&io::Error::from(Errno::CONNABORTED)));
        assert_eq!((held(), reserve.is_given_up()), (FILES, false));
        assert!(reserve.give_up(&io::Error::from(Errno::MFILE)));
        assert_eq!((held(), reserve.is_given_up()), (0, true));
        assert!(!reserve.give_up(&io::Error::from(Errno::NFILE)), "there is nothing left");
        reserve.fill();
        assert_eq!((held(), reserve.is_given_up()), (FILES, false));
    }
}
