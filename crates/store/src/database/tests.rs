#![expect(clippy::disallowed_methods, reason = "tests may block")]

use std::fs;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::connection::open_to_read;
use super::{ANSWER_DEADLINE, CHANGES_MAX, Database, EVENTS_WAITING_MAX, FILE};
use crate::answer::Unavailable;
use crate::audit::{AuditEntry, AuditLog, AuditOutcome, ENTRIES_MAX, PAGE_MAX, TEXT_BYTES_MAX};
use crate::events::Event;
use crate::lock::Claim;
use crate::table::{Put, Table as _};

fn open(folder: &Path) -> Database {
    Database::open(folder, Claim::Unchecked).unwrap()
}

fn entry(number: u64) -> AuditEntry {
    AuditEntry {
        at_ms: 1_790_000_000_000 + number,
        token: Some("deploy".to_owned()),
        peer: "192.0.2.7".to_owned(),
        request_id: format!("r{number}"),
        action: "server.restart".to_owned(),
        target: Some("files".to_owned()),
        outcome: AuditOutcome::Done,
    }
}

async fn numbers(audit: &dyn AuditLog) -> Vec<u64> {
    let entries = audit.recent(2000).await.unwrap();
    entries.iter().map(|entry| entry.at_ms - 1_790_000_000_000).collect()
}

#[tokio::test]
async fn entries_can_be_read_without_the_files_that_writing_needs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let written = open(folder.path());
    written.record(entry(1));
    assert!(AuditLog::stored(&written).await);
    let count = || {
        let connection = open_to_read(&path).unwrap();
        connection.query_row("SELECT count(*) FROM audit", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    written.close().await;
    // The log of an earlier daemon that was killed, without its index.
    let killed = tempfile::tempdir().unwrap();
    let second = open(folder.path());
    second.record(entry(2));
    assert!(AuditLog::stored(&second).await);
    for name in ["state.db", "state.db-wal"] {
        fs::copy(folder.path().join(name), killed.path().join(name)).unwrap();
    }
    second.close().await;
    assert_eq!(count(), 2, "all is in the file");
    let names = || fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names(), 1, "reading leaves nothing behind");
    let connection = open_to_read(&killed.path().join(FILE)).unwrap();
    let count = connection.query_row("SELECT count(*) FROM audit", [], |row| row.get::<_, i64>(0));
    assert_eq!(count.unwrap(), 2, "the second entry is in the log");
}

#[tokio::test]
async fn entries_are_there_for_the_next_daemon_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let others = [
        AuditEntry { outcome: AuditOutcome::Denied, token: None, ..entry(1) },
        AuditEntry { outcome: AuditOutcome::Failed("no such server".to_owned()), ..entry(2) },
        AuditEntry { target: None, peer: "socket".to_owned(), ..entry(3) },
    ];
    others.iter().for_each(|entry| first.record(entry.clone()));
    assert!(AuditLog::stored(&first).await);
    // As after a crash: nobody closes the first.
    let second = open(folder.path());
    let mut newest_first = second.recent(10).await.unwrap();
    assert_eq!(second.recent(1).await.unwrap(), newest_first[..1]);
    newest_first.reverse();
    assert_eq!(newest_first, others);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(folder.path().join(FILE)).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    second.close().await;
    first.close().await;
}

#[tokio::test]
async fn closing_writes_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    (0..PAGE_MAX as u64).for_each(|number| first.record(entry(number)));
    first.close().await;
    let second = open(folder.path());
    assert_eq!(numbers(&second).await.len(), PAGE_MAX);
    second.close().await;
}

#[tokio::test]
async fn the_oldest_entries_give_way_and_long_texts_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    database.record(entry(0));
    let sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20000)
        INSERT INTO audit (at_ms, peer, request_id, action, outcome)
        SELECT 1790000000000 + x, '', '', '', 'done' FROM n";
    database.ask(move |connection| connection.execute_batch(sql)).await.unwrap();
    let long = "ä".repeat(TEXT_BYTES_MAX);
    database.record(AuditEntry { target: Some(long), ..entry(20_001) });
    assert!(database.stored().await);
    let count = |connection: &mut Connection| {
        let sql = "SELECT count(*), min(at_ms) FROM audit";
        connection.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
    };
    let (entries, oldest) = database.ask(count).await.unwrap();
    assert_eq!((entries as u64, oldest), (ENTRIES_MAX, 1_790_000_000_002));
    let newest = database.recent(1).await.unwrap().remove(0);
    assert_eq!(newest.target.map(|target| target.len()), Some(TEXT_BYTES_MAX));
    database.close().await;
}

