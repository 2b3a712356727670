#![expect(clippy::disallowed_methods, reason = "tests may block")]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{DISK, Disk, Document};
use crate::file::{ASIDE_MAX, SLOW_AFTER};
use crate::lock::Claim;

/// More than a busy machine needs for anything here.
const PATIENCE: Duration = Duration::from_secs(30);
/// A deadline that has to pass in a test.
const SHORT: Duration = Duration::from_millis(50);

fn open(path: &Path) -> (Document, Option<Vec<u8>>) {
    Document::open(path.to_owned(), "things", Claim::Unchecked)
}

fn open_on(path: &Path, disk: Disk) -> (Document, Option<Vec<u8>>) {
    Document::open_on(path.to_owned(), "things", Claim::Unchecked, disk, SHORT)
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

/// Hangs until somebody opens the FIFO that `released` names for writing.
fn hang(path: &Path, released: &str) -> io::Result<()> {
    File::open(path.with_extension(released)).map(drop)
}

/// Lets what hangs there go on, once it does.
fn release(path: &Path, released: &str) {
    OpenOptions::new().write(true).open(path.with_extension(released)).unwrap();
}

/// Hangs for each value until the FIFO of its name is opened.
const HANGS_WHEN_WRITTEN: Disk = Disk {
    replace: |path, bytes| {
        hang(path, std::str::from_utf8(bytes).unwrap())?;
        (DISK.replace)(path, bytes)
    },
    ..DISK
};

const HANGS_WHEN_READ: Disk = Disk {
    read: |path| {
        hang(path, "read")?;
        (DISK.read)(path)
    },
    ..DISK
};

/// Waits until `path` holds `content`.
async fn holds(path: &Path, content: &str) {
    let is_there = || fs::read_to_string(path).is_ok_and(|text| text == content);
    until(is_there, &format!("{} holds {content:?}", path.display())).await;
}

async fn until(so: impl Fn() -> bool, what: &str) {
    let give_up = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < give_up, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("things.json");
    (folder, path)
}

#[tokio::test]
async fn what_was_set_is_there_for_the_next_daemon() {
    let (_folder, path) = place();
    let (document, found) = open(&path);
    assert_eq!(found, None);
    document.set(b"one".to_vec());
    holds(&path, "one").await;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for round in 0..1000 {
        document.set(format!("{round}").into_bytes());
    }
    assert!(document.close().await);
    assert_eq!(open(&path).1.as_deref(), Some(&b"999"[..]));
    assert_eq!(document.failing(), None);
}

#[tokio::test]
async fn closing_without_news_writes_nothing() {
    let (folder, path) = place();
    assert!(open(&path).0.close().await);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_disk_that_hangs_keeps_nobody_waiting() {
    let (_folder, path) = place();
    for value in ["one", "two", "three"] {
        fifo(&path.with_extension(value));
    }
    let (document, _) = open_on(&path, HANGS_WHEN_WRITTEN);
    // Were one of these to wait for the disk, it would do so for ever.
    document.set(b"one".to_vec());
    until(|| document.shared.state.lock().next.is_none(), "it is being written").await;
    document.set(b"two".to_vec());
    document.set(b"three".to_vec());
    assert_eq!(document.failing(), None, "it may still come");
    let closed = tokio::time::timeout(PATIENCE, document.close()).await;
    assert_eq!(closed, Ok(false), "given up, and said");
    release(&path, "one");
    holds(&path, "one").await;
    // After it comes the newest alone: nobody releases what was set between them.
    release(&path, "three");
    holds(&path, "three").await;
    until(|| *document.shared.ended.borrow(), "its thread ends").await;
}

#[tokio::test]
async fn a_disk_that_hangs_for_long_is_said_to() {
    let (_folder, path) = place();
    fifo(&path.with_extension("one"));
    let (document, _) = open_on(&path, HANGS_WHEN_WRITTEN);
    document.set(b"one".to_vec());
    until(|| document.shared.state.lock().next.is_none(), "it is being written").await;
    document.shared.state.lock().busy_since = Some(Instant::now() - SLOW_AFTER * 2);
    let why = document.failing().unwrap();
    assert!(why.contains("things.json: the disk has not answered for 10 s"), "{why}");
    release(&path, "one");
    until(|| document.failing().is_none(), "it answers").await;
    holds(&path, "one").await;
}

#[tokio::test]
async fn what_fails_is_said_and_tried_again_with_the_newest_value() {
    let (_folder, path) = place();
    let in_the_way = path.with_file_name("things.json.new");
    fs::create_dir(&in_the_way).unwrap();
    let (document, _) = open(&path);
    document.set(b"one".to_vec());
    until(|| document.failing().is_some(), "it fails").await;
    let why = document.failing().unwrap();
    assert!(why.contains("things.json: ") && why.contains("directory"), "{why}");
    document.set(b"two".to_vec());
    fs::remove_dir(&in_the_way).unwrap();
    holds(&path, "two").await;
    until(|| document.failing().is_none(), "it recovers").await;
}

#[tokio::test]
async fn a_value_that_failed_before_is_written_at_the_end() {
    let (_folder, path) = place();
    let in_the_way = path.with_file_name("things.json.new");
    fs::create_dir(&in_the_way).unwrap();
    let (document, _) = open(&path);
    document.set(b"one".to_vec());
    until(|| document.failing().is_some(), "it fails").await;
    fs::remove_dir(&in_the_way).unwrap();
    assert!(document.close().await, "the end is not put off until the next attempt");
    assert_eq!(fs::read_to_string(&path).unwrap(), "one");
}

#[tokio::test]
async fn a_disk_that_fails_until_the_end_loses_the_value_and_no_time() {
    let (_folder, path) = place();
    fs::create_dir(path.with_file_name("things.json.new")).unwrap();
    let (document, _) = open(&path);
    document.set(b"one".to_vec());
    assert!(!document.close().await);
    assert!(*document.shared.ended.borrow(), "tried, and not until the deadline");
    assert!(document.failing().is_some());
}

#[tokio::test]
async fn a_fifo_in_the_place_of_either_file_is_put_out_of_the_way() {
    let (_folder, path) = place();
    fifo(&path);
    fifo(&path.with_file_name("things.json.new"));
    let (document, found) = open(&path);
    assert_eq!(found, None);
    until(|| path.with_file_name("things.json.unreadable").exists(), "it is set aside").await;
    document.set(b"one".to_vec());
    holds(&path, "one").await;
    assert!(document.close().await);
}

#[tokio::test]
async fn what_the_owner_rejects_is_kept_beside_the_file() {
    let (_folder, path) = place();
    fs::write(&path, "nonsense").unwrap();
    let (document, found) = open(&path);
    assert_eq!(found.as_deref(), Some(&b"nonsense"[..]));
    document.reject(&"no JSON");
    document.set(b"one".to_vec());
    assert!(document.close().await);
    let aside = path.with_file_name("things.json.unreadable");
    assert_eq!(fs::read_to_string(aside).unwrap(), "nonsense");
    assert_eq!(fs::read_to_string(&path).unwrap(), "one");
}

#[tokio::test]
async fn what_can_not_be_set_aside_is_not_overwritten() {
    let (_folder, path) = place();
    fs::write(&path, "nonsense").unwrap();
    let aside = path.with_file_name("things.json.unreadable");
    fs::create_dir(&aside).unwrap();
    for number in 2..=ASIDE_MAX {
        fs::create_dir(path.with_file_name(format!("things.json.unreadable.{number}"))).unwrap();
    }
    let (document, _) = open(&path);
    document.reject(&"no JSON");
    document.set(b"one".to_vec());
    until(|| document.failing().is_some(), "it fails").await;
    assert_eq!(fs::read_to_string(&path).unwrap(), "nonsense");
    fs::remove_dir(&aside).unwrap();
    holds(&path, "one").await;
    assert_eq!(fs::read_to_string(&aside).unwrap(), "nonsense");
}

#[tokio::test]
async fn a_disk_that_hangs_at_the_start_is_given_up_and_nothing_is_lost() {
    let (_folder, path) = place();
    fs::write(&path, "old").unwrap();
    fifo(&path.with_extension("read"));
    let begun = Instant::now();
    let (document, found) = open_on(&path, HANGS_WHEN_READ);
    assert_eq!((found, begun.elapsed() >= SHORT), (None, true));
    document.set(b"new".to_vec());
    document.shared.state.lock().busy_since = Some(Instant::now() - SLOW_AFTER * 2);
    assert!(document.failing().is_some(), "what was set is not stored");
    release(&path, "read");
    holds(&path, "new").await;
    let aside = path.with_file_name("things.json.unreadable");
    assert_eq!(fs::read_to_string(aside).unwrap(), "old", "not overwritten");
}
