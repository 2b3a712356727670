//! The file of the journal: a line with the format, then one record per line. Lines are appended, or the
//! file is replaced as a whole.

#![expect(clippy::disallowed_methods, reason = "called on the thread of a store")]

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::file;
use crate::record::Record;

/// Appends to the open file.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// The size of the file when it was last replaced, and its size now, in bytes.
    bytes_whole: u64,
    bytes: u64,
}

/// The condition in which a file was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    Whole,
    /// The end of the file is missing: the daemon or the machine went down during a write.
    Torn {
        bytes: usize,
    },
    /// Lines before the last valid one are damaged.
    Damaged {
        lines: usize,
    },
    /// The file has another format, or is not a journal.
    Foreign,
    /// The file is larger than any that Mainstay writes.
    TooLarge,
}

pub(crate) const FILE: &str = "sessions.journal";
/// The beginning of the first line.
pub(crate) const NAME: &str = "mainstay sessions";
pub(crate) const FORMAT: u64 = 1;
/// The first line of every file of this format.
const HEADER: &[u8] = b"mainstay sessions 1\n";
/// The smallest number of appended bytes after which the file is replaced, if it has also grown fivefold.
const ADDED_BYTES_MIN: u64 = 1 << 20;
/// The largest size of a file that is read, in bytes. Larger files are not Mainstay's.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Reads a file and passes each valid record to `each`, in order.
pub(crate) fn read(path: &Path, each: impl FnMut(Record)) -> io::Result<Found> {
    match file::read(path, FILE_BYTES_MAX) {
        Ok(Some(bytes)) => Ok(replay(&bytes, each)),
        Ok(None) => Ok(Found::Nothing),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Ok(Found::TooLarge),
        Err(error) => Err(error),
    }
}

/// Reads the content of a file and passes each valid record to `each`, in order.
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
    /// Replaces the file atomically by one with these records. After a crash, either the old or the new
    /// file is there.
    pub(crate) fn replace(path: &Path, lines: &[u8]) -> io::Result<Self> {
        let file = file::replace(path, &[HEADER, lines])?;
        let bytes = (HEADER.len() + lines.len()) as u64;
        Ok(Self { path: path.to_owned(), file, bytes_whole: bytes, bytes })
    }

    /// Returns an error when the file was removed or replaced, because records appended to it would be
    /// lost.
    pub(crate) fn check(&self) -> io::Result<()> {
        match file::is_at(&self.path, &self.file)? {
            true => Ok(()),
            false => Err(io::Error::other("the file was removed or replaced by another program")),
        }
    }

    /// Appends records. They survive the end of this process, and a crash of the machine once
    /// [`Self::sync`] has returned. After an error the content of the file is unknown, and the file has to
    /// be replaced.
    pub(crate) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.write_all(lines)?;
        self.bytes += lines.len() as u64;
        Ok(())
    }

    /// Syncs the appended records to disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Returns whether most of the file is outdated.
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
