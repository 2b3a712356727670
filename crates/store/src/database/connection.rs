//! Opens the database file: checks it, upgrades an older format, and replaces a file that can't be used.

#![expect(clippy::disallowed_methods, reason = "called on the thread of the database")]

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fs, io};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::file;
use crate::newer::Newer;

/// The reasons why there is no connection.
#[derive(Debug)]
pub(super) enum NotOpened {
    Newer(Newer),
    /// The content is not that of a database of Mainstay.
    Unusable(String),
    Failed(io::Error),
}

/// The first bytes of every SQLite file.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// The offsets of `user_version` and `application_id` in the file.
const FORMAT_AT: usize = 60;
const APPLICATION_AT: usize = 68;
/// The `application_id` of the file: the bytes of `Msty`.
const APPLICATION: i64 = 0x4d73_7479;
/// The `user_version` of the file: the format of its tables, which is the number of steps that made them.
pub(crate) const FORMAT: u64 = STEPS.len() as u64;
/// The longest time for which a lock of another program, such as `sqlite3`, is waited for.
const BUSY_DEADLINE: Duration = Duration::from_secs(1);

/// `synchronous = FULL` syncs each commit, so that confirmed changes survive a power cut; commits are few.
/// The write-ahead log (WAL) lets others read while the daemon writes.
const SETTINGS: &str =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";

/// The statements that make each format from the one before.
const STEPS: [&str; 3] = [
    "CREATE TABLE audit (
        id INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        token TEXT,
        peer TEXT NOT NULL,
        request_id TEXT NOT NULL,
        action TEXT NOT NULL,
        target TEXT,
        outcome TEXT NOT NULL,
        why TEXT
    ) STRICT;",
    "CREATE TABLE records (
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        version INTEGER NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (kind, key)
    ) STRICT, WITHOUT ROWID;",
    "CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL,
        server TEXT,
        instance INTEGER,
        condition_before TEXT NOT NULL,
        condition TEXT NOT NULL,
        reason TEXT,
        brief_reason TEXT
    ) STRICT;
    CREATE INDEX events_of_server ON events (server, id);",
];

/// Opens the file. A file that can't be used is set aside, with a warning, and a new one is created. A new file
/// that follows another one begins with higher numbers of events.
pub(super) fn open(path: &Path, follows_another: bool) -> Result<Connection, NotOpened> {
    match open_once(path, follows_another) {
        Err(NotOpened::Unusable(why)) => {
            set_aside(path, &why).map_err(NotOpened::Failed)?;
            open_once(path, true)
        }
        opened => opened,
    }
}

/// Opens the file for reading on a disk that is full, where SQLite can't create the files that it shares with
/// other processes. Tables of another format are not read.
pub(super) fn open_to_read(path: &Path) -> Option<Connection> {
    let has_log = fs::metadata(file::beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    let connection = if has_log {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).ok()?;
        // The index of the write-ahead log is kept in memory then, and the log stays as it is.
        connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE;").ok()?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).ok()?;
        connection
    } else {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(immutable(path)?, flags).ok()?
    };
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let found = (number("application_id").ok()?, number("user_version").ok()?);
    (found == (APPLICATION, FORMAT as i64)).then_some(connection)
}

/// The URI of a file that nobody changes while it is read.
fn immutable(path: &Path) -> Option<String> {
    let path = path.to_str()?.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    Some(format!("file:{path}?immutable=1"))
}

