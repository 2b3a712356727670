//! Stores records by key. All kinds share one table of the file.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, TransactionBehavior, params};

use super::Database;
use crate::answer::Answer;
use crate::table::{PAGE_MAX, Put, Row, Table};

/// The subject of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Users,
    Approvals,
    Usage,
    StoppedByHand,
}

/// Gives access to the records of one kind.
#[derive(Debug)]
pub(crate) struct RecordTable {
    database: Arc<Database>,
    kind: Kind,
}

const GET: &str = "SELECT key, version, value FROM records WHERE kind = ?1 AND key = ?2";
const LIST: &str = "SELECT key, version, value FROM records WHERE kind = ?1 AND key > ?2
    ORDER BY key LIMIT ?3";
const VERSION: &str = "SELECT version FROM records WHERE kind = ?1 AND key = ?2";
const PUT: &str =
    "INSERT OR REPLACE INTO records (kind, key, version, value) VALUES (?1, ?2, ?3, ?4)";
const REMOVE: &str = "DELETE FROM records WHERE kind = ?1 AND key = ?2";

// === impl Database ===

impl Database {
    pub(crate) fn table(database: &Arc<Self>, kind: Kind) -> RecordTable {
        RecordTable { database: database.clone(), kind }
    }
}

// === impl Kind ===

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Approvals => "approvals",
            Self::Usage => "usage",
            Self::StoppedByHand => "stopped",
        }
    }
}

// === impl RecordTable ===

impl Table for RecordTable {
    fn get(&self, key: &str) -> Answer<'_, Option<Row>> {
        let (kind, key) = (self.kind.name(), key.to_owned());
        Box::pin(
            self.database.read(move |connection| {
                connection.query_row(GET, params![kind, key], row).optional()
            }),
        )
    }

    fn list(&self, after: &str, limit: usize) -> Answer<'_, Vec<Row>> {
        let (kind, after, limit) = (self.kind.name(), after.to_owned(), limit.min(PAGE_MAX) as i64);
        Box::pin(self.database.read(move |connection| {
            let mut statement = connection.prepare(LIST)?;
            let rows = statement.query_map(params![kind, after, limit], row)?;
            rows.collect()
        }))
    }

    fn put(&self, key: &str, version: u64, value: &[u8]) -> Answer<'_, Put> {
        let (kind, key, value) = (self.kind.name(), key.to_owned(), value.to_vec());
        Box::pin(self.database.ask(move |connection| put(connection, kind, &key, version, &value)))
    }

    fn remove(&self, key: &str) -> Answer<'_, bool> {
        let (kind, key) = (self.kind.name(), key.to_owned());
        Box::pin(
            self.database
                .ask(move |connection| Ok(connection.execute(REMOVE, params![kind, key])? > 0)),
        )
    }
}

fn put(
    connection: &mut Connection,
    kind: &str,
    key: &str,
    version: u64,
    value: &[u8],
) -> rusqlite::Result<Put> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = transaction.query_row(VERSION, params![kind, key], |row| row.get::<_, i64>(0));
    let found = found.optional()?.unwrap_or(0).unsigned_abs();
    if found != version {
        return Ok(Put::Conflict { version: found });
    }
    let version = version + 1;
    transaction.execute(PUT, params![kind, key, version as i64, value])?;
    transaction.commit()?;
    Ok(Put::Done { version })
}

fn row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    let version = row.get::<_, i64>("version")?.unsigned_abs();
    Ok(Row { key: row.get("key")?, version, value: row.get("value")? })
}
