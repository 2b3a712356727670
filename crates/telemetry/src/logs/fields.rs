//! The fields of a log line that is text for people.

use std::error::Error;
use std::fmt;

use tracing::field::{Field, Visit};
use tracing_subscriber::field::{RecordFields, VisitOutput};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};

/// Formats fields as the default does, and leaves out what says nothing: a count of held back lines that is
/// zero, and the middle of what a server wrote last, which `mainstay logs` shows whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextFields;

struct Text<'a>(DefaultVisitor<'a>);

// === impl TextFields ===

impl<'writer> FormatFields<'writer> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut text = Text(DefaultVisitor::new(writer, true));
        fields.record(&mut text);
        text.0.finish()
    }
}

// === impl Text ===

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.record_debug(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() != "held_back" || value > 0 {
            self.0.record_u64(field, value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "last_output" {
            self.0.record_str(field, &ends(value));
        } else {
            self.0.record_str(field, value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.0.record_error(field, value);
    }
}

/// The first and the last line of some output, in one line.
fn ends(output: &str) -> String {
    let mut lines = output.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let mut rest = lines.rev();
    match (rest.next(), rest.next()) {
        (None, _) => first.to_owned(),
        (Some(last), None) => format!("{first} | {last}"),
        (Some(last), Some(_)) => format!("{first} | … | {last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::ends;

    #[test]
    fn output_of_any_length_is_one_line() {
        for (output, shown) in [
            ("", ""),
            ("one\n", "one"),
            ("one\n\n  two\n", "one | two"),
            ("one\ntwo\nthree\nfour", "one | … | four"),
        ] {
            assert_eq!(ends(output), shown);
        }
    }
}
