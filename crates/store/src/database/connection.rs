//! Opening the file: what it must be, what is made of one that is older, and what becomes of one that
//! can't be used.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::io_error;
use crate::file;

/// A newer version of the daemon has written the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newer {
    pub path: PathBuf,
    /// The format that was found.
    pub found: u64,
    /// The newest format that this version reads.
    pub known: u64,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum NotOpened {
    Newer(Newer),
    /// The content is not that of a database of the daemon.
    Unusable(String),
    Failed(io::Error),
}

/// What every file of SQLite begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// `application_id` of the file: the bytes of `Msty`.
const APPLICATION: i64 = 0x4d73_7479;
/// `user_version` of the file: the format of its tables.
const FORMAT: i64 = 1;
/// How long a lock of somebody who reads the file, such as the `sqlite3` program, is waited for.
const BUSY_DEADLINE: Duration = Duration::from_secs(1);

/// `synchronous = FULL` brings each commit to the disk: what was confirmed survives a power cut, and there
/// are few commits. The log beside the file (WAL) lets others read while the daemon writes.
const SETTINGS: &str =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";

/// Tables of format 1.
const TABLES: &str = "
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        token TEXT,
        peer TEXT NOT NULL,
        request_id TEXT NOT NULL,
        action TEXT NOT NULL,
        target TEXT,
        outcome TEXT NOT NULL,
        why TEXT
    ) STRICT;
";

/// Opens the file; one that can't be used is set aside, with a warning, and a new one begins.
pub(super) fn open(path: &Path) -> Result<Connection, NotOpened> {
    match open_once(path) {
        Err(NotOpened::Unusable(why)) => {
            set_aside(path, &why).map_err(NotOpened::Failed)?;
            open_once(path)
        }
        opened => opened,
    }
}

/// Whether an error says that the content of the file is damaged.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// Renames the file and what belongs to it to `FILE.unreadable`.
pub(super) fn set_aside(path: &Path, why: &str) -> io::Result<()> {
    let aside = file::set_aside(path)?;
    // Without them the file misses its newest entries, and with them another one would be damaged.
    for suffix in COMPANIONS {
        match file::set_aside_as(&file::beside(path, suffix), &file::beside(&aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let (path, aside) = (path.display(), aside.display());
    tracing::warn!(
        target: "mainstay", %path, %aside, why,
        "the audit log and other tables can't be used; the file is set aside and a new one begins"
    );
    Ok(())
}

/// Files that SQLite has beside its own.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

fn open_once(path: &Path) -> Result<Connection, NotOpened> {
    prepare(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(not_opened)?;
    connection.busy_timeout(BUSY_DEADLINE).map_err(not_opened)?;
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    // The first look at the content: before anything is changed.
    let (application, format) = (number("application_id"), number("user_version"));
    let (application, format) = (application.map_err(not_opened)?, format.map_err(not_opened)?);
    match (application, format) {
        (APPLICATION, FORMAT) => {}
        (APPLICATION, found @ FORMAT..) => {
            let (path, found, known) = (path.to_owned(), found as u64, FORMAT as u64);
            return Err(NotOpened::Newer(Newer { path, found, known }));
        }
        (0, 0) if is_empty(&connection).map_err(not_opened)? => {
            create(&mut connection).map_err(not_opened)?;
        }
        _ => return Err(NotOpened::Unusable("it is a database of something else".to_owned())),
    }
    connection.execute_batch(SETTINGS).map_err(not_opened)?;
    Ok(connection)
}

/// Sees to it that there is a regular file, readable by its owner only, and that nothing else is in the
/// place of the files that SQLite has beside it.
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
    // SQLite takes a file of a few bytes for an empty one, and would write over it.
    let head = file::head(path, MAGIC.len()).map_err(NotOpened::Failed)?;
    if !head.is_empty() && head != MAGIC {
        return Err(NotOpened::Unusable("it is no database".to_owned()));
    }
    Ok(())
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

fn not_opened(error: rusqlite::Error) -> NotOpened {
    if is_damage(&error) {
        return NotOpened::Unusable(error.to_string());
    }
    NotOpened::Failed(io_error(error))
}