/// Returns whether an error means that the content of the file is damaged.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// Renames the file and its companion files to `FILE.unreadable`.
pub(super) fn set_aside(path: &Path, why: &str) -> io::Result<()> {
    let aside = file::set_aside(path)?;
    // Without its companions the file lacks its newest entries, and left behind they would damage its
    // successor.
    for suffix in COMPANIONS {
        match file::set_aside_as(&file::beside(path, suffix), &file::beside(&aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let (path, aside) = (path.display(), aside.display());
    tracing::warn!(
        target: "mainstay", %path, %aside, why,
        "the audit log and other tables can't be used; the file is set aside and a new one is created"
    );
    Ok(())
}

/// Suffixes of the files that SQLite creates beside the database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

fn open_once(path: &Path, follows_another: bool) -> Result<Connection, NotOpened> {
    prepare(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(not_opened)?;
    connection.busy_timeout(BUSY_DEADLINE).map_err(not_opened)?;
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    // The first access to the content, before anything is changed.
    let (application, format) = (number("application_id"), number("user_version"));
    let (application, format) = (application.map_err(not_opened)?, format.map_err(not_opened)?);
    let is_new = (application, format) == (0, 0) && is_empty(&connection).map_err(not_opened)?;
    match (application, usize::try_from(format)) {
        (APPLICATION, Ok(found)) if found > STEPS.len() => {
            let (path, found, known) = (path.to_owned(), found as u64, FORMAT);
            return Err(NotOpened::Newer(Newer { path, found, known }));
        }
        (APPLICATION, Ok(found)) if found == STEPS.len() => {}
        (APPLICATION, Ok(found)) => upgrade(&mut connection, found).map_err(not_opened)?,
        _ if is_new => {
            upgrade(&mut connection, 0).map_err(not_opened)?;
            if follows_another {
                skip_event_numbers(&connection).map_err(not_opened)?;
            }
        }
        _ => return Err(NotOpened::Unusable("it is a database of something else".to_owned())),
    }
    connection.execute_batch(SETTINGS).map_err(not_opened)?;
    Ok(connection)
}

/// Creates the file if it is missing, readable by its owner only. Checks that it is a regular file, and
/// sets aside anything else in the places of its companion files.
fn prepare(path: &Path) -> Result<(), NotOpened> {
    for suffix in COMPANIONS {
        let companion = file::beside(path, suffix);
        if !file::is_regular_or_absent(&companion).map_err(NotOpened::Failed)? {
            file::set_aside(&companion).map_err(NotOpened::Failed)?;
        }
    }
    if !file::is_regular_or_absent(path).map_err(NotOpened::Failed)? {
        return Err(NotOpened::Unusable("not a regular file".to_owned()));
    }
    file::create_empty(path).map_err(NotOpened::Failed)?;
    // SQLite treats a file of a few bytes as an empty one and would overwrite it.
    let head = file::head(path, MAGIC.len()).map_err(NotOpened::Failed)?;
    if head.is_some_and(|head| !head.is_empty() && head != MAGIC) {
        return Err(NotOpened::Unusable("it is not a database".to_owned()));
    }
    Ok(())
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

/// Upgrades the tables to the present format in one transaction.
fn upgrade(connection: &mut Connection, from: usize) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    STEPS[from..].iter().try_for_each(|step| transaction.execute_batch(step))?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", FORMAT as i64)?;
    transaction.commit()
}

/// Makes the first event follow the number of seconds since 1970, so that numbers go on rising for those who know
/// one of a file that is lost. No file has had so many events.
fn skip_event_numbers(connection: &Connection) -> rusqlite::Result<()> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
    let statement = "INSERT INTO sqlite_sequence (name, seq) VALUES ('events', ?1)";
    connection.execute(statement, [seconds]).map(|_| ())
}

/// Returns the format of a file from its first bytes.
pub(crate) fn format_of(head: &[u8]) -> Option<u64> {
    let number = |at: usize| Some(u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let is_ours = head.starts_with(MAGIC) && i64::from(number(APPLICATION_AT)?) == APPLICATION;
    is_ours.then(|| number(FORMAT_AT).map(u64::from)).flatten()
}

fn not_opened(error: rusqlite::Error) -> NotOpened {
    if is_damage(&error) {
        return NotOpened::Unusable(error.to_string());
    }
    NotOpened::Failed(io::Error::other(error))
}
