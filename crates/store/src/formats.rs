//! The formats of all files in the state folder. Files of a newer version are detected before anything is
//! changed, and are left alone.

use std::io;
use std::path::Path;

use crate::newer::Newer;
use crate::{database, document, embedded, file, journal, keyfile};

/// Describes a file of the state folder and its format.
struct Format {
    file: &'static str,
    /// The newest format that this version reads.
    known: u64,
    /// Reads the format from the first bytes of the file. Returns `None` if they contain none, as in files
    /// of the first versions or of other programs.
    read: fn(&[u8]) -> Option<u64>,
}

/// The file with the format of the folder as a whole. It also covers files that have no format of their own
/// because they last for one run of the daemon (`lock`, `processes/`).
pub(crate) const FOLDER: &str = "format";
/// The beginning of that file.
pub(crate) const FOLDER_HEADER: &str = "mainstay state";
pub(crate) const FOLDER_FORMAT: u64 = 1;
pub(crate) const FINDINGS_FILE: &str = "variants.json";
/// The format of the findings about server lists.
pub const FINDINGS: u64 = 1;
pub(crate) const PACKAGES_FILE: &str = "packages.json";
/// The format of the record of packages.
pub const PACKAGES: u64 = 1;

const FORMATS: [Format; 8] = [
    Format { file: FOLDER, known: FOLDER_FORMAT, read: |head| in_line(head, FOLDER_HEADER) },
    Format {
        file: journal::FILE,
        known: journal::FORMAT,
        read: |head| in_line(head, journal::NAME),
    },
    Format {
        file: embedded::SESSION_KEY,
        known: keyfile::FORMAT,
        read: |head| in_line(head, keyfile::NAME),
    },
    Format {
        file: embedded::TOKEN_KEY,
        known: keyfile::FORMAT,
        read: |head| in_line(head, keyfile::NAME),
    },
    Format {
        file: document::NAMES,
        known: document::NAMES_FORMAT,
        read: |head| in_json(head, "format"),
    },
    Format { file: FINDINGS_FILE, known: FINDINGS, read: |head| in_json(head, "format") },
    Format { file: PACKAGES_FILE, known: PACKAGES, read: of_packages },
    Format { file: database::FILE, known: database::FORMAT, read: database::format_of },
];

/// The number of bytes at the start of each file that contain its format.
const HEAD_BYTES: usize = 256;

/// Searches a state folder for files of a newer version. Changes nothing.
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

/// Returns the format of a record of packages.
pub(crate) fn of_packages(head: &[u8]) -> Option<u64> {
    in_json(&head[..head.len().min(HEAD_BYTES)], "version")
}

/// Returns the number at the end of a first line such as `mainstay sessions 1`.
fn in_line(head: &[u8], name: &str) -> Option<u64> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let line = line.strip_prefix(name.as_bytes())?.strip_prefix(b" ")?;
    number(std::str::from_utf8(line).ok()?)
}

/// Returns the number of the first member of an object, if that member has this name.
fn in_json(head: &[u8], name: &str) -> Option<u64> {
    let head = String::from_utf8_lossy(head);
    let rest = head.trim_start().strip_prefix('{')?.trim_start();
    let rest = rest.strip_prefix('"')?.strip_prefix(name)?.strip_prefix('"')?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let digits = rest.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(rest.len());
    number(&rest[..digits])
}

/// Reads a format. One that is too large for a number is newer than any that is known.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::{in_json, in_line};

    #[test]
    fn formats_are_read_from_first_lines() {
        let read = |head: &str| in_line(head.as_bytes(), "mainstay sessions");
        assert_eq!(read("mainstay sessions 12\n0123 {}\n"), Some(12));
        assert_eq!(read("mainstay sessions 3"), Some(3));
        assert_eq!(read(&format!("mainstay sessions 1{}\n", "0".repeat(99))), Some(u64::MAX));
        for other in ["", "mainstay sessions", "mainstay sessions x\n", "mainstay sessionsx 1\n"] {
            assert_eq!(read(other), None, "{other:?}");
        }
    }

    #[test]
    fn formats_are_read_from_json() {
        let read = |head: &str| in_json(head.as_bytes(), "format");
        assert_eq!(read(r#"{"format":2,"servers":{}}"#), Some(2));
        assert_eq!(read("{\n  \"format\": 17\n}"), Some(17));
        assert_eq!(read(r#"{"format":99999999999999999999999}"#), Some(u64::MAX));
        for other in ["", "[2]", "{}", r#"{"":[]}"#, r#"{"format":"2"}"#, r#"{"a":{"format":2}}"#] {
            assert_eq!(read(other), None, "{other:?}");
        }
    }
}
