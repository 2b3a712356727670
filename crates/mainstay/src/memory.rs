//! What the allocator does with memory that was freed.
//!
//! The system's allocator raises the size from which it maps memory by itself whenever such a block
//! is freed, so that after one big answer the next ones come from an arena, which seldom shrinks: a
//! daemon keeps twice its biggest answer for ever. With both sizes fixed, what one big answer
//! needed is given back as it is freed (mallopt(3), "dynamic mmap threshold").

/// Blocks from this size are mapped by themselves. Most answers are far smaller, and mapping a block
/// costs little beside filling it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES_MIN: libc::c_int = 256 << 10;

/// So much may lie free at the top of an arena before it is given back.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const FREE_BYTES_MAX: libc::c_int = 1 << 20;

/// To be called first, before there is a second thread.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "no safe crate wraps mallopt")]
pub(crate) fn give_back_what_is_freed() {
    // SAFETY: `mallopt` takes two numbers, touches the allocator's parameters only, and there is no
    // other thread yet that could allocate meanwhile. Both parameters exist since glibc 2.0.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
        libc::mallopt(libc::M_TRIM_THRESHOLD, FREE_BYTES_MAX);
    }
}

/// Other allocators do so by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn give_back_what_is_freed() {}
