//! Keys of which exactly one must be written.

use crate::notes::Notes;
use crate::typed::Named;

/// Notes an error when none or several of `keys` are written, at each that is one too many.
pub(super) fn exactly_one(one: &Named, noun: &str, keys: &[&'static str], notes: &mut Notes) {
    let mut written: Vec<_> = keys.iter().filter(|key| one.table.is_written(key)).collect();
    written.sort_by_key(|key| one.table.at(key).rank());
    let choice = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    let Some((first, others)) = written.split_first() else {
        let lacks = match keys {
            [one, other] => format!("neither `{one}` nor `{other}`"),
            _ => format!("none of {choice}"),
        };
        let message = format!("{noun} `{}` has {lacks}", one.name);
        notes.error(&one.at, &one.path, message).help(format!("write exactly one of {choice}"));
        return;
    };
    for key in others {
        let message = format!("{noun} `{}` has `{first}` already", one.name);
        notes
            .error(one.table.at(key), &format!("{}.{key}", one.path), message)
            .help(format!("write exactly one of {choice}"));
    }
}
