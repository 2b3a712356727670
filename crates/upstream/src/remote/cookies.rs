//! Cookies of a session: load balancers use them to find the node that knows it.

use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, header};

/// The cookies that a server has set since the handshake began, for its own address only.
///
/// The paths of cookies are ignored: all requests of a session go to one address or to those that
/// it names.
#[derive(Default)]
pub(super) struct Cookies(Vec<Cookie>);

struct Cookie {
    name: String,
    value: String,
}

/// Most cookies; others are ignored.
const COOKIES_MAX: usize = 20;
/// Longest name and value together, as in browsers.
const COOKIE_BYTES_MAX: usize = 4 << 10;

// === impl Cookies ===

impl Cookies {
    /// Takes the cookies of a response. `secure`: it came over TLS. Returns whether anything has
    /// changed.
    pub(super) fn keep(&mut self, headers: &HeaderMap, secure: bool, now: SystemTime) -> bool {
        let mut changed = false;
        for set in headers.get_all(header::SET_COOKIE) {
            changed |= set.to_str().is_ok_and(|set| self.set(set, secure, now));
        }
        changed
    }

    /// The value of the header `Cookie`, after the `configured` one. None without cookies.
    pub(super) fn header(&self, configured: Option<&HeaderValue>) -> Option<HeaderValue> {
        if self.0.is_empty() {
            return None;
        }
        let mut all: Vec<_> = configured
            .and_then(|value| value.to_str().ok())
            .into_iter()
            .map(str::to_owned)
            .collect();
        all.extend(self.0.iter().map(|Cookie { name, value }| format!("{name}={value}")));
        let mut header = HeaderValue::from_str(&all.join("; ")).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    fn set(&mut self, set: &str, secure: bool, now: SystemTime) -> bool {
        let mut parts = set.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return false;
        };
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || name.len() + value.len() > COOKIE_BYTES_MAX {
            return false;
        }
        let attributes = parts.map(|part| part.split_once('=').unwrap_or((part, "")));
        let mut ends = None;
        for (attribute, text) in attributes {
            match attribute.trim().to_ascii_lowercase().as_str() {
                "secure" if !secure => return false,
                // Decides over `Expires`.
                "max-age" => ends = text.trim().parse::<i64>().ok().map(|age| age <= 0).or(ends),
                "expires" if ends.is_none() => {
                    ends = httpdate::parse_http_date(text.trim()).ok().map(|at| at <= now);
                }
                _ => {}
            }
        }
        let before = self.0.iter().position(|cookie| cookie.name == name);
        match (before, ends == Some(true)) {
            (Some(at), true) => drop(self.0.remove(at)),
            (None, true) => return false,
            (Some(at), false) if self.0[at].value == value => return false,
            (Some(at), false) => value.clone_into(&mut self.0[at].value),
            (None, false) if self.0.len() >= COOKIES_MAX => return false,
            (None, false) => {
                self.0.push(Cookie { name: name.to_owned(), value: value.to_owned() });
            }
        }
        true
    }
}

impl std::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cookies({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::{HeaderMap, HeaderValue, header};

    use super::{COOKIES_MAX, Cookies};

    fn headers(set: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for set in set {
            headers.append(header::SET_COOKIE, HeaderValue::from_str(set).unwrap());
        }
        headers
    }

    fn text(cookies: &Cookies, configured: Option<&HeaderValue>) -> String {
        let header = cookies.header(configured);
        header.map(|header| header.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn cookies_are_kept_changed_and_ended_as_the_server_says() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let mut cookies = Cookies::default();
        assert!(cookies.keep(
            &headers(&["LB=a; Path=/; HttpOnly", " s = 1 ;max-age=60"]),
            false,
            now
        ));
        assert_eq!(text(&cookies, None), "LB=a; s=1");
        let configured = HeaderValue::from_static("mine=yes");
        assert_eq!(text(&cookies, Some(&configured)), "mine=yes; LB=a; s=1");
        assert!(!cookies.keep(&headers(&["LB=a"]), false, now), "nothing new");
        assert!(cookies.keep(&headers(&["LB=b", "s=; Max-Age=0"]), false, now));
        assert_eq!(text(&cookies, None), "LB=b");
        let past = "LB=b; Expires=Wed, 21 Oct 2015 07:28:00 GMT";
        assert!(cookies.keep(&headers(&[past]), false, now));
        assert_eq!(cookies.header(Some(&configured)), None, "only the configured one is left");
        assert!(!cookies.keep(&headers(&["t=1; Secure"]), false, now), "not over TLS");
        assert!(cookies.keep(&headers(&["t=1; Secure"]), true, now));
        assert!(!format!("{cookies:?}").contains('t'.to_string().repeat(2).as_str()));
    }

    #[test]
    fn number_and_size_are_bounded() {
        let now = SystemTime::UNIX_EPOCH;
        let mut cookies = Cookies::default();
        for number in 0..100 {
            cookies.keep(&headers(&[&format!("n{number}=1")]), true, now);
        }
        assert_eq!(text(&cookies, None).split("; ").count(), COOKIES_MAX);
        for refused in ["nothing", "=1", &format!("long={}", "x".repeat(5000))] {
            assert!(!cookies.keep(&headers(&[refused]), true, now), "{refused}");
        }
    }
}
