//! Keys of which exactly one must be written.

use crate::document::At;
use crate::notes::Notes;
use crate::typed::{Named, Table};

/// A table that is checked, and what messages call it.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) table: &'a Table,
    /// Where the table begins.
    pub(super) at: &'a At,
    /// The path of the table: `servers.weather.probe`.
    pub(super) path: &'a str,
    /// ``server `weather` ``
    pub(super) called: &'a str,
}

/// Notes an error when none or several of `keys` are written, at each that is one too many. Says whether it
/// is one.
pub(super) fn exactly_one(
    one: &Named,
    noun: &str,
    keys: &[&'static str],
    notes: &mut Notes,
) -> bool {
    let called = format!("{noun} `{}`", one.name);
    let subject = Subject { table: &one.table, at: &one.at, path: &one.path, called: &called };
    subject.exactly_one(keys, notes)
}

// === impl Subject ===

impl Subject<'_> {
    /// Notes an error when none or several of `keys` are written, at each that is one too many. Says whether
    /// it is one.
    pub(super) fn exactly_one(self, keys: &[&'static str], notes: &mut Notes) -> bool {
        let Self { table, at, path, called } = self;
        let mut written: Vec<_> = keys.iter().filter(|key| table.is_written(key)).collect();
        written.sort_by_key(|key| table.at(key).rank());
        let choice = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        let Some((first, others)) = written.split_first() else {
            let lacks = match keys {
                [one, other] => format!("neither `{one}` nor `{other}`"),
                _ => format!("none of {choice}"),
            };
            let message = format!("{called} has {lacks}");
            notes.error(at, path, message).help(format!("write exactly one of {choice}"));
            return false;
        };
        for key in others {
            let message = format!("{called} has `{first}` already");
            notes
                .error(table.at(key), &format!("{path}.{key}"), message)
                .help(format!("write exactly one of {choice}"));
        }
        others.is_empty()
    }
}