#[tokio::test]
async fn a_disk_that_hangs_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let (answer, hangs) = channel::<()>();
    let (hanging, mut begins) = tokio::sync::mpsc::channel(1);
    let hung = database.ask(move |_| {
        let _ = hanging.try_send(());
        Ok(hangs.recv().is_err())
    });
    let begun = Instant::now();
    let slow = Unavailable::Slow(ANSWER_DEADLINE);
    let others = async {
        begins.recv().await;
        database.record(entry(1));
        tokio::join!(database.stored(), database.recent(1))
    };
    let (hung, (stored, recent)) = tokio::join!(hung, others);
    assert_eq!((hung, stored, recent), (Err(slow.clone()), false, Err(slow)));
    assert!(begun.elapsed() < ANSWER_DEADLINE * 5);
    // What is recorded meanwhile is bounded, and so is what is asked.
    (0..2 * CHANGES_MAX as u64).for_each(|number| database.record(entry(number)));
    assert_eq!(database.shared.queue.lock().changes.len(), CHANGES_MAX);
    let asked: Vec<_> = (0..100).map(|_| database.recent(1)).collect();
    let answers = futures(asked).await;
    assert!(answers.contains(&Err(Unavailable::Busy)), "{answers:?}");
    drop(answer);
    assert!(stored_soon(&database).await);
    let count = "SELECT count(*) FROM audit";
    let count = database.read(|it| it.query_row(count, [], |row| row.get::<_, isize>(0))).await;
    assert_eq!(count, Ok(CHANGES_MAX as isize));
    database.close().await;
    assert_eq!(database.recent(1).await, Err(Unavailable::Closed));
}

/// Servers cause events, and must not push out what was done to the daemon meanwhile.
#[tokio::test]
async fn events_leave_room_for_the_audit_log() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let (answer, hangs) = channel::<()>();
    let (hanging, mut begins) = tokio::sync::mpsc::channel(1);
    let hung = database.ask(move |_| {
        let _ = hanging.try_send(());
        Ok(hangs.recv().is_err())
    });
    let others = async {
        begins.recv().await;
        (0..2 * EVENTS_WAITING_MAX)
            .for_each(|_| crate::events::EventLog::record(&database, Event::default()));
        assert_eq!(database.shared.queue.lock().changes.len(), EVENTS_WAITING_MAX);
        (0..1000).for_each(|number| AuditLog::record(&database, entry(number)));
        assert_eq!(database.shared.queue.lock().changes.len(), EVENTS_WAITING_MAX + 1000);
        drop(answer);
    };
    tokio::join!(hung, others).0.unwrap();
    assert!(stored_soon(&database).await);
    assert_eq!(numbers(&database).await.len(), 1000);
    database.close().await;
}

async fn futures<T>(all: Vec<crate::answer::Answer<'_, T>>) -> Vec<Result<T, Unavailable>> {
    let mut answers = Vec::new();
    let mut all: std::collections::VecDeque<_> = all.into();
    std::future::poll_fn(|cx| {
        for _ in 0..all.len() {
            let Some(mut one) = all.pop_front() else { break };
            match one.as_mut().poll(cx) {
                std::task::Poll::Ready(answer) => answers.push(answer),
                std::task::Poll::Pending => all.push_back(one),
            }
        }
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    answers
}

async fn stored_soon(database: &Database) -> bool {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        if database.stored().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test]
async fn a_folder_that_takes_nothing_is_said_and_lived_with() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("gone");
    let database = open(&state);
    database.record(entry(1));
    assert!(!database.stored().await);
    let why = database.failing().unwrap();
    assert!(why.contains("state.db: "), "{why}");
    assert!(matches!(database.recent(1).await, Err(Unavailable::Failed(_))));
    fs::create_dir(&state).unwrap();
    assert!(stored_soon(&database).await);
    assert_eq!((numbers(&database).await, database.failing()), (vec![1], None));
    database.close().await;
}

#[tokio::test]
async fn a_file_of_something_else_is_set_aside() {
    for content in ["something else, and long enough to be a page".repeat(200), "x".to_owned()] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, &content).unwrap();
        let database = open(folder.path());
        database.record(entry(1));
        assert!(database.stored().await, "{:?}", database.failing());
        let aside = folder.path().join("state.db.unreadable");
        assert_eq!(fs::read_to_string(aside).unwrap(), content);
        assert_eq!(numbers(&database).await, [1]);
        database.close().await;
    }
}

#[tokio::test]
async fn a_database_of_something_else_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE audit (mine TEXT)").unwrap();
    drop(other);
    let database = open(folder.path());
    database.record(entry(1));
    assert!(database.stored().await);
    assert!(folder.path().join("state.db.unreadable").exists());
    database.close().await;
}

