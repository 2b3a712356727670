//! Logs go to standard error: text for a terminal, one JSON object a line for everything else.
//!
//! A thread of its own writes them. A terminal that is held or a pipe nobody reads would
//! otherwise stop whoever logs, and with it the calls of everybody.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::util::SubscriberInitExt;

mod writer;

pub use writer::LogGuard;
pub(crate) use writer::lines_dropped;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Text where standard error is a terminal, else JSON.
    #[default]
    Auto,
    Text,
    Json,
}

/// The least important level that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// What to log and how.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    pub format: Format,
    /// Of our own crates; libraries stay at `warn`.
    pub level: Level,
    /// Warnings and errors only, whatever `level` says.
    pub quiet: bool,
    /// Directives as in `info,mainstay_gateway=debug`; takes the place of `level` and `quiet`.
    pub filter: Option<String>,
    /// Colours, where the format is text and standard error is a terminal.
    pub colour: bool,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("log filter {filter:?} is not understood")]
    Filter {
        filter: String,
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    #[error("logging is already set up")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
    #[error("the thread that writes logs can't be started")]
    Thread(#[source] std::io::Error),
}

/// Sets up logging for the whole process. Lines are written until the guard is dropped, which
/// waits for those that are queued.
///
/// # Errors
/// When the filter can't be read, when logging was set up before, or without a thread.
pub fn init(options: &LogOptions) -> Result<LogGuard, LogError> {
    let terminal = std::io::stderr().is_terminal();
    let filter = options.filter()?;
    let (lines, guard) = writer::spawn(Box::new(std::io::stderr())).map_err(LogError::Thread)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_writer(lines);
    if options.is_json(terminal) {
        let json = builder.json().flatten_event(true).with_span_list(false).finish();
        json.try_init().map_err(LogError::Twice)?;
    } else {
        let text = builder.with_target(false).with_ansi(options.colour && terminal).finish();
        text.try_init().map_err(LogError::Twice)?;
    }
    Ok(guard)
}

// === impl LogOptions ===

impl LogOptions {
    fn is_json(&self, terminal: bool) -> bool {
        match self.format {
            Format::Auto => !terminal,
            Format::Text => false,
            Format::Json => true,
        }
    }

    fn filter(&self) -> Result<EnvFilter, LogError> {
        let filter = self.filter.clone().filter(|text| !text.trim().is_empty());
        let filter = filter.unwrap_or_else(|| format!("warn,mainstay={}", self.level()));
        EnvFilter::try_new(&filter).map_err(|source| LogError::Filter { filter, source })
    }

    fn level(&self) -> &'static str {
        match self.level {
            _ if self.quiet => "warn",
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Format, Level, LogOptions};

    #[test]
    fn a_terminal_gets_text_and_a_pipe_json() {
        for (format, terminal, json) in [
            (Format::Auto, true, false),
            (Format::Auto, false, true),
            (Format::Text, false, false),
            (Format::Json, true, true),
        ] {
            let options = LogOptions { format, ..LogOptions::default() };
            assert_eq!(options.is_json(terminal), json, "{format:?} {terminal}");
        }
    }

    #[test]
    fn the_filter_wins_over_the_level() {
        let cases = [
            (None, Level::Info, false, "warn,mainstay=info"),
            (None, Level::Debug, true, "warn,mainstay=warn"),
            (Some("  "), Level::Info, false, "warn,mainstay=info"),
            (Some("trace"), Level::Info, true, "trace"),
        ];
        for (filter, level, quiet, expected) in cases {
            let filter = filter.map(str::to_owned);
            let options = LogOptions { level, quiet, filter, ..LogOptions::default() };
            let mut parts: Vec<_> =
                options.filter().unwrap().to_string().split(',').map(str::to_owned).collect();
            parts.sort();
            let mut wanted: Vec<_> = expected.split(',').map(str::to_owned).collect();
            wanted.sort();
            assert_eq!(parts, wanted);
        }
        let bad = LogOptions { filter: Some("a=b=c".to_owned()), ..LogOptions::default() };
        assert!(bad.filter().is_err());
    }
}
