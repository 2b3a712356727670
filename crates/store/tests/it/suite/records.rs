//! Keys, the audit log, and records.

use std::collections::BTreeSet;

use mainstay_store::{AuditEntry, AuditOutcome, KEY_BYTES, KeyName, Put, Row, Table, audit, table};

use crate::places::{NOW, Place};

pub(super) fn entry(number: u64) -> AuditEntry {
    AuditEntry {
        at_ms: NOW * 1000 + number,
        token: Some("deploy".to_owned()),
        peer: "192.0.2.7".to_owned(),
        request_id: format!("r{number}"),
        action: "server.restart".to_owned(),
        target: Some("files".to_owned()),
        outcome: AuditOutcome::Done,
    }
}

pub(crate) async fn keys_are_the_same_for_everybody(mut place: impl Place) {
    let first = place.open();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let keys = first.keys.clone();
        tasks.spawn(async move { keys.get_or_create(KeyName::Session).await.unwrap() });
    }
    let keys: BTreeSet<_> = tasks.join_all().await.into_iter().collect();
    assert_eq!(keys.len(), 1);
    let other = first.keys.get_or_create(KeyName::Token).await.unwrap();
    assert!(!keys.contains(&other) && !keys.contains(&[0; KEY_BYTES]));
    place.crash();
    let second = place.open();
    assert!(keys.contains(&second.keys.get_or_create(KeyName::Session).await.unwrap()));
    assert_eq!(second.keys.get_or_create(KeyName::Token).await.unwrap(), other);
}

pub(crate) async fn the_audit_log_survives_in_its_order(mut place: impl Place) {
    let entries = [
        AuditEntry { outcome: AuditOutcome::Denied, token: None, ..entry(3) },
        AuditEntry { outcome: AuditOutcome::Failed("no such server".to_owned()), ..entry(1) },
        AuditEntry { target: None, peer: "socket".to_owned(), ..entry(2) },
    ];
    let first = place.open();
    entries.iter().for_each(|entry| first.audit.record(entry.clone()));
    assert!(first.audit.stored().await);
    place.crash();
    let second = place.open();
    let newest_first: Vec<_> = entries.iter().rev().cloned().collect();
    assert_eq!(second.audit.recent(10).await.unwrap(), newest_first);
    assert_eq!(second.audit.recent(1).await.unwrap(), newest_first[..1]);
    assert_eq!(second.audit.recent(0).await.unwrap(), []);
}

pub(crate) async fn the_audit_log_is_bounded(mut place: impl Place) {
    let backend = place.open();
    let total = audit::PAGE_MAX as u64 + 200;
    for number in 0..total {
        backend.audit.record(entry(number));
        if number % 500 == 0 {
            assert!(backend.audit.stored().await);
        }
    }
    assert!(backend.audit.stored().await);
    let page = backend.audit.recent(usize::MAX).await.unwrap();
    assert_eq!((page.len(), &page[0]), (audit::PAGE_MAX, &entry(total - 1)));
    backend.audit.record(AuditEntry { action: "ä".repeat(audit::TEXT_BYTES_MAX), ..entry(0) });
    let newest = backend.audit.recent(1).await.unwrap().remove(0);
    assert_eq!(newest.action.len(), audit::TEXT_BYTES_MAX);
}

pub(crate) async fn records_survive_with_their_versions(mut place: impl Place) {
    let first = place.open();
    assert_eq!(first.users.get("ada").await, Ok(None));
    assert_eq!(first.users.put("ada", 0, b"one").await, Ok(Put::Done { version: 1 }));
    assert_eq!(first.users.put("ada", 1, b"two\0").await, Ok(Put::Done { version: 2 }));
    assert_eq!(first.users.put("bob", 0, b"").await, Ok(Put::Done { version: 1 }));
    assert_eq!(first.users.remove("bob").await, Ok(true));
    assert_eq!(first.users.remove("bob").await, Ok(false));
    assert_eq!(first.usage.put("ada", 0, b"usage").await, Ok(Put::Done { version: 1 }));
    place.crash();
    let second = place.open();
    let row = Row { key: "ada".to_owned(), version: 2, value: b"two\0".to_vec() };
    assert_eq!(second.users.get("ada").await, Ok(Some(row)));
    assert_eq!(second.users.get("bob").await, Ok(None));
    assert_eq!(second.approvals.get("ada").await, Ok(None), "kinds don't mix");
    assert_eq!(second.usage.get("ada").await.unwrap().unwrap().value, b"usage");
}

