//! Deadlines of servers, and rules for their tools.

use crate::notes::Notes;
use crate::typed::{Named, Table};
use crate::units::format_duration;

pub(super) fn check(server: &Named, notes: &mut Notes) {
    deadlines(&server.table, &server.path, notes);
    for rule in server.table.rules("tools") {
        deadlines(&rule.table, &rule.path, notes);
    }
}

/// Of two deadlines in one table, the greater one must be the maximum.
fn deadlines(table: &Table, path: &str, notes: &mut Notes) {
    let (Some(call), Some(most)) =
        (table.duration("call_timeout"), table.duration("call_timeout_max"))
    else {
        return;
    };
    if call > most {
        let message = format!(
            "`call_timeout` is {}, more than `call_timeout_max`, which is {}",
            format_duration(call),
            format_duration(most)
        );
        notes.error(table.at("call_timeout"), &format!("{path}.call_timeout"), message);
    }
}
