#![expect(clippy::disallowed_methods, reason = "tests may block")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mainstay_session::Serial;
use mainstay_telemetry::Metrics;

use super::{Options, Store};
use crate::file::ASIDE_MAX;
use crate::journal::{FILE, Journal};
use crate::lock::Claim;
use crate::sessions::{SessionStatus, SessionStore as _};

const NOW: u64 = 1_790_000_000;

fn open(folder: &Path, run: u64, now: u64) -> Store {
    Store::open(folder, Claim::Unchecked, options(run, now))
}

fn options(run: u64, now: u64) -> Options {
    let metrics = Arc::new(Metrics::new("0", []));
    let idle = Duration::from_secs(3600);
    Options { run, now, idle, sessions_max: 10, metrics }
}

fn fifo(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

fn status(store: &Store, session: Serial) -> SessionStatus {
    store.shared.inner.lock().image.status(session)
}

fn used_at(store: &Store, session: Serial) -> Option<u64> {
    match status(store, session) {
        SessionStatus::Changed(kept) => Some(kept.used_at),
        SessionStatus::Unchanged | SessionStatus::Ended => None,
    }
}

#[tokio::test]
async fn what_was_stored_is_there_for_the_next_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path(), 1, NOW);
    let [quiet, busy, ended] = std::array::from_fn(|_| first.next());
    first.subscribed(busy, NOW, "files", "\"file:///a\"");
    first.subscribed(busy, NOW, "files", "\"file:///b\"");
    first.unsubscribed(busy, "files", "\"file:///a\"");
    first.level(busy, NOW + 1, "debug");
    first.ended(ended, NOW);
    assert!(first.stored().await);
    // As after a crash: nobody closes the first.
    let second = open(folder.path(), 2, NOW + 5);
    assert_eq!(status(&second, quiet), SessionStatus::Unchanged);
    assert_eq!(status(&second, ended), SessionStatus::Ended);
    let SessionStatus::Changed(kept) = status(&second, busy) else {
        panic!("{:?}", status(&second, busy))
    };
    assert_eq!((kept.used_at, kept.level.as_deref()), (NOW + 1, Some("debug")));
    assert_eq!(kept.subscriptions, [("files".into(), "\"file:///b\"".into())].into());
    assert_ne!(second.next(), quiet, "numbers of another run");
    second.close().await;
    first.close().await;
}

#[tokio::test]
async fn what_is_written_is_there_whatever_becomes_of_who_wrote_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path(), 1, NOW);
    let [own, last] = std::array::from_fn(|_| first.next());
    assert!(first.flushed().await, "nothing was noted yet");
    for round in 0..20 {
        first.used(&[(own, NOW + round)]);
        assert!(first.flushed().await);
        let file = fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(file.contains(&format!("\"at\":{}", NOW + round)), "{round}: {file}");
    }
    first.ended(last, NOW);
    assert!(first.flushed().await && first.stored().await);
    let second = open(folder.path(), 2, NOW + 20);
    assert_eq!(
        (used_at(&second, own), (status(&second, last) == SessionStatus::Ended)),
        (Some(NOW + 19), true)
    );
    second.close().await;
    first.close().await;
}

/// A disk that hangs until somebody writes to the FIFO beside the file: opening it takes that long.
fn hangs(path: &Path, lines: &[u8]) -> std::io::Result<Journal> {
    fs::File::open(path.with_extension("hangs"))?;
    Journal::replace(path, lines)
}

