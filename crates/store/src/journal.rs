//! The journal's file: a line that names the format, then one record a line, only ever added to or
//! replaced as a whole.

#![expect(clippy::disallowed_methods, reason = "called on the thread of a store")]

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::file;
use crate::record::Record;

/// The open file, to add to.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// How much was in it when it was written as a whole, and how much is in it now.
    bytes_whole: u64,
    bytes: u64,
}

/// How a file was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    Whole,
    /// Its end is missing: the daemon or the machine went down while it was written.
    Torn {
        bytes: usize,
    },
    /// Lines in its midst are not as they were written.
    Damaged {
        lines: usize,
    },
    /// Another format, or no journal at all.
    Foreign,
    /// Larger than any that was written here.
    TooLarge,
}

pub(crate) const FILE: &str = "sessions.journal";
/// What the first line begins with.
pub(crate) const NAME: &str = "mainstay sessions";
pub(crate) const FORMAT: u64 = 1;
/// The first line of every file of this format.
const HEADER: &[u8] = b"mainstay sessions 1\n";
/// A file that has this much added is written anew, if it has also grown fivefold.
const ADDED_BYTES_MIN: u64 = 1 << 20;
/// No state of sessions comes near it; memory is spared from a file that is something else.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Reads a file; `each` gets the records that are as they were written, in their order.
pub(crate) fn read(path: &Path, each: impl FnMut(Record)) -> io::Result<Found> {
    match file::read(path, FILE_BYTES_MAX) {
        Ok(Some(bytes)) => Ok(replay(&bytes, each)),
        Ok(None) => Ok(Found::Nothing),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Ok(Found::TooLarge),
        Err(error) => Err(error),
    }
}

/// Reads the bytes of a file.
pub(crate) fn replay(bytes: &[u8], mut each: impl FnMut(Record)) -> Found {
    let Some(mut rest) = bytes.strip_prefix(HEADER) else {
        let torn = HEADER.starts_with(bytes);
        return if torn { Found::Torn { bytes: bytes.len() } } else { Found::Foreign };
    };
    let (mut damaged, mut doubtful, mut doubtful_bytes) = (0, 0, 0);
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, after) = end.map_or((rest, rest.len()), |end| (&rest[..end], end + 1));
        match Record::read(line).filter(|_| end.is_some()) {
            Some(record) => {
                each(record);
                damaged += std::mem::take(&mut doubtful);
                doubtful_bytes = 0;
            }
            None => {
                doubtful += 1;
                doubtful_bytes += after;
            }
        }
        rest = &rest[after..];
    }
    match (damaged, doubtful_bytes) {
        (0, 0) => Found::Whole,
        (0, bytes) => Found::Torn { bytes },
        (lines, _) => Found::Damaged { lines },
    }
}

// === impl Journal ===

impl Journal {
    /// Replaces the file by one with these records: a crash leaves the old one or the new one.
    pub(crate) fn replace(path: &Path, lines: &[u8]) -> io::Result<Self> {
        let file = file::replace(path, &[HEADER, lines])?;
        let bytes = (HEADER.len() + lines.len()) as u64;
        Ok(Self { path: path.to_owned(), file, bytes_whole: bytes, bytes })
    }

    /// # Errors
    /// When the file is not in its place any more: whatever is added to it then is lost.
    pub(crate) fn check(&self) -> io::Result<()> {
        match file::is_at(&self.path, &self.file)? {
            true => Ok(()),
            false => Err(io::Error::other("the file was removed or replaced by another program")),
        }
    }

    /// Adds records: from here on they outlive this process, and the machine once [`Self::sync`] has
    /// returned. After an error nobody knows how much of them is there, and the file has to be
    /// replaced.
    pub(crate) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.write_all(lines)?;
        self.bytes += lines.len() as u64;
        Ok(())
    }

    /// Brings what was added to the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Whether most of it is of the past.
    pub(crate) fn is_bloated(&self) -> bool {
        let added = self.bytes - self.bytes_whole;
        added > ADDED_BYTES_MIN && added > 4 * self.bytes_whole
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests;
