//! Formats servers as TOML, appended to a file that keeps everything it has.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

use crate::line_ends;
use crate::units::format_duration;

/// A server for the configuration, without secrets.
pub(super) struct Ready {
    pub(super) name: String,
    pub(super) comment: String,
    pub(super) runs: Runs,
    pub(super) env: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) cwd: Option<String>,
    pub(super) required: bool,
    pub(super) start_timeout: Option<Duration>,
}

pub(super) enum Runs {
    Command(Vec<String>),
    Url(String),
}

/// Most entries of an inline table; a table with more entries has a line for each.
const INLINE_MAX: usize = 2;

/// Formats the servers, separated by blank lines.
pub(super) fn render(servers: &[Ready]) -> String {
    let mut text = String::new();
    for server in servers {
        if !text.is_empty() {
            text.push('\n');
        }
        let comment: String = server.comment.chars().filter(|c| !c.is_control()).collect();
        if !comment.is_empty() {
            text.push_str(&format!("# {comment}\n"));
        }
        let mut document = DocumentMut::new();
        let mut all = Table::new();
        all.set_implicit(true);
        all.insert(&server.name, Item::Table(server.table()));
        document.insert("servers", Item::Table(all));
        text.push_str(document.to_string().trim_start());
    }
    text
}

/// Appends the servers to the configuration.
pub(super) fn append(config: &str, toml: &str, servers: &[Ready]) -> String {
    if servers.is_empty() {
        return config.to_owned();
    }
    let newline = if config.contains("\r\n") { "\r\n" } else { "\n" };
    let toml = toml.replace('\n', newline);
    let gap = match config {
        "" => String::new(),
        _ if config.ends_with('\n') => newline.to_owned(),
        _ => newline.repeat(2),
    };
    let appended = format!("{config}{gap}{toml}");
    if appended.parse::<DocumentMut>().is_ok() {
        return appended;
    }
    // Servers in an inline table can't be extended by a table below.
    match inserted(config, servers) {
        Some(inserted) => inserted,
        None => appended,
    }
}

fn inserted(config: &str, servers: &[Ready]) -> Option<String> {
    let mut document = config.parse::<DocumentMut>().ok()?;
    let table = document.get_mut("servers")?.as_table_like_mut()?;
    for server in servers {
        table.insert(
            &server.name,
            Item::Value(Value::InlineTable(server.table().into_inline_table())),
        );
    }
    Some(line_ends::kept(config, &document.to_string()))
}

/// The `Authorization` header for the user information of an address.
pub(super) fn basic(user: &str) -> String {
    let decoded = percent_decoded(user);
    // A token in place of a user has no colon, which the scheme wants.
    let decoded = if user.contains(':') { decoded } else { [&decoded[..], b":"].concat() };
    format!("Basic {}", STANDARD.encode(decoded))
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

// === impl Runs ===

impl Runs {
    /// The words that identify what a configuration runs.
    pub(super) fn words(&self) -> Vec<String> {
        match self {
            Self::Command(words) => words.clone(),
            Self::Url(url) => vec![url.clone()],
        }
    }
}

// === impl Ready ===

impl Ready {
    fn table(&self) -> Table {
        let mut table = Table::new();
        match &self.runs {
            Runs::Command(words) => {
                table.insert("command", Item::Value(words.iter().collect::<Array>().into()));
            }
            Runs::Url(url) => {
                table.insert("url", toml_edit::value(url));
            }
        }
        if let Some(cwd) = &self.cwd {
            table.insert("cwd", toml_edit::value(cwd));
        }
        if self.required {
            table.insert("required", toml_edit::value(true));
        }
        if let Some(timeout) = self.start_timeout {
            table.insert("start_timeout", toml_edit::value(format_duration(timeout)));
        }
        for (key, pairs) in [("env", &self.env), ("headers", &self.headers)] {
            if pairs.is_empty() {
                continue;
            }
            let inline: InlineTable = pairs.iter().map(|(key, value)| (key, value)).collect();
            let item = if pairs.len() > INLINE_MAX {
                Item::Table(inline.into_table())
            } else {
                Item::Value(Value::InlineTable(inline))
            };
            table.insert(key, item);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::basic;

    #[test]
    fn a_user_of_an_address_becomes_a_header() {
        assert_eq!(basic("Aladdin:open%20sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(basic("token"), "Basic dG9rZW46");
    }
}
