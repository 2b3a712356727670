//! `Retry-After`: how long a server wants to be left alone.

use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, StatusCode, header};
use parking_lot::Mutex;

/// Longest wait that is honoured. A mistake of a server must not silence it for a day.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// Until when a server is asked nothing on Mainstay's own behalf. Calls of clients are passed on:
/// the server may refuse only some of them.
#[derive(Debug, Default)]
pub(super) struct Rest(Mutex<Option<Instant>>);

// === impl Rest ===

impl Rest {
    /// Takes note of what a response asks for. `now` in both clocks. Returns the wait; zero: it may be asked again
    /// at once.
    pub(super) fn note(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        (now, date): (Instant, SystemTime),
    ) -> Option<Duration> {
        let wait = asked_for(status, headers, date)?;
        if wait.is_zero() {
            return Some(wait);
        }
        let until = now + wait;
        let mut rest = self.0.lock();
        *rest = Some(rest.map_or(until, |before| before.max(until)));
        Some(wait)
    }

    /// How long the server is still to be left alone. None: it may be asked.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        let until = (*self.0.lock())?;
        Some(until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }
}

/// The wait that a refusal asks for, in seconds or up to a date (RFC 9110 §10.2.3).
fn asked_for(status: StatusCode, headers: &HeaderMap, date: SystemTime) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 => Duration::try_from_secs_f64(seconds).unwrap_or(WAIT_MAX),
        Ok(_) => return None,
        // A date that is past is no wait.
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(date).unwrap_or_default(),
    };
    Some(wait.min(WAIT_MAX))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime};

    use http::{HeaderMap, HeaderValue, StatusCode, header};

    use super::Rest;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn seconds_and_dates_are_understood_and_bounded() {
        let date = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (text, expected) in [
            ("60", Some(60)),
            (" 5 ", Some(5)),
            ("0", Some(0)),
            ("-3", None),
            ("nan", None),
            ("1e99", Some(600)),
            ("86400", Some(600)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Tue, 01 Jan 2069 00:00:00 GMT", Some(600)),
            ("soon", None),
        ] {
            let rest = Rest::default();
            let now = Instant::now();
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(text));
            let wait = rest.note(StatusCode::TOO_MANY_REQUESTS, &headers, (now, date));
            assert_eq!(wait, expected.map(seconds), "{text}");
            let left = expected.filter(|expected| *expected > 0);
            assert_eq!(rest.left(now), left.map(seconds), "{text}");
            assert_eq!(rest.note(StatusCode::OK, &headers, (now, date)), None);
        }
    }

    #[test]
    fn the_longest_wait_counts_until_it_is_over() {
        let (rest, now, date) = (Rest::default(), Instant::now(), SystemTime::UNIX_EPOCH);
        assert_eq!(rest.left(now), None);
        for text in ["20", "5"] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(text));
            rest.note(StatusCode::SERVICE_UNAVAILABLE, &headers, (now, date));
        }
        assert_eq!(rest.left(now + seconds(6)), Some(seconds(14)));
        assert_eq!(rest.left(now + seconds(20)), None);
    }
}
