//! Reports syntax errors in TOML, with the likely correction.

use crate::document::{At, SyntaxError};
use crate::notes::Notes;
use crate::source::Source;

/// Reports each broken line once. After an unclosed quote or bracket, or in another language, the
/// rest can't be judged.
pub(crate) fn tell(text: &str, errors: &[SyntaxError], source: &Source<'_>, notes: &mut Notes) {
    let is_json = text.trim_start_matches('\u{feff}').trim_start().starts_with('{');
    let mut last_line = 0;
    // The start of a table that was defined before. All of its keys are duplicates, too.
    let mut twice = None;
    for error in errors {
        let line = source.line_number(error.span.start);
        let begins_table = |line: usize| source.line(line).trim_start().starts_with('[');
        let is_double = error.message == "duplicate key";
        if is_double && twice.is_some_and(|table: usize| !(table + 1..=line).any(begins_table)) {
            continue;
        }
        if is_double && begins_table(line) {
            twice = Some(line);
        }
        if line != last_line {
            last_line = line;
            let help = if is_json {
                Some(
                    "this is JSON; `mainstay import FILE` imports the servers of a client's file"
                        .to_owned(),
                )
            } else {
                let before = text.get(source.line_start(line)..error.span.start);
                help(error, source.line(line), before.unwrap_or_default().trim().is_empty())
            };
            let message = format!("this is not valid TOML: {}", error.message);
            notes.error(&At::File(error.span.clone()), "", message).help(help);
        }
        if is_json || error.is_unclosed() {
            break;
        }
    }
}

/// The likely correction of the commonest mistakes. `begins`: whether the error is at the start of
/// the line.
fn help(error: &SyntaxError, line: &str, begins: bool) -> Option<String> {
    let is_table = line.trim_start().starts_with('[');
    if error.is_comma_missing() {
        return Some("a bracket may be missing above".to_owned());
    }
    if error.message == "duplicate key" {
        return Some(if is_table {
            "this name is already used above; names must be unique".to_owned()
        } else {
            "this key is already set above, in the same table".to_owned()
        });
    }
    if is_table && error.message.starts_with("invalid unquoted key") {
        return Some("names have only letters from a to z, digits, `-` and `_`".to_owned());
    }
    if line.contains(['\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}']) {
        return Some("write strings in straight quotes: \"text\"".to_owned());
    }
    let Some((key, value)) = line.split_once('=') else {
        let key = line.split_once(':').map(|(key, _)| key.trim());
        let is_key = key.is_some_and(|key| key.chars().all(|c| c.is_alphanumeric() || c == '_'));
        return is_key.then(|| "separate a key and its value by `=`, not `:`".to_owned());
    };
    let is_word =
        |text: &str| text.starts_with(|c: char| c.is_alphanumeric() || "./~$".contains(c));
    let value = value.trim();
    if !is_word(key.trim()) {
        return None;
    }
    if !is_word(value) {
        // The key of this line was parsed as a value.
        let is_value = begins && error.message.contains("must be quoted");
        return is_value.then(|| "a bracket may be missing above".to_owned());
    }
    let word = value.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let truths = ["true", "false", "yes", "no", "on", "off"];
    Some(if truths.contains(&&*word.to_lowercase()) {
        "write true or false".to_owned()
    } else {
        "write strings in quotes, as in key = \"text\"".to_owned()
    })
}
