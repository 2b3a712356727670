//! Server-sent events from bytes that may be cut anywhere.

use std::collections::VecDeque;

/// An event as it was sent. Missing fields are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    pub id: String,
    pub kind: String,
    pub data: String,
    pub retry: String,
    /// Whether there was a `data` field at all.
    pub has_data: bool,
}

/// Turns bytes into events.
#[derive(Debug, Default)]
pub struct EventParser {
    line: Vec<u8>,
    /// The last byte was a CR: an LF now belongs to the same line end.
    after_cr: bool,
    begun: bool,
    current: Event,
    any_field: bool,
    ready: VecDeque<Event>,
    /// How many comment lines there were: keep-alives are comments.
    pub comments: usize,
}

// === impl EventParser ===

impl EventParser {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => self.end_line(),
                _ => self.line.push(byte),
            }
        }
    }

    /// The next whole event, also one without data.
    #[expect(clippy::should_implement_trait, reason = "more may come after a None")]
    pub fn next(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    fn end_line(&mut self) {
        let bytes = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&bytes);
        let line = if self.begun { &*text } else { text.trim_start_matches('\u{feff}') };
        self.begun = true;
        if line.is_empty() {
            if std::mem::take(&mut self.any_field) {
                self.ready.push_back(std::mem::take(&mut self.current));
            }
            return;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        let event = &mut self.current;
        match name {
            "" => {
                self.comments += 1;
                return;
            }
            "id" => value.clone_into(&mut event.id),
            "event" => value.clone_into(&mut event.kind),
            "retry" => value.clone_into(&mut event.retry),
            "data" => {
                if std::mem::replace(&mut event.has_data, true) {
                    event.data.push('\n');
                }
                event.data.push_str(value);
            }
            _ => {}
        }
        self.any_field = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, piece: usize) -> Vec<(String, String, String)> {
        let mut parser = EventParser::default();
        for bytes in text.as_bytes().chunks(piece) {
            parser.push(bytes);
        }
        std::iter::from_fn(|| parser.next())
            .map(|event| (event.id, event.kind, event.data))
            .collect()
    }

    #[test]
    fn events_are_the_same_wherever_the_bytes_are_cut() {
        let own =
            |id: &str, kind: &str, data: &str| (id.to_owned(), kind.to_owned(), data.to_owned());
        for (text, expected) in [
            ("data: a\n\n", vec![own("", "", "a")]),
            ("\u{feff}: hi\r\ndata:a\r\ndata: b\r\n\r\n", vec![own("", "", "a\nb")]),
            ("id: 1\revent: message\rdata: é\r\r", vec![own("1", "message", "é")]),
            ("id: 1/1\n\ndata\n\n", vec![own("1/1", "", ""), own("", "", "")]),
            ("\n\n: only\n\n", vec![]),
            ("data: unfinished\n", vec![]),
        ] {
            for piece in 1..8 {
                assert_eq!(parse(text, piece), expected, "{text:?} in pieces of {piece}");
            }
        }
    }
}
