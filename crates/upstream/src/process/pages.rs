//! Memory pages: the daemon uses small ones, and its servers what they would have without it.
//!
//! The daemon's memory is many small blocks. In transparent huge pages, a few blocks keep 2 MiB each,
//! which triples what a hundred idle servers cost.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::thread::{disable_transparent_huge_pages, transparent_huge_pages_are_disabled};

/// Whether this process gave up huge pages that its servers may have.
static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// Makes this process do without transparent huge pages. Children inherit that; the servers that it
/// starts get them back. Kernels that can't do this go on as before.
pub fn use_small_pages() {
    let had_huge = transparent_huge_pages_are_disabled().is_ok_and(|disabled| !disabled);
    if had_huge && disable_transparent_huge_pages(true).is_ok() {
        GIVEN_UP.store(true, Ordering::Relaxed);
    }
}

/// Whether servers must get huge pages back.
pub(super) fn are_given_up() -> bool {
    GIVEN_UP.load(Ordering::Relaxed)
}

/// Gives this process, which becomes a server, huge pages back.
pub(super) fn give_back() {
    // Without them, the program only runs a little slower.
    let _ = disable_transparent_huge_pages(false);
}
