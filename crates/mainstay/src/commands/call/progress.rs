//! Shows the progress of a call while the command waits for its result.

use std::io::{self, Write};

use mainstay_admin::client::Notice;
use serde::Deserialize;

use crate::output::{Output, Waiting, format};

/// The progress of one call.
pub(super) struct Progress<'a> {
    tool: String,
    waiting: &'a Waiting,
    /// Whether log messages of the server are shown, too.
    messages: bool,
}

#[derive(Deserialize)]
struct Params {
    progress: f64,
    total: Option<f64>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct LogParams {
    #[serde(default)]
    level: String,
    data: serde_json::Value,
}

// === impl Progress ===

impl<'a> Progress<'a> {
    pub(super) fn new(tool: &str, waiting: &'a Waiting, out: &Output) -> Self {
        let tool = format::harmless(tool);
        waiting.say(format!("calling {tool}"));
        Self { tool, waiting, messages: out.verbose }
    }

    pub(super) fn note(&self, notice: &Notice<'_>) {
        match notice.method {
            "notifications/progress" if self.waiting.is_on() => {
                if let Ok(params) = serde_json::from_str(notice.params) {
                    self.waiting.say(format!("{}: {}", self.tool, line(&params)));
                }
            }
            "notifications/message" if self.messages => self.message(notice.params),
            _ => {}
        }
    }

    fn message(&self, params: &str) {
        let Ok(LogParams { level, data }) = serde_json::from_str(params) else { return };
        let text = data.as_str().map_or_else(|| data.to_string(), str::to_owned);
        self.waiting.clear();
        let line = format!("{level}: {text}");
        let _ = writeln!(io::stderr().lock(), "{}", format::harmless(&line));
    }
}

/// `3 of 10 (30 %): reading`, `42: reading`.
fn line(params: &Params) -> String {
    let mut text = params.progress.to_string();
    if let Some(total) = params.total.filter(|total| *total > 0.0) {
        let percent = (params.progress / total * 100.0).clamp(0.0, 100.0);
        text = format!("{text} of {total} ({percent:.0} %)");
    }
    if let Some(message) = params.message.as_deref().filter(|message| !message.is_empty()) {
        text = format!("{text}: {message}");
    }
    format::first_line(&text)
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn progress_is_one_line() {
        for (params, expected) in [
            (r#"{"progress":3,"total":10,"message":"reading"}"#, "3 of 10 (30 %): reading"),
            (r#"{"progress":0.5}"#, "0.5"),
            (r#"{"progress":7,"total":3}"#, "7 of 3 (100 %)"),
            (r#"{"progress":1,"total":0,"message":"a\u001b[2J\nb"}"#, "1: a\\u{1b}[2J…"),
        ] {
            assert_eq!(line(&serde_json::from_str(params).unwrap()), expected);
        }
    }
}
