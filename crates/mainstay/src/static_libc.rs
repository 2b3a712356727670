//! Name resolution of a program that the C library is linked into.

#![expect(unsafe_code, reason = "no safe function tells the C library where to look names up")]

use std::ffi::{CStr, c_char, c_int};

unsafe extern "C" {
    /// Replaces the line of `/etc/nsswitch.conf` for one database (`nss.h` of glibc).
    fn __nss_configure_lookup(database: *const c_char, line: *const c_char) -> c_int;
}

/// What is looked up, and where. glibc has these sources built in.
const LOOKUPS: [(&CStr, &CStr); 3] =
    [(c"hosts", c"files dns"), (c"passwd", c"files"), (c"group", c"files")];

/// Has hosts looked up in `/etc/hosts` and by DNS, and users in `/etc/passwd`, whatever `/etc/nsswitch.conf`
/// says. For any other source, glibc would load a library of the machine, which expects the C library of the
/// machine and may crash.
///
/// To be called before anything is looked up, and before there are other threads.
pub(crate) fn look_names_up_without_libraries() {
    for (database, line) in LOOKUPS {
        // SAFETY: both are strings that end with a null byte and live forever. The function copies what it
        // keeps. It fails only for an unknown database or without memory; then `/etc/nsswitch.conf` goes on to
        // hold.
        let _ = unsafe { __nss_configure_lookup(database.as_ptr(), line.as_ptr()) };
    }
}
