//! The file of a secret key: a line with the format, then the key and a checksum.

use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::file;
use crate::keys::KEY_BYTES;

/// The beginning of the first line.
pub(crate) const NAME: &str = "mainstay key";
/// The current format. Format 0 is the bare key, without a checksum.
pub(crate) const FORMAT: u64 = 1;
/// The largest size of a file, in bytes. A longer one is damaged.
const FILE_BYTES_MAX: u64 = 4096;
/// The length of the checksum in hexadecimal digits.
const SUM_DIGITS: usize = 16;

/// Returns the key in a file. Creates it if there is no file, and upgrades an older format.
///
/// # Errors
/// Returns an error when the file is damaged, can't be read or can't be created.
pub(crate) fn get_or_create(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let Some(found) = file::read(path, FILE_BYTES_MAX)? else {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        write(path, &key)?;
        return Ok(key);
    };
    if let Some(bare) = bare(&found) {
        write(path, &bare)?;
        return Ok(bare);
    }
    read(&found).ok_or_else(damaged)
}

/// Returns the key in a file and changes nothing. `None` if there is no file.
///
/// # Errors
/// Returns an error when the file is damaged or can't be read.
pub(crate) fn get(path: &Path) -> io::Result<Option<[u8; KEY_BYTES]>> {
    let Some(found) = file::read(path, FILE_BYTES_MAX)? else { return Ok(None) };
    bare(&found).or_else(|| read(&found)).map(Some).ok_or_else(damaged)
}

/// Returns the key in a file of format 0.
fn bare(content: &[u8]) -> Option<[u8; KEY_BYTES]> {
    <[u8; KEY_BYTES]>::try_from(content).ok().filter(|key| !is_weak(key))
}

/// Whether a key can't be random: 32 random bytes practically never have fewer than eight different values.
fn is_weak(key: &[u8; KEY_BYTES]) -> bool {
    let mut values = *key;
    values.sort_unstable();
    values.chunk_by(|a, b| a == b).count() < 8
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the key is damaged")
}

fn write(path: &Path, key: &[u8; KEY_BYTES]) -> io::Result<()> {
    let text = format!("{NAME} {FORMAT}\n{} {}\n", hex(key), sum(key));
    file::replace(path, &[text.as_bytes()]).map(drop)
}

/// Returns the key in a file of the current format. `None` if the file is damaged.
fn read(content: &[u8]) -> Option<[u8; KEY_BYTES]> {
    let text = std::str::from_utf8(content).ok()?;
    let line = text.strip_prefix(NAME)?.strip_prefix(&format!(" {FORMAT}\n"))?;
    let (digits, found) = line.strip_suffix('\n')?.split_once(' ')?;
    let mut key = [0; KEY_BYTES];
    if digits.len() != 2 * KEY_BYTES || !digits.is_ascii() {
        return None;
    }
    for (byte, at) in key.iter_mut().zip(0..) {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    (found == sum(&key) && !is_weak(&key)).then_some(key)
}

fn sum(key: &[u8; KEY_BYTES]) -> String {
    let mut sum = hex(&Sha256::digest(key));
    sum.truncate(SUM_DIGITS);
    sum
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may block")]
mod tests {
    use std::fs;

    use super::{KEY_BYTES, get, get_or_create, hex, sum};

    /// A key of format 0.
    fn bare_key() -> [u8; KEY_BYTES] {
        std::array::from_fn(|at| at as u8)
    }

    #[test]
    fn a_key_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        let key = get_or_create(&path).unwrap();
        assert_ne!(key, [0; KEY_BYTES]);
        assert_eq!(get_or_create(&path).unwrap(), key);
        assert_eq!(get(&path).unwrap(), Some(key));
        assert_ne!(get_or_create(&folder.path().join("b.key")).unwrap(), key);
    }

    #[test]
    fn whoever_only_looks_makes_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        assert_eq!(get(&path).unwrap(), None);
        assert!(!path.exists());
        fs::write(&path, bare_key()).unwrap();
        assert_eq!(get(&path).unwrap(), Some(bare_key()));
        assert_eq!(fs::read(&path).unwrap(), bare_key());
    }

    #[test]
    fn a_bare_key_is_taken_and_written_with_its_format() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        fs::write(&path, bare_key()).unwrap();
        assert_eq!(get_or_create(&path).unwrap(), bare_key());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("mainstay key 1\n000102"), "{text}");
        assert_eq!(get_or_create(&path).unwrap(), bare_key());
    }

    #[test]
    fn a_damaged_key_is_refused_whichever_byte_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        get_or_create(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert!(get_or_create(&path).is_err(), "byte {at}");
            assert!(get(&path).is_err(), "byte {at}");
            assert_eq!(fs::read(&path).unwrap(), damaged, "it is left as it is");
        }
        let weak = format!("mainstay key 1\n{} {}\n", hex(&[0; KEY_BYTES]), sum(&[0; KEY_BYTES]));
        let cut = &whole[..whole.len() - 1];
        for other in [&[0; KEY_BYTES][..], &[7; KEY_BYTES], weak.as_bytes(), &[], cut] {
            fs::write(&path, other).unwrap();
            assert!(get_or_create(&path).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_link_to_nothing_is_no_missing_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        std::os::unix::fs::symlink("/not/mounted/a.key", &path).unwrap();
        let refused = get_or_create(&path).unwrap_err();
        assert!(refused.to_string().contains("a dangling link"), "{refused}");
        assert!(get(&path).is_err());
        assert!(fs::symlink_metadata(&path).unwrap().is_symlink(), "it is left as it is");
    }
}
