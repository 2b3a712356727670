//! Shows the progress of a call in one terminal line that is redrawn in place.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use mainstay_admin::client::Notice;
use serde::Deserialize;

use crate::output::{Output, format};

/// Shortest time between two redraws. A server may report progress thousands of times.
const REDRAW: Duration = Duration::from_millis(50);
/// Most characters of the line: fits the narrowest common terminal.
const LINE_CHARS_MAX: usize = 78;

/// The progress line of a call.
pub(super) struct Progress {
    shown: bool,
    on: bool,
    /// Whether log messages of the server are shown, too.
    messages: bool,
    drawn: Option<Instant>,
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

impl Progress {
    pub(super) fn new(out: &Output) -> Self {
        Self { shown: false, on: out.progress, messages: out.verbose, drawn: None }
    }

    pub(super) fn note(&mut self, notice: &Notice<'_>) {
        match notice.method {
            "notifications/progress" if self.on => self.redraw(notice.params),
            "notifications/message" if self.messages => self.message(notice.params),
            _ => {}
        }
    }

    /// Erases the line from the terminal.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K");
        }
    }

    fn redraw(&mut self, params: &str) {
        let now = Instant::now();
        if self.drawn.is_some_and(|drawn| now.duration_since(drawn) < REDRAW) {
            return;
        }
        let Ok(params) = serde_json::from_str(params) else { return };
        let mut err = io::stderr().lock();
        let _ = write!(err, "\r\u{1b}[K{}", line(&params));
        let _ = err.flush();
        self.drawn = Some(now);
        self.shown = true;
    }

    fn message(&mut self, params: &str) {
        let Ok(LogParams { level, data }) = serde_json::from_str(params) else { return };
        let text = data.as_str().map_or_else(|| data.to_string(), str::to_owned);
        self.clear();
        let line = format!("{level}: {text}");
        let _ = writeln!(io::stderr().lock(), "{}", format::harmless(&line));
    }
}

/// `3 of 10: reading`, `42: reading`.
fn line(params: &Params) -> String {
    let mut text = params.progress.to_string();
    if let Some(total) = params.total.filter(|total| *total > 0.0) {
        text = format!("{text} of {total}");
    }
    if let Some(message) = params.message.as_deref().filter(|message| !message.is_empty()) {
        text = format!("{text}: {message}");
    }
    format::headline(&text, LINE_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn progress_is_one_line() {
        for (params, expected) in [
            (r#"{"progress":3,"total":10,"message":"reading"}"#, "3 of 10: reading"),
            (r#"{"progress":0.5}"#, "0.5"),
            (r#"{"progress":1,"total":0,"message":"a\u001b[2J\nb"}"#, "1: a\\u{1b}[2J…"),
        ] {
            assert_eq!(line(&serde_json::from_str(params).unwrap()), expected);
        }
    }
}
