//! Stores the audit log in a table.

use rusqlite::{Row, params};

use super::Database;
use crate::answer::{Answer, Stored};
use crate::audit::{AuditEntry, AuditLog, AuditOutcome, ENTRIES_MAX, PAGE_MAX};

const INSERT: &str =
    "INSERT INTO audit (at_ms, token, peer, request_id, action, target, outcome, why)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
/// Ids are consecutive, so this statement keeps exactly that many entries.
const PRUNE: &str = "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?1";
const RECENT: &str = "SELECT at_ms, token, peer, request_id, action, target, outcome, why
    FROM audit ORDER BY id DESC LIMIT ?1";

impl AuditLog for Database {
    fn record(&self, entry: AuditEntry) {
        let entry = entry.cut();
        self.change(Box::new(move |transaction| {
            let AuditEntry { at_ms, token, peer, request_id, action, target, outcome } = &entry;
            let (outcome, why) = match outcome {
                AuditOutcome::Done => ("done", None),
                AuditOutcome::Denied => ("denied", None),
                AuditOutcome::Failed(why) => ("failed", Some(why)),
            };
            let at_ms = i64::try_from(*at_ms).unwrap_or(i64::MAX);
            let entry = params![at_ms, token, peer, request_id, action, target, outcome, why];
            transaction.prepare(INSERT)?.execute(entry)?;
            transaction.prepare(PRUNE)?.execute([ENTRIES_MAX as i64])?;
            Ok(())
        }));
    }

    fn recent(&self, limit: usize) -> Answer<'_, Vec<AuditEntry>> {
        let limit = limit.min(PAGE_MAX) as i64;
        Box::pin(self.read(move |connection| {
            connection.prepare(RECENT)?.query_map([limit], entry)?.collect()
        }))
    }

    fn stored(&self) -> Stored<'_> {
        Box::pin(self.stored())
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let why: Option<String> = row.get("why")?;
    let outcome = match row.get::<_, String>("outcome")?.as_str() {
        "done" => AuditOutcome::Done,
        "denied" => AuditOutcome::Denied,
        _ => AuditOutcome::Failed(why.unwrap_or_default()),
    };
    Ok(AuditEntry {
        at_ms: row.get::<_, i64>("at_ms")?.unsigned_abs(),
        token: row.get("token")?,
        peer: row.get("peer")?,
        request_id: row.get("request_id")?,
        action: row.get("action")?,
        target: row.get("target")?,
        outcome,
    })
}
