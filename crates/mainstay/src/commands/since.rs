//! The times since when commands are asked for something.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::exit::{Exit, Failure};

/// Reads `1h`, `30m` or `1h30m` as so long ago, and `2026-01-31T12:00:00Z` as that time. Without a zone, and
/// without a time of the day, it is in UTC like the times that are shown.
pub(super) fn read(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let without_zone = text.parse::<DateTime>().ok();
    if let Some(time) = without_zone.and_then(|time| time.to_zoned(TimeZone::UTC).ok()) {
        return Ok(time.timestamp());
    }
    let ago = mainstay_config::parse_duration(text);
    ago.and_then(|ago| now.checked_sub(ago).ok()).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("--since {text:?} is neither a duration nor a time"))
            .hint("write a duration such as 1h or 30m, or a time such as 2026-01-31T12:00:00Z")
    })
}

#[cfg(test)]
mod tests {
    use super::{Exit, read};

    #[test]
    fn durations_count_back_and_times_are_times() {
        let now = "2026-01-31T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("1h", "2026-01-31T11:00:00Z"),
            ("1h30m", "2026-01-31T10:30:00Z"),
            ("2d", "2026-01-29T12:00:00Z"),
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            ("2026-01-01", "2026-01-01T00:00:00Z"),
            ("2026-01-01T18:30:00", "2026-01-01T18:30:00Z"),
            ("2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00Z"),
        ] {
            assert_eq!(read(text, now).unwrap().to_string(), expected, "{text}");
        }
        for wrong in ["", "yesterday", "1", "-1h", "99999999999d"] {
            assert_eq!(read(wrong, now).unwrap_err().exit, Exit::Usage, "{wrong}");
        }
    }
}
