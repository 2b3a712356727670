#![expect(clippy::disallowed_methods, reason = "tests may block")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Folder, OpenError};

/// Every file with its content.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| !path.ends_with("lock"))
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect()
}

#[test]
fn it_is_made_for_its_user_and_says_its_format() {
    let outside = tempfile::tempdir().unwrap();
    let state = outside.path().join("deep").join("state");
    let folder = Folder::open(&state).unwrap();
    let mode = fs::metadata(&state).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(fs::read_to_string(state.join("format")).unwrap(), "mainstay state 1\n");
    let held = Folder::open(&state).unwrap_err();
    assert!(matches!(held, OpenError::Held(_)), "{held}");
    drop(folder);
    Folder::open(&state).unwrap();
}

/// The first bytes of a database of ours, of format 9.
fn newer_database() -> String {
    let mut head = b"SQLite format 3\0".to_vec();
    head.resize(100, 0);
    head[63] = 9;
    head[68..72].copy_from_slice(b"Msty");
    String::from_utf8(head).unwrap()
}

#[test]
fn a_newer_file_is_refused_and_nothing_is_changed() {
    for (file, newer, found) in [
        ("format", "mainstay state 2\n", 2),
        ("sessions.journal", "mainstay sessions 2\n{}\n", 2),
        ("format", "mainstay state 99999999999999999999\n", u64::MAX),
        ("session.key", "mainstay key 7\nabc\n", 7),
        ("token.key", "mainstay key 2\n", 2),
        ("names.json", r#"{"format":3,"names":[]}"#, 3),
        ("variants.json", r#"{"format":2,"servers":[]}"#, 2),
        ("packages.json", "{\n  \"version\": 4,\n  \"all\": []\n}", 4),
        ("state.db", &newer_database(), 9),
    ] {
        let state = tempfile::tempdir().unwrap();
        fs::write(state.path().join(file), newer).unwrap();
        let before = content(state.path());
        let refused = Folder::open(state.path()).unwrap_err();
        let OpenError::Newer(newer) = &refused else { panic!("{file}: {refused}") };
        assert_eq!((newer.found, newer.path.file_name().unwrap()), (found, file.as_ref()));
        let said = refused.to_string();
        assert!(said.contains(file) && said.contains(&format!("format {found}")), "{said}");
        assert_eq!(content(state.path()), before, "{file}");
    }
}

#[test]
fn what_is_no_file_or_says_no_format_is_not_newer() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let state = tempfile::tempdir().unwrap();
    let fifo = state.path().join("names.json");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    fs::write(state.path().join("session.key"), [9; 32]).unwrap();
    fs::write(state.path().join("sessions.journal"), "something else").unwrap();
    fs::write(state.path().join("state.db"), "x").unwrap();
    Folder::open(state.path()).unwrap();
}

#[test]
fn whoever_does_not_open_a_folder_can_look_whether_it_is_newer() {
    let outside = tempfile::tempdir().unwrap();
    let state = outside.path().join("state");
    Folder::check(&state).unwrap();
    assert!(!state.exists());
    fs::create_dir(&state).unwrap();
    fs::write(state.join("format"), "mainstay state 2\n").unwrap();
    let refused = Folder::check(&state).unwrap_err();
    assert!(matches!(refused, OpenError::Newer(_)), "{refused}");
}

#[test]
fn a_format_that_can_not_be_read_is_kept_as_a_copy() {
    let state = tempfile::tempdir().unwrap();
    fs::write(state.path().join("format"), "something else").unwrap();
    Folder::open(state.path()).unwrap();
    let read = |name: &str| fs::read_to_string(state.path().join(name)).unwrap();
    assert_eq!(read("format"), "mainstay state 1\n");
    assert_eq!(read("format.unreadable"), "something else");
}
