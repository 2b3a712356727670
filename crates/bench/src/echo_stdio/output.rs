//! Standard output, shared by two threads.

use std::io;
use std::sync::Mutex;

use rustix::stdio;

/// Standard output; whole lines only, so the threads can't cut each other short.
#[derive(Debug, Default)]
pub(super) struct Output {
    turn: Mutex<()>,
}

// === impl Output ===

impl Output {
    /// Writes all bytes and waits for the reader as long as needed: a gateway must cope with a
    /// server that stops reading because its output is not read.
    pub(super) fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        while !bytes.is_empty() {
            let written = rustix::io::retry_on_intr(|| rustix::io::write(stdio::stdout(), bytes))?;
            bytes = &bytes[written..];
        }
        Ok(())
    }
}
