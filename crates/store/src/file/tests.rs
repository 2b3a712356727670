use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{ASIDE_MAX, copy_aside, read, replace, set_aside};

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

#[test]
fn a_file_is_read_up_to_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("names.json");
    assert_eq!(read(&path, 9).unwrap(), None);
    fs::write(&path, "12345").unwrap();
    assert_eq!(read(&path, 5).unwrap().as_deref(), Some(&b"12345"[..]));
    assert_eq!(read(&path, 4).unwrap_err().kind(), ErrorKind::FileTooLarge);
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let [pipe, inner] = ["pipe", "folder"].map(|name| folder.path().join(name));
    fifo(&pipe);
    fs::create_dir(&inner).unwrap();
    for path in [&pipe, &inner, Path::new("/dev/zero")] {
        let error = read(path, 1 << 20).unwrap_err();
        assert_eq!(error.to_string(), "not a regular file", "{}", path.display());
    }
}

#[test]
fn a_file_is_replaced_whole_and_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.journal");
    fs::write(&path, "the old one, and longer").unwrap();
    let mut file = replace(&path, &[b"head ", b"body"]).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "head body");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    file.write_all(b" more").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "head body more");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn what_stands_in_the_way_of_a_new_file_is_removed_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let [path, new, other] = ["f", "f.new", "other"].map(|name| folder.path().join(name));
    fs::write(&other, "somebody else's").unwrap();
    fifo(&new);
    replace(&path, &[b"one"]).unwrap();
    symlink(&other, &new).unwrap();
    replace(&path, &[b"two"]).unwrap();
    fs::write(&new, "half wri").unwrap();
    replace(&path, &[b"three"]).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "three");
    assert_eq!(fs::read_to_string(&other).unwrap(), "somebody else's");
    fs::create_dir(&new).unwrap();
    assert_eq!(replace(&path, &[b"four"]).unwrap_err().kind(), ErrorKind::IsADirectory);
    assert_eq!(fs::read_to_string(&path).unwrap(), "three");
}

#[test]
fn a_file_is_set_aside_under_its_whole_name_and_replaces_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("names.json");
    fs::write(&path, "{").unwrap();
    let aside = folder.path().join("names.json.unreadable");
    assert_eq!(copy_aside(&path).unwrap(), aside);
    assert!(path.exists() && aside.exists());
    fifo(&folder.path().join("pipe"));
    let second = folder.path().join("names.json.unreadable.2");
    assert_eq!(set_aside(&path).unwrap(), second);
    assert!(!path.exists() && aside.exists() && second.exists());
    for _ in 2..ASIDE_MAX {
        fs::write(&path, "{").unwrap();
        set_aside(&path).unwrap();
    }
    fs::write(&path, "the tenth").unwrap();
    assert_eq!(set_aside(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(&path).unwrap(), "the tenth");
    assert!(set_aside(&folder.path().join("pipe")).is_ok(), "renaming opens nothing");
}
