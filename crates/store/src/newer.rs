//! Files of a newer version: found before anything is changed, and left alone.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::{database, document, file, folder, journal, keyfile};

/// A newer version of the daemon has written a file, in a format that this one does not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newer {
    pub path: PathBuf,
    /// The format that was found.
    pub found: u64,
    /// The newest format that this version reads.
    pub known: u64,
}

/// A file of the state folder.
struct Format {
    file: &'static str,
    /// The newest format that this version reads.
    known: u64,
    /// Reads the format from the first bytes of the file. None: it is not said there, as in files of the
    /// first versions, or in something else.
    read: fn(&[u8]) -> Option<u64>,
}

const FORMATS: [Format; 8] = [
    Format {
        file: folder::FILE,
        known: folder::FORMAT,
        read: |head| in_line(head, folder::HEADER),
    },
    Format {
        file: journal::FILE,
        known: journal::FORMAT,
        read: |head| in_line(head, journal::NAME),
    },
    Format {
        file: "session.key",
        known: keyfile::FORMAT,
        read: |head| in_line(head, keyfile::NAME),
    },
    Format { file: "token.key", known: keyfile::FORMAT, read: |head| in_line(head, keyfile::NAME) },
    Format {
        file: document::NAMES,
        known: document::NAMES_FORMAT,
        read: |head| in_json(head, "format"),
    },
    Format { file: "variants.json", known: 1, read: |head| in_json(head, "format") },
    Format { file: "packages.json", known: 1, read: |head| in_json(head, "version") },
    Format { file: database::FILE, known: database::FORMAT, read: database::format_of },
];

/// Where each file says its format.
const HEAD_BYTES: usize = 256;

/// Looks for files of a newer version in a state folder; changes nothing.
pub(crate) fn look(folder: &Path) -> io::Result<Option<Newer>> {
    for Format { file, known, read } in FORMATS {
        let path = folder.join(file);
        let found = file::head(&path, HEAD_BYTES)?.as_deref().and_then(read);
        if let Some(found) = found.filter(|found| *found > known) {
            return Ok(Some(Newer { path, found, known }));
        }
    }
    Ok(None)
}

/// The number at the end of a first line such as `mainstay sessions 1`.
fn in_line(head: &[u8], name: &str) -> Option<u64> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let number = std::str::from_utf8(line).ok()?.strip_prefix(name)?.strip_prefix(' ')?;
    number.parse().ok()
}

/// The number of the first member of an object, if it has this name.
fn in_json(head: &[u8], name: &str) -> Option<u64> {
    let head = String::from_utf8_lossy(head);
    let rest = head.trim_start().strip_prefix('{')?.trim_start();
    let rest = rest.strip_prefix('"')?.strip_prefix(name)?.strip_prefix('"')?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let digits = rest.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

// === impl Newer ===

impl fmt::Display for Newer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, found, known } = self;
        write!(
            f,
            "{} has format {found}, and this version of Mainstay reads formats up to {known}: a newer \
             version has written it",
            path.display()
        )
    }
}

impl std::error::Error for Newer {}

#[cfg(test)]
mod tests {
    use super::{in_json, in_line};

    #[test]
    fn formats_are_read_from_first_lines() {
        let read = |head: &str| in_line(head.as_bytes(), "mainstay sessions");
        assert_eq!(read("mainstay sessions 12\n0123 {}\n"), Some(12));
        assert_eq!(read("mainstay sessions 3"), Some(3));
        for other in ["", "mainstay sessions", "mainstay sessions x\n", "mainstay sessionsx 1\n"] {
            assert_eq!(read(other), None, "{other:?}");
        }
    }

    #[test]
    fn formats_are_read_from_json() {
        let read = |head: &str| in_json(head.as_bytes(), "format");
        assert_eq!(read(r#"{"format":2,"servers":{}}"#), Some(2));
        assert_eq!(read("{\n  \"format\": 17\n}"), Some(17));
        for other in ["", "[2]", "{}", r#"{"":[]}"#, r#"{"format":"2"}"#, r#"{"a":{"format":2}}"#] {
            assert_eq!(read(other), None, "{other:?}");
        }
    }
}