#[tokio::test]
async fn a_disk_that_hangs_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let hung = folder.path().join("sessions.hangs");
    fifo(&hung);
    let store = Store::open_on(folder.path(), Claim::Unchecked, options(1, NOW), hangs);
    let own = store.next();
    store.ended(own, NOW);
    let waits = async { tokio::join!(store.flushed(), store.stored()) };
    let waited = tokio::time::timeout(Duration::from_secs(20), waits).await;
    assert_eq!(waited.expect("it is given up"), (false, false));
    assert!((status(&store, own) == SessionStatus::Ended), "in memory all is well");
    assert_eq!(store.state().failing, None, "nothing has failed yet");
    let long_ago = std::time::Instant::now() - crate::file::SLOW_AFTER * 2;
    store.shared.inner.lock().busy_since = Some(long_ago);
    let why = store.state().failing.unwrap();
    assert!(why.contains("sessions.journal: the disk has not answered for 10 s"), "{why}");
    tokio::time::timeout(Duration::from_secs(20), store.close()).await.expect("it is given up");
    // Once the disk answers, everything is written.
    let written = fs::OpenOptions::new().write(true).open(&hung);
    let mut progress = store.shared.progress.subscribe();
    let ended = progress.wait_for(|progress| progress.ended);
    drop(tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap().unwrap());
    assert_eq!(store.state().failing, None);
    assert!(status(&open(folder.path(), 2, NOW), own) == SessionStatus::Ended);
    drop(written);
}

#[tokio::test]
async fn a_fifo_in_the_place_of_either_file_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    fifo(&path);
    fifo(&folder.path().join("sessions.journal.new"));
    let opened = tokio::task::spawn_blocking({
        let folder = folder.path().to_owned();
        move || open(&folder, 1, NOW)
    });
    let opened = tokio::time::timeout(Duration::from_secs(20), opened).await;
    let store = opened.expect("opening does not wait for a writer").unwrap();
    let own = store.next();
    store.used(&[(own, NOW)]);
    assert!(store.stored().await, "{:?}", store.state());
    store.close().await;
    assert_eq!(used_at(&open(folder.path(), 2, NOW), own), Some(NOW));
    assert!(folder.path().join("sessions.journal.unreadable").exists());
}

#[tokio::test]
async fn closing_writes_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let store = open(folder.path(), round, NOW + round);
        let own = store.next();
        store.used(&[(own, NOW + round)]);
        store.close().await;
        store.close().await;
        let next = open(folder.path(), 100 + round, NOW + round);
        assert_eq!(used_at(&next, own), Some(NOW + round));
        next.close().await;
    }
}

#[tokio::test]
async fn many_notes_are_few_bytes_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1, NOW);
    let own = store.next();
    for at in 0..100_000 {
        store.used(&[(own, NOW + at)]);
    }
    assert!(store.stored().await);
    store.close().await;
    let bytes = fs::metadata(folder.path().join(FILE)).unwrap().len();
    // Written one by one they are 9 MB.
    assert!(bytes < 3 << 20, "{bytes}");
    assert_eq!(store.state().bytes, bytes);
    let next = open(folder.path(), 2, NOW + 99_999);
    assert_eq!(used_at(&next, own), Some(NOW + 99_999));
    assert!(next.stored().await || next.state().failing.is_none());
    next.close().await;
    let bytes = fs::metadata(folder.path().join(FILE)).unwrap().len();
    assert!(bytes < 200, "{bytes}");
}

#[tokio::test]
async fn a_file_of_the_past_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1, NOW);
    let own = store.next();
    let path = folder.path().join(FILE);
    let mut largest = 0;
    for at in 0..30 {
        store.used(&vec![(own, NOW + at); 5_000]);
        assert!(store.stored().await);
        largest = fs::metadata(&path).unwrap().len().max(largest);
    }
    assert!((1 << 20..4 << 20).contains(&largest), "{largest}");
    store.close().await;
}

#[tokio::test]
async fn a_folder_that_takes_nothing_is_said_and_lived_with() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("gone");
    let store = open(&state, 1, NOW);
    let own = store.next();
    store.used(&[(own, NOW)]);
    assert!(!store.stored().await);
    assert_eq!(used_at(&store, own), Some(NOW), "in memory all is well");
    let why = store.state().failing.unwrap();
    assert!(why.contains("sessions.journal: "), "{why}");
    // It recovers by itself, and nothing of what was noted meanwhile is missing.
    fs::create_dir(&state).unwrap();
    recovers(&store).await;
    assert!(store.stored().await);
    let next = open(&state, 2, NOW);
    assert_eq!(used_at(&next, own), Some(NOW));
    next.close().await;
    store.close().await;
}