pub(crate) async fn a_record_that_has_changed_is_not_overwritten(mut place: impl Place) {
    let table = place.open().approvals;
    assert_eq!(table.put("a", 1, b"x").await, Ok(Put::Conflict { version: 0 }));
    assert_eq!(table.put("a", 0, b"x").await, Ok(Put::Done { version: 1 }));
    assert_eq!(table.put("a", 0, b"y").await, Ok(Put::Conflict { version: 1 }));
    assert_eq!(table.put("a", 2, b"y").await, Ok(Put::Conflict { version: 1 }));
    assert_eq!(table.get("a").await.unwrap().unwrap().value, b"x");
    // One that was removed begins anew.
    assert_eq!(table.remove("a").await, Ok(true));
    assert_eq!(table.put("a", 1, b"y").await, Ok(Put::Conflict { version: 0 }));
    assert_eq!(table.put("a", 0, b"y").await, Ok(Put::Done { version: 1 }));
}

pub(crate) async fn records_are_listed_by_key_in_pages(mut place: impl Place) {
    let table = place.open().usage;
    let mut keys = ["b", "a", "ä", "Z", "a/b", "a b"].map(str::to_owned);
    for key in &keys {
        table.put(key, 0, key.as_bytes()).await.unwrap();
    }
    keys.sort();
    let (mut listed, mut after) = (Vec::new(), String::new());
    loop {
        let page = table.list(&after, 4).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 4);
        after.clone_from(&last.key);
        listed.extend(page.into_iter().map(|row| row.key));
    }
    assert_eq!(listed, keys);
    assert!(table.list("", usize::MAX).await.unwrap().len() <= table::PAGE_MAX);
}

/// Adds one to a counter, as often as it takes.
async fn add_one(table: &dyn Table) {
    loop {
        let row = table.get("counter").await.unwrap();
        let (version, count) = row.map_or((0, 0), |row| {
            (row.version, String::from_utf8(row.value).unwrap().parse::<u64>().unwrap())
        });
        let next = (count + 1).to_string();
        if let Put::Done { .. } = table.put("counter", version, next.as_bytes()).await.unwrap() {
            return;
        }
    }
}

pub(crate) async fn records_are_changed_by_many_at_once_without_a_loss(mut place: impl Place) {
    let first = place.open();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let table = first.usage.clone();
        tasks.spawn(async move {
            for _ in 0..10 {
                add_one(&*table).await;
            }
        });
    }
    tasks.join_all().await;
    place.crash();
    let row = place.open().usage.get("counter").await.unwrap().unwrap();
    assert_eq!((row.version, &*row.value), (40, &b"40"[..]));
}

pub(crate) async fn closing_keeps_everything(mut place: impl Place) {
    let first = place.open();
    let own = first.sessions.next();
    first.sessions.ended(own, NOW);
    first.audit.record(entry(1));
    first.names.save("work", &Default::default());
    assert!(first.upkeep.close().await);
    place.crash();
    let second = place.open();
    assert_eq!(second.sessions.status(own).await, Ok(mainstay_store::SessionStatus::Ended));
    assert_eq!(second.audit.recent(2).await.unwrap(), [entry(1)]);
    assert_eq!(second.names.load().await.unwrap().len(), 1);
    assert_eq!(second.upkeep.state().failing, None);
}
