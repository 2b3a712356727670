//! Logging to standard error: text on a terminal, or else one JSON object per line.
//!
//! A separate thread writes the lines, so that a blocked terminal or pipe can't block calls.

use std::fmt;
use std::io::IsTerminal;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

mod fields;
mod writer;

pub use writer::LogGuard;
pub(crate) use writer::lines_dropped;

use self::fields::TextFields;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Text if standard error is a terminal, or else JSON.
    #[default]
    Auto,
    Text,
    Json,
}

/// The least severe level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// The options for logging.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    pub format: Format,
    /// The level of Mainstay's own crates. Libraries stay at `warn`.
    pub level: Level,
    /// Logs only errors, regardless of `level`, also of libraries.
    pub quiet: bool,
    /// Filter directives such as `info,mainstay_gateway=debug`, which replace `level` and `quiet`.
    pub filter: Option<String>,
    /// Uses colours if the format is text.
    pub colour: bool,
}

/// Changes the log level while the process runs.
#[derive(Clone)]
pub struct LogControl {
    initial: LogOptions,
    replace: Replace,
}

/// Puts another filter in the place of the one in force.
type Replace = Arc<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

/// The error for logging that could not be set up or changed.
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
    #[error("the log can't be changed")]
    Replace(#[source] reload::Error),
}

/// Sets up logging for the process. Dropping the guard writes the queued lines and ends logging.
///
/// # Errors
/// [`LogError`] if the filter is invalid, logging was set up before, or the thread can't be started.
pub fn init(options: &LogOptions) -> Result<(LogGuard, LogControl), LogError> {
    let terminal = std::io::stderr().is_terminal();
    let filter = options.filter()?;
    let (lines, guard) = writer::spawn(Box::new(std::io::stderr())).map_err(LogError::Thread)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_writer(lines);
    let replace: Replace = if options.is_json(terminal) {
        let builder =
            builder.json().flatten_event(true).with_span_list(false).with_filter_reloading();
        let handle = builder.reload_handle();
        builder.finish().try_init().map_err(LogError::Twice)?;
        Arc::new(move |filter| handle.reload(filter))
    } else {
        let builder = builder.with_target(false).with_ansi(options.colour).fmt_fields(TextFields);
        let builder = builder.with_filter_reloading();
        let handle = builder.reload_handle();
        builder.finish().try_init().map_err(LogError::Twice)?;
        Arc::new(move |filter| handle.reload(filter))
    };
    Ok((guard, LogControl { initial: options.clone(), replace }))
}

// === impl LogControl ===

impl LogControl {
    /// Logs our own crates at this level from now on, libraries at `warn`. None: what the process was
    /// started with.
    ///
    /// # Errors
    /// When the log is gone.
    pub fn set(&self, level: Option<Level>) -> Result<(), LogError> {
        let options = match level {
            Some(level) => LogOptions { level, ..LogOptions::default() },
            None => self.initial.clone(),
        };
        (self.replace)(options.filter()?).map_err(LogError::Replace)
    }
}

impl fmt::Debug for LogControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogControl").field("initial", &self.initial).finish_non_exhaustive()
    }
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
        let libraries = if self.quiet { "error" } else { "warn" };
        let filter = filter.unwrap_or_else(|| {
            // What servers write is for those who ask for details.
            let servers = match self.level {
                Level::Debug | Level::Trace if !self.quiet => ",server=debug",
                _ => "",
            };
            format!("{libraries},mainstay={}{servers}", self.level())
        });
        EnvFilter::try_new(&filter).map_err(|source| LogError::Filter { filter, source })
    }

    fn level(&self) -> &'static str {
        match self.level {
            _ if self.quiet => "error",
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
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::fields::TextFields;
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
    fn text_leaves_out_what_says_nothing() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .fmt_fields(TextFields)
            .with_writer({
                let written = written.clone();
                move || Shared(written.clone())
            })
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let last_output = Some("Error: no key\n  at a\n  at b\n");
            tracing::warn!(server = "a", last_output, held_back = 0_u64, "instance lost");
            tracing::warn!(server = "b", held_back = 3_u64, "instance \u{1b}[31mlost");
        });
        let text = String::from_utf8(written.lock().clone()).unwrap();
        assert_eq!(
            text,
            " WARN instance lost server=\"a\" last_output=\"Error: no key | … | at b\"\n \
             WARN instance \\x1b[31mlost server=\"b\" held_back=3\n"
        );
    }

    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_filter_wins_over_the_level() {
        let cases = [
            (None, Level::Info, false, "warn,mainstay=info"),
            (None, Level::Debug, true, "error,mainstay=error"),
            (None, Level::Debug, false, "warn,mainstay=debug,server=debug"),
            (None, Level::Trace, false, "warn,mainstay=trace,server=debug"),
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