#[tokio::test]
async fn a_damaged_file_is_put_aside_and_what_can_be_read_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let store = open(folder.path(), 1, NOW);
    let [one, two] = std::array::from_fn(|_| store.next());
    store.used(&[(one, NOW)]);
    assert!(store.stored().await);
    store.used(&[(two, NOW)]);
    store.close().await;
    let asides =
        ["journal.unreadable", "journal.unreadable.2"].map(|name| path.with_extension(name));
    for ((content, kept), aside) in [
        (fs::read_to_string(&path).unwrap().replacen("number\":1", "number\":9", 1), [false, true]),
        ("something else".to_owned(), [false, false]),
    ]
    .into_iter()
    .zip(&asides)
    {
        fs::write(&path, &content).unwrap();
        let store = open(folder.path(), 2, NOW);
        assert_eq!([one, two].map(|session| used_at(&store, session).is_some()), kept);
        assert_eq!(fs::read_to_string(aside).unwrap(), content);
        assert!(store.stored().await || store.state().failing.is_none());
        store.close().await;
        assert!(fs::read_to_string(&path).unwrap().starts_with("mainstay sessions 1\n"));
    }
}

#[tokio::test]
async fn what_can_not_be_set_aside_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let sum_is_wrong = "mainstay sessions 1\nnonsense\n".to_owned();
    let store = open(folder.path(), 1, NOW);
    store.ended(store.next(), NOW);
    store.close().await;
    let good = fs::read_to_string(&path).unwrap().lines().nth(1).unwrap().to_owned();
    for content in ["something else".to_owned(), format!("{sum_is_wrong}{good}\n")] {
        let asides: Vec<_> = (1..=ASIDE_MAX)
            .map(|number| match number {
                1 => path.with_extension("journal.unreadable"),
                _ => path.with_extension(format!("journal.unreadable.{number}")),
            })
            .collect();
        asides.iter().for_each(|aside| fs::create_dir(aside).unwrap());
        fs::write(&path, &content).unwrap();
        let store = open(folder.path(), 2, NOW);
        let own = store.next();
        store.ended(own, NOW);
        assert!(!store.stored().await);
        let why = store.state().failing.unwrap();
        assert!(why.contains("set aside"), "{why}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
        fs::remove_dir(&asides[0]).unwrap();
        recovers(&store).await;
        assert!(store.stored().await);
        assert_eq!(fs::read_to_string(&asides[0]).unwrap(), content);
        store.close().await;
        let next = open(folder.path(), 3, NOW);
        assert_eq!(status(&next, own), SessionStatus::Ended);
        next.close().await;
        fs::remove_file(&asides[0]).unwrap();
        asides[1..].iter().for_each(|aside| fs::remove_dir(aside).unwrap());
    }
}

#[tokio::test]
async fn a_file_that_is_taken_away_is_missed_and_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let store = open(folder.path(), 1, NOW);
    let [one, two] = std::array::from_fn(|_| store.next());
    store.ended(one, NOW);
    assert!(store.stored().await);
    fs::remove_file(&path).unwrap();
    store.ended(two, NOW);
    assert!(!store.flushed().await, "it would be in a file that is gone");
    let why = store.state().failing.unwrap();
    assert!(why.contains("was removed or replaced"), "{why}");
    recovers(&store).await;
    let next = open(folder.path(), 2, NOW);
    assert_eq!(
        [one, two].map(|session| status(&next, session)),
        [SessionStatus::Ended, SessionStatus::Ended]
    );
    next.close().await;
    store.close().await;
}

async fn recovers(store: &Store) {
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while store.state().failing.is_some() {
        assert!(std::time::Instant::now() < until, "{:?}", store.state());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
