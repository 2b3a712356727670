//! File descriptors that are kept for the operator, and for refusals.
//!
//! When clients and servers have used up the descriptors of the process, the command socket could not
//! accept a connection, and nobody could see why. So some are held back, and given up for it. A few more
//! are lent for single connections over TCP: these are refused at once, except for the question whether
//! the process lives, instead of waiting in the queue of the system.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustix::io::Errno;

use super::Serving;

/// Descriptors in reserve: a few commands at once, and the files of `/proc` that their answers need.
const FILES: usize = 16;

/// Descriptors for connections that are refused for want of descriptors.
const LOANS: usize = 4;

/// The reserve: open files that serve no other purpose.
#[derive(Debug, Default)]
pub(crate) struct FileReserve {
    files: Mutex<Vec<File>>,
    /// Whether descriptors were given up and not taken back yet.
    given_up: AtomicBool,
    /// Whether taking them back was tried in vain: the operator has had the time to use them.
    is_short: AtomicBool,
    loans: Mutex<Loans>,
}

#[derive(Debug, Default)]
struct Loans {
    files: Vec<File>,
    lent: usize,
}

/// A descriptor that was closed so that a connection can have it. Dropping the value takes one back.
pub(crate) struct Loan(Arc<Serving>);

// === impl FileReserve ===

impl FileReserve {
    /// Gives the descriptors up if `error` says that there are none left. Returns whether it did.
    pub(crate) fn give_up(&self, error: &io::Error) -> bool {
        if !is_exhausted(error) {
            return false;
        }
        self.is_short.store(false, Ordering::Release);
        self.given_up.store(true, Ordering::Release);
        !std::mem::take(&mut *self.files.lock()).is_empty()
    }

    /// Takes descriptors back, as many as there are. Costs nothing while the reserve is complete.
    pub(crate) fn fill(&self) {
        let is_full = fill(&mut self.files.lock(), FILES);
        self.is_short.store(!is_full, Ordering::Release);
        if is_full {
            self.given_up.store(false, Ordering::Release);
        }
        self.fill_loans(0);
    }

    /// Whether connections of clients are accepted on loans only, because the descriptors that were given
    /// up can't be taken back.
    pub(crate) fn is_short(&self) -> bool {
        self.is_short.load(Ordering::Acquire)
    }

    /// Closes a descriptor for a connection that is about to be accepted. Returns whether there was one.
    fn lend(&self) -> bool {
        let mut loans = self.loans.lock();
        let lent = loans.files.pop().is_some();
        loans.lent += usize::from(lent);
        lent
    }

    /// Takes descriptors for loans, of which so many were returned.
    fn fill_loans(&self, returned: usize) {
        let mut loans = self.loans.lock();
        loans.lent -= returned;
        let wanted = LOANS - loans.lent;
        fill(&mut loans.files, wanted);
    }

    /// Whether the operator may need the next descriptor.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }
}

// === impl Loan ===

impl Loan {
    /// Closes a descriptor for the next connection, if there is one left for that.
    pub(crate) fn take(serving: &Arc<Serving>) -> Option<Self> {
        serving.reserve.lend().then(|| Self(serving.clone()))
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.0.reserve.fill_loans(1);
    }
}

// === helpers ===

/// Opens files until there are as many as wanted. Returns whether there are.
#[expect(clippy::disallowed_methods, reason = "no disk is behind /dev/null")]
fn fill(files: &mut Vec<File>, wanted: usize) -> bool {
    while files.len() < wanted {
        let Ok(file) = File::open("/dev/null") else { return false };
        files.push(file);
    }
    true
}

/// Whether the process or the system has no descriptor left.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| code == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustix::io::Errno;

    use super::{FILES, FileReserve, LOANS};

    #[test]
    fn a_few_descriptors_are_lent_at_a_time() {
        let reserve = FileReserve::default();
        assert!(!reserve.lend(), "there are none before the reserve is filled");
        reserve.fill();
        let lent = (0..LOANS + 2).filter(|_| reserve.lend()).count();
        assert_eq!(lent, LOANS);
        reserve.fill();
        assert!(!reserve.lend(), "all are lent");
        reserve.fill_loans(1);
        assert!(reserve.lend());
        assert!(!reserve.lend());
    }

    #[test]
    fn the_reserve_is_given_up_for_want_of_descriptors_only() {
        let reserve = FileReserve::default();
        reserve.fill();
        let held = || reserve.files.lock().len();
        assert!(!reserve.give_up(&io::Error::from(Errno::CONNABORTED)));
        assert_eq!((held(), reserve.is_given_up()), (FILES, false));
        assert!(reserve.give_up(&io::Error::from(Errno::MFILE)));
        assert_eq!((held(), reserve.is_given_up()), (0, true));
        assert!(!reserve.is_short(), "the operator uses them now");
        assert!(!reserve.give_up(&io::Error::from(Errno::NFILE)), "there is nothing left");
        reserve.fill();
        assert_eq!((held(), reserve.is_given_up()), (FILES, false));
    }
}
