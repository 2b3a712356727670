//! Stores the log of events in a table.

use rusqlite::{Connection, Row, Transaction, params};

use super::{Database, EVENTS_WAITING_MAX};
use crate::answer::{Answer, Stored};
use crate::events::{
    EVENTS_MAX, EVENTS_OF_ONE_MAX, Event, EventLog, EventPage, EventsAsked, EventsOf, PAGE_MAX,
    StoredEvent,
};

const INSERT: &str =
    "INSERT INTO events (at_ms, server, instance, condition_before, condition, reason, brief_reason)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const PRUNE_ONE: &str = "DELETE FROM events WHERE server IS ?1 AND id <=
    (SELECT id FROM events WHERE server IS ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
const PRUNE_ALL: &str = "DELETE FROM events WHERE id <=
    (SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?1)";
const PRUNE_OLD: &str = "DELETE FROM events WHERE at_ms < ?1";
/// All events together are counted once for so many: counting takes longer than adding one.
const PRUNE_EVERY: u64 = 64;
/// What the number of events of all is reduced to, so that it never exceeds [`EVENTS_MAX`].
const KEPT: u64 = EVENTS_MAX - PRUNE_EVERY;

const COLUMNS: &str =
    "SELECT id, at_ms, server, instance, condition_before, condition, reason, brief_reason
    FROM events WHERE id > ?1 AND at_ms >= ?2";
const OF_DAEMON: &str = " AND server IS NULL";
const OF_SERVER: &str = " AND server = ?4";
const NEWEST: &str = " ORDER BY id DESC LIMIT ?3";
const OLDEST: &str = " ORDER BY id ASC LIMIT ?3";

impl EventLog for Database {
    fn record(&self, event: Event) {
        let event = event.cut();
        self.change_within(
            EVENTS_WAITING_MAX,
            Box::new(move |transaction| insert(transaction, &event)),
        );
    }

    fn page(&self, asked: EventsAsked) -> Answer<'_, EventPage> {
        Box::pin(self.read(move |connection| page(connection, &asked)))
    }

    fn stored(&self) -> Stored<'_> {
        Box::pin(self.stored())
    }
}

fn insert(transaction: &Transaction<'_>, event: &Event) -> rusqlite::Result<()> {
    let Event { server, from, to, reason, brief_reason, .. } = event;
    let (at_ms, instance) = (signed(event.at_ms), event.instance.map(signed));
    let values = params![at_ms, server, instance, from, to, reason, brief_reason];
    transaction.prepare(INSERT)?.execute(values)?;
    let of_one = signed(EVENTS_OF_ONE_MAX);
    transaction.prepare(PRUNE_ONE)?.execute(params![server, of_one])?;
    if transaction.last_insert_rowid().unsigned_abs().is_multiple_of(PRUNE_EVERY) {
        transaction.prepare(PRUNE_ALL)?.execute([signed(KEPT)])?;
        transaction.prepare(PRUNE_OLD)?.execute([signed(event.keeps_since_ms())])?;
    }
    Ok(())
}

fn page(connection: &Connection, asked: &EventsAsked) -> rusqlite::Result<EventPage> {
    let limit = asked.limit.min(PAGE_MAX);
    let is_newest = asked.after.is_none();
    let of = match asked.of {
        EventsOf::All => "",
        EventsOf::Daemon => OF_DAEMON,
        EventsOf::Server(_) => OF_SERVER,
    };
    let statement = [COLUMNS, of, if is_newest { NEWEST } else { OLDEST }].concat();
    let mut statement = connection.prepare(&statement)?;
    let (after, since) = (signed(asked.after.unwrap_or(0)), signed(asked.since_ms));
    // One more tells that there are more.
    let most = limit as i64 + 1;
    let mut events: Vec<StoredEvent> = match &asked.of {
        EventsOf::Server(name) => {
            let rows = statement.query_map(params![after, since, most, name], event)?;
            rows.collect::<Result<_, _>>()?
        }
        EventsOf::All | EventsOf::Daemon => {
            let rows = statement.query_map(params![after, since, most], event)?;
            rows.collect::<Result<_, _>>()?
        }
    };
    let is_cut = events.len() > limit;
    events.truncate(limit);
    if is_newest {
        events.reverse();
    }
    Ok(EventPage { events, is_cut })
}

fn event(row: &Row<'_>) -> rusqlite::Result<StoredEvent> {
    let unsigned = |name| row.get::<_, i64>(name).map(i64::unsigned_abs);
    Ok(StoredEvent {
        id: unsigned("id")?,
        event: Event {
            at_ms: unsigned("at_ms")?,
            server: row.get("server")?,
            instance: row.get::<_, Option<i64>>("instance")?.map(i64::unsigned_abs),
            from: row.get("condition_before")?,
            to: row.get("condition")?,
            reason: row.get("reason")?,
            brief_reason: row.get("brief_reason")?,
        },
    })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
