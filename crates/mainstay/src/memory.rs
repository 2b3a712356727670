//! The memory allocator: mimalloc for small blocks, the system for others.
//!
//! A call allocates some thirty small blocks, often on one thread and freed on another, which
//! mimalloc does without a lock. But mimalloc keeps the memory of big answers, and a daemon runs
//! for months. So big blocks come from the system, which maps each of them separately and unmaps it
//! when it is freed.
//!
//! Buffers of connections are in between. A burst leaves a few of them alive among thousands that are
//! free, and mimalloc keeps 64 KiB for each that is alive. The system can give back every free page between
//! blocks that are alive, so these come from the system, too.
//!
//! mimalloc's pages belong to threads, and only their thread gives empty ones back. A thread that sleeps
//! keeps them, and those that other threads have emptied meanwhile. So after memory was freed each worker
//! is told to give back what is free ([`collect`], `compose::release`).

#![expect(
    unsafe_code,
    reason = "an allocator can't be written, and mallopt, malloc_trim and mi_collect not called, without"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::NonNull;

use mimalloc::MiMalloc;

/// Takes small blocks from mimalloc and others from the system. The size in a block's layout says
/// which.
pub(crate) struct Allocator;

/// The smallest block that comes from the system: the first buffer of a connection has this size, and a
/// small call allocates no such block.
const SYSTEM_BYTES_MIN: usize = 8 << 10;

/// The smallest block that the system maps separately. Mapping one costs little compared to filling it, and
/// most answers are far smaller.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES_MIN: usize = 256 << 10;

fn is_of_system(size: usize) -> bool {
    size >= SYSTEM_BYTES_MIN
}

// SAFETY: each block goes back to where it came from, since its layout, which the caller gives again,
// says where that was; all else is as the two allocators have it.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, which is the same for both.
        unsafe {
            if is_of_system(layout.size()) { System.alloc(layout) } else { MiMalloc.alloc(layout) }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        unsafe {
            if is_of_system(layout.size()) {
                System.alloc_zeroed(layout)
            } else {
                MiMalloc.alloc_zeroed(layout)
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: a block of this layout came from the same of the two.
        unsafe {
            if is_of_system(layout.size()) {
                System.dealloc(block, layout);
            } else {
                MiMalloc.dealloc(block, layout);
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: a block that stays with the one it came from is that one's to resize. One that moves
        // is copied as far as both go, into a block of its own, before it is given back.
        unsafe {
            match (is_of_system(layout.size()), is_of_system(size)) {
                (false, false) => MiMalloc.realloc(block, layout, size),
                (true, true) => System.realloc(block, layout, size),
                _ => {
                    let new = Layout::from_size_align_unchecked(size, layout.align());
                    let moved = self.alloc(new);
                    if let Some(moved) = NonNull::new(moved) {
                        moved.as_ptr().copy_from_nonoverlapping(block, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                    moved
                }
            }
        }
    }
}

unsafe extern "C" {
    /// mimalloc's, which the crate `mimalloc` links and does not declare. Gives the calling thread's empty
    /// pages back to the arenas, and if forced what is free in the arenas to the system.
    fn mi_collect(force: bool);
}

/// Gives back to the system what the calling thread holds for small blocks and does not use, and all free
/// pages of the system's own allocator. Takes some microseconds for each megabyte.
pub(crate) fn collect() {
    // SAFETY: the function may be called by any thread at any time, and touches only pages of the calling
    // thread and free memory. Its signature is that of `mimalloc.h`.
    unsafe { mi_collect(true) }
    // SAFETY: the function may be called by any thread at any time (malloc_trim(3)): it takes the locks of
    // the allocator, and touches free memory only.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Fixes the size from which the system maps blocks. Call it first, before there is a second
/// thread.
///
/// By default, the system raises that size whenever a mapped block is freed. After one big answer
/// the next ones would come from an arena, which seldom shrinks (mallopt(3), "dynamic mmap
/// threshold").
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn give_back_what_is_freed() {
    // SAFETY: `mallopt` takes two numbers, touches the allocator's parameters only, and there is no
    // other thread yet that could allocate meanwhile. The parameter exists since glibc 2.0.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN as libc::c_int);
    }
}

/// Other systems need no such setting.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn give_back_what_is_freed() {}

#[cfg(test)]
mod tests {
    use super::SYSTEM_BYTES_MIN;

    #[test]
    fn a_block_that_grows_past_the_border_and_back_keeps_what_is_in_it() {
        let mut block: Vec<u32> = Vec::new();
        for at in 0..SYSTEM_BYTES_MIN as u32 {
            block.push(at);
        }
        assert!(block.iter().enumerate().all(|(at, value)| at as u32 == *value));
        block.truncate(10);
        block.shrink_to_fit();
        assert_eq!(block, (0..10).collect::<Vec<_>>());
        block.reserve_exact(SYSTEM_BYTES_MIN);
        assert_eq!(block, (0..10).collect::<Vec<_>>());
    }
}