#[tokio::test]
async fn a_page_that_is_damaged_costs_the_file_and_not_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let database = open(folder.path());
    (0..500).for_each(|number| database.record(entry(number)));
    database.close().await;
    drop(database);
    let mut bytes = fs::read(&path).unwrap();
    let page = 4096;
    assert!(bytes.len() > 4 * page, "{}", bytes.len());
    bytes[page..].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let database = open(folder.path());
    assert!(matches!(database.recent(1000).await, Err(Unavailable::Failed(_))));
    database.record(entry(7));
    assert!(stored_soon(&database).await);
    assert_eq!(numbers(&database).await, [7]);
    assert_eq!(fs::read(folder.path().join("state.db.unreadable")).unwrap(), bytes);
    database.close().await;
}

#[tokio::test]
async fn a_fifo_in_the_place_of_any_file_keeps_nobody_waiting() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    for name in ["state.db", "state.db-wal", "state.db-shm", "state.db-journal"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let database = open(folder.path());
        database.record(entry(1));
        assert!(database.stored().await, "{name}: {:?}", database.failing());
        assert!(folder.path().join(format!("{name}.unreadable")).exists(), "{name}");
        database.close().await;
    }
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    open(folder.path()).close().await;
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 9).unwrap();
    newer.pragma_update(None, "journal_mode", "DELETE").unwrap();
    drop(newer);
    let before = fs::read(&path).unwrap();
    let refused = Database::open(folder.path(), Claim::Unchecked).unwrap_err();
    assert_eq!((refused.found, refused.known, &refused.path), (9, 3, &path));
    assert_eq!(fs::read(&path).unwrap(), before);
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "nothing else is there");
}

#[tokio::test]
async fn a_file_of_an_older_format_gets_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let database = open(folder.path());
    database.record(entry(1));
    database.close().await;
    let older = Connection::open(&path).unwrap();
    older.execute_batch("DROP TABLE records; DROP TABLE events; PRAGMA user_version = 1").unwrap();
    drop(older);
    assert_eq!(super::format_of(&fs::read(&path).unwrap()), Some(1));
    let database = std::sync::Arc::new(open(folder.path()));
    assert_eq!(numbers(&*database).await, [1]);
    let users = Database::table(&database, super::Kind::Users);
    assert_eq!(users.put("a", 0, b"x").await, Ok(Put::Done { version: 1 }));
    crate::events::EventLog::record(&*database, Event::default());
    assert!(stored_soon(&database).await);
    database.close().await;
    assert_eq!(super::format_of(&fs::read(&path).unwrap()), Some(super::FORMAT));
}

#[tokio::test]
async fn a_file_that_is_taken_away_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let elsewhere = folder.path().join("elsewhere");
    let database = std::sync::Arc::new(open(folder.path()));
    let users = Database::table(&database, super::Kind::Users);
    assert_eq!(users.put("a", 0, b"x").await, Ok(Put::Done { version: 1 }));
    // With what is in the log beside it.
    for suffix in ["", "-wal"] {
        let [from, to] = [&path, &elsewhere].map(|path| crate::file::beside(path, suffix));
        fs::rename(from, to).unwrap();
    }
    let said = users.put("a", 1, b"y").await.unwrap_err().to_string();
    assert!(said.contains("state.db: the file was removed or replaced"), "{said}");
    // A new one begins, and nothing of the old one is touched.
    assert_eq!(users.get("a").await, Ok(None));
    assert_eq!(database.failing(), None);
    database.close().await;
    let old = Connection::open(&elsewhere).unwrap();
    let kept = old.query_row("SELECT version FROM records", [], |row| row.get::<_, i64>(0));
    assert_eq!(kept, Ok(1));
}

#[tokio::test]
async fn the_numbers_of_events_go_on_rising_when_the_file_is_lost_or_set_aside() {
    use crate::events::{EventLog, EventsAsked};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let after = async |database: &Database, after| {
        let asked = EventsAsked { after: Some(after), limit: 10, ..EventsAsked::default() };
        let page = database.page(asked).await.unwrap();
        page.events.iter().map(|stored| stored.id).collect::<Vec<_>>()
    };
    let database = open(folder.path());
    (0..3).for_each(|_| EventLog::record(&database, Event::default()));
    assert!(EventLog::stored(&database).await);
    assert_eq!(after(&database, 0).await, [1, 2, 3]);
    fs::remove_file(&path).unwrap();
    EventLog::record(&database, Event::default());
    assert!(stored_soon(&database).await);
    let later = after(&database, 3).await;
    assert!(matches!(*later, [id] if id > 1_700_000_000), "{later:?}");
    database.close().await;
    fs::write(&path, "something else").unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let database = open(folder.path());
    EventLog::record(&database, Event::default());
    assert!(EventLog::stored(&database).await);
    assert_eq!(after(&database, later[0]).await.len(), 1);
    database.close().await;
}
