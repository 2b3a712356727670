//! Formats numbers and text for people.

use std::time::Duration;

use jiff::Timestamp;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `3 s`, `4 min 12 s`, `2 h 5 min`, `3 d 1 h`: two units at most.
pub(crate) fn duration(duration: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let seconds = duration.as_secs();
    if seconds == 0 {
        return format!("{} ms", duration.as_millis());
    }
    let first = UNITS.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(UNITS.len() - 1);
    let mut rest = seconds;
    let parts = UNITS.iter().skip(first).take(2).filter_map(|(unit, name)| {
        let count = rest / unit;
        rest %= unit;
        (count > 0).then(|| format!("{count} {name}"))
    });
    parts.collect::<Vec<_>>().join(" ")
}

/// The time since an RFC 3339 timestamp. Returns other text unchanged.
pub(crate) fn ago(since: &str, now: Timestamp) -> String {
    let Ok(since_time) = since.parse::<Timestamp>() else { return since.to_owned() };
    let elapsed = now.duration_since(since_time);
    // A clock that was set back gives zero, not an error.
    duration(Duration::try_from(elapsed).unwrap_or_default())
}

/// `17 B`, `4.0 KiB`, `1.5 GiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `1 tool`, `2 tools`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Escapes all control characters except line breaks and tabs, and those that turn the direction of text, so
/// that the text can't control a terminal or look like another.
pub(crate) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            _ if c.is_control() || is_direction(c) => out.extend(c.escape_default()),
            _ => out.push(c),
        }
    }
    out
}

/// Whether a character turns the direction of the text around it.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text as one word of a shell's command line.
pub(crate) fn word(text: &str) -> String {
    if is_plain_word(text) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Whether every shell takes the text for one word that means itself.
pub(crate) fn is_plain_word(text: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || "_-+./:,@%=".contains(c);
    !text.is_empty() && text.chars().all(is_plain)
}

/// The columns that text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text, cut to at most this many columns of a terminal. `…` is in the place of the rest.
pub(crate) fn cut(text: &str, columns_max: usize) -> String {
    if width(text) <= columns_max {
        return text.to_owned();
    }
    let mut room = columns_max.saturating_sub(1);
    let fits = |c: &char| {
        let width = c.width().unwrap_or(0);
        let fits = width <= room;
        room = room.saturating_sub(width);
        fits
    };
    let kept: String = text.chars().take_while(fits).collect();
    format!("{}…", kept.trim_end())
}

/// The first line, with `…` in the place of others.
pub(crate) fn first_line(text: &str) -> String {
    let mut lines = text.trim().lines();
    let line = harmless(lines.next().unwrap_or_default().trim_end());
    if lines.next().is_some() { format!("{line}…") } else { line }
}

/// The first line, cut to at most this many columns of a terminal.
pub(crate) fn headline(text: &str, columns_max: usize) -> String {
    let line = first_line(text);
    if width(&line) <= columns_max {
        return line;
    }
    cut(line.trim_end_matches('…'), columns_max)
}

/// Breaks lines between words so that they fit into `columns` of a terminal. Each line after the first of
/// its kind is indented like it, and by `hang` more blanks. A word that is too long keeps its length.
pub(crate) fn wrap(text: &str, columns: Option<usize>, hang: usize) -> String {
    let Some(columns) = columns else { return text.to_owned() };
    text.split('\n').map(|line| wrap_line(line, columns, hang)).collect::<Vec<_>>().join("\n")
}

/// A label and text beside it, in lines that fit into `columns` of a terminal. The text starts after `room`
/// columns, below the label where that is longer.
pub(crate) fn beside(label: &str, room: usize, text: &str, columns: Option<usize>) -> String {
    /// Fewest columns for the text.
    const TEXT_MIN: usize = 20;
    let text = wrap(text, columns.map(|columns| columns.saturating_sub(room).max(TEXT_MIN)), 0);
    let blanks = " ".repeat(room);
    let text = text.replace('\n', &format!("\n{blanks}"));
    let wide = width(label);
    if text.is_empty() {
        label.to_owned()
    } else if wide + 2 > room {
        format!("{label}\n{blanks}{text}")
    } else {
        format!("{label}{}{text}", " ".repeat(room - wide))
    }
}

fn wrap_line(line: &str, columns: usize, hang: usize) -> String {
    if width(line) <= columns {
        return line.to_owned();
    }
    let indent = line.len() - line.trim_start_matches(' ').len();
    let mut out = " ".repeat(indent);
    let mut at = indent;
    let mut is_first = true;
    for word in line.split(' ').filter(|word| !word.is_empty()) {
        let wide = width(word);
        if !is_first && at + 1 + wide > columns {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent + hang));
            at = indent + hang;
        } else if !is_first {
            out.push(' ');
            at += 1;
        }
        out.push_str(word);
        at += wide;
        is_first = false;
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        ago, beside, bytes, count, duration, first_line, harmless, headline, width, word, wrap,
    };

    #[test]
    fn durations_have_two_units_at_most() {
        for (millis, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (61_000, "1 min 1 s"),
            (120_000, "2 min"),
            (3_600_000 + 59_000, "1 h"),
            (3 * 86_400_000 + 3_600_000, "3 d 1 h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn a_time_is_shown_by_its_age() {
        let now = "2026-01-01T00:01:30Z".parse().unwrap();
        assert_eq!(ago("2026-01-01T00:00:00Z", now), "1 min 30 s");
        assert_eq!(ago("2026-01-01T01:00:00+01:00", now), "1 min 30 s");
        assert_eq!(ago("2027-01-01T00:00:00Z", now), "0 ms");
        assert_eq!(ago("some time", now), "some time");
    }

    #[test]
    fn sizes_and_counts() {
        for (number, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (4096, "4.0 KiB"),
            (3 << 29, "1.5 GiB"),
            (1 << 52, "4096.0 TiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
        assert_eq!(
            (count(1, "tool"), count(0, "tool")),
            ("1 tool".to_owned(), "0 tools".to_owned())
        );
    }

    #[test]
    fn a_path_can_be_pasted_into_a_shell() {
        assert_eq!(word("/var/lib/mainstay"), "/var/lib/mainstay");
        assert_eq!(word("/home/me/it's mine"), r"'/home/me/it'\''s mine'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn foreign_text_is_harmless_and_short() {
        assert_eq!(harmless("a\tb\n\u{1b}[31mred\r"), "a\tb\n\\u{1b}[31mred\\r");
        assert_eq!(headline("\n one line ", 20), "one line");
        assert_eq!(headline("first\nsecond", 20), "first…");
        assert_eq!(headline("much too long", 8), "much to…");
        assert_eq!(headline("", 8), "");
    }

    #[test]
    fn text_is_measured_in_columns() {
        assert_eq!((width("日本"), width("a\u{301}")), (4, 1));
        assert_eq!(headline("日本語の説明", 6), "日本…");
        assert_eq!(first_line("a\nb"), "a…");
    }

    #[test]
    fn lines_break_between_words() {
        let text = "one two three\n    four five six seven\n\nadressenverzeichnis a b";
        let broken = "one two\n  three\n    four\n      five\n      six\n      seven\n\nadressenverzeichnis\n  a b";
        assert_eq!(wrap(text, Some(10), 2), broken);
        assert_eq!(wrap(text, None, 2), text);
        let text = "a text that is longer than its room";
        let expected = "label  a text that is longer\n       than its room";
        assert_eq!(beside("label", 7, text, Some(28)), expected);
        assert_eq!(beside("a longer label", 3, "text", None), "a longer label\n   text");
    }
}
