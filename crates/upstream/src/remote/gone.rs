//! Finds out whether a server still takes what a session sends, whatever words it refuses in.
//!
//! A server that has forgotten a session refuses everything, and so does one whose address now
//! leads elsewhere. A refused call alone shows nothing: it may be the call's own fault. A ping that
//! is refused in the same way is nobody's fault, so the session is given up for a new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use mainstay_protocol::{Kind, Message, build, codes};

use super::renewals::Renewals;
use super::session::HttpSession;
use crate::link::Link;
use crate::request::{Incoming, Outgoing, SessionNo};

/// The way in which a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Status(u16),
    /// An error answer with this code.
    Error(Option<i32>),
}

/// What became of a ping.
#[derive(Debug)]
pub(super) enum Ping {
    Answered,
    /// The server is there, and does not know pings or answers something else.
    Heard,
    Refused(Refusal, String),
    Lost(String),
}

/// What is known about a session that may be gone.
#[derive(Debug, Default)]
pub(super) struct Suspicions {
    /// When the session was last found to hold. Locked while somebody asks: one ping tells all.
    holds_at: tokio::sync::Mutex<Option<Instant>>,
    /// A ping of this session was answered.
    ping_works: AtomicBool,
}

const PING_DEADLINE: Duration = Duration::from_secs(10);
/// A session that was found to hold is not asked again for this time.
const HOLDS_FOR: Duration = Duration::from_secs(1);
// === impl Refusal ===

impl Refusal {
    /// None for a status that says something about the request or the moment.
    pub(super) fn of_status(status: StatusCode) -> Option<Self> {
        let own = [
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::URI_TOO_LONG,
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        ];
        let refuses = status.as_u16() >= 400 && !own.contains(&status);
        refuses.then_some(Self::Status(status.as_u16()))
    }

    /// None for a code that says something about the request.
    pub(super) fn of_error(code: Option<i32>) -> Option<Self> {
        match code {
            Some(
                codes::METHOD_NOT_FOUND
                | codes::INVALID_PARAMS
                | codes::PARSE_ERROR
                | codes::RESOURCE_NOT_FOUND
                | codes::URL_ELICITATION_REQUIRED,
            ) => None,
            code => Some(Self::Error(code)),
        }
    }

    /// Whether a request that was refused so was certainly not carried out, if everything is
    /// refused so.
    pub(super) fn is_certain(self) -> bool {
        match self {
            Self::Status(status) => matches!(status, 400..=499 | 503),
            Self::Error(code) => !matches!(code, None | Some(codes::INTERNAL_ERROR)),
        }
    }
}

// === impl Suspicions ===

impl Suspicions {
    /// What is to be thought of the outcome of a ping that nobody's refusal led to: why the server
    /// counts as unreachable, if it does.
    pub(super) fn judge(&self, ping: Ping, renewals: &Renewals, now: Instant) -> Option<String> {
        match ping {
            Ping::Answered => {
                self.ping_works.store(true, Ordering::Relaxed);
                None
            }
            Ping::Heard => None,
            // It did not refuse pings before.
            Ping::Refused(_, reason) => {
                let gone = self.ping_works.load(Ordering::Relaxed) && renewals.allow(now);
                gone.then_some(reason)
            }
            Ping::Lost(reason) => Some(reason),
        }
    }
}

/// Whether the session is gone that a request was refused in. Then the link is closed.
pub(super) async fn is_gone(link: Arc<Link>, session: Arc<HttpSession>, refusal: Refusal) -> bool {
    let mut holds_at = session.suspicions.holds_at.lock().await;
    if link.is_closed() {
        return true;
    }
    if holds_at.is_some_and(|at| at.elapsed() < HOLDS_FOR) {
        return false;
    }
    match ping(&link).await {
        Ping::Refused(alike, reason) if alike == refusal => {
            let gone = session.target.renewals.allow(Instant::now());
            if gone {
                link.close(&format!("the server refuses calls and pings of our session: {reason}"));
            }
            gone
        }
        // Found out by other signs, which have closed the link.
        _ if link.is_closed() => true,
        _ => {
            *holds_at = Some(Instant::now());
            false
        }
    }
}

pub(super) async fn ping(link: &Arc<Link>) -> Ping {
    let Ok(ping) = Message::parse(build::request(0, "ping", None)) else { return Ping::Heard };
    let mut exchange = match link.call(&Outgoing::plain(&ping), SessionNo(0)) {
        Ok(exchange) => exchange,
        Err(lost) if link.is_closed() => return Ping::Lost(lost.reason),
        // Too many calls are in flight.
        Err(_) => return Ping::Heard,
    };
    match tokio::time::timeout(PING_DEADLINE, exchange.next()).await {
        Ok(Incoming::Answer(answer)) if answer.kind() == Kind::Result => Ping::Answered,
        Ok(Incoming::Answer(answer)) => match Refusal::of_error(answer.error_code()) {
            Some(refusal) => {
                Ping::Refused(refusal, format!("error {}", answer.error_code().unwrap_or_default()))
            }
            None => Ping::Heard,
        },
        Ok(Incoming::Lost(lost)) => match lost.status {
            Some(status) => match StatusCode::from_u16(status).ok().and_then(Refusal::of_status) {
                Some(refusal) => Ping::Refused(refusal, lost.reason),
                None => Ping::Heard,
            },
            None if lost.is_sign_of_life() => Ping::Heard,
            None => Ping::Lost(lost.reason),
        },
        Ok(Incoming::Notification(_) | Incoming::Question(_)) => Ping::Heard,
        Err(_) => Ping::Lost(format!("no answer to a ping within {PING_DEADLINE:?}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use http::StatusCode;

    use super::super::renewals::Renewals;
    use super::{Ping, Refusal, Suspicions};

    #[test]
    fn what_is_the_requests_own_fault_raises_no_suspicion() {
        for own in [408, 413, 414, 429, 431, 200, 202, 302] {
            assert_eq!(Refusal::of_status(StatusCode::from_u16(own).unwrap()), None, "{own}");
        }
        for code in [-32601, -32602, -32700, -32002, -32042] {
            assert_eq!(Refusal::of_error(Some(code)), None, "{code}");
        }
        for (refusal, certain) in [
            (Refusal::of_status(StatusCode::BAD_REQUEST), true),
            (Refusal::of_status(StatusCode::UNAUTHORIZED), true),
            (Refusal::of_status(StatusCode::SERVICE_UNAVAILABLE), true),
            (Refusal::of_status(StatusCode::INTERNAL_SERVER_ERROR), false),
            (Refusal::of_error(Some(-32001)), true),
            (Refusal::of_error(Some(-32603)), false),
            (Refusal::of_error(None), false),
        ] {
            assert_eq!(refusal.unwrap().is_certain(), certain, "{refusal:?}");
        }
    }

    #[test]
    fn a_refused_ping_alone_says_something_only_where_pings_worked() {
        let (renewals, now) = (Renewals::default(), Instant::now());
        let refused = || Ping::Refused(Refusal::Status(502), "HTTP 502".to_owned());
        let suspicions = Suspicions::default();
        assert_eq!(suspicions.judge(refused(), &renewals, now), None);
        assert_eq!(suspicions.judge(Ping::Heard, &renewals, now), None);
        assert_eq!(suspicions.judge(Ping::Answered, &renewals, now), None);
        assert_eq!(suspicions.judge(refused(), &renewals, now).as_deref(), Some("HTTP 502"));
        let lost = Ping::Lost("refused".to_owned());
        assert_eq!(suspicions.judge(lost, &renewals, now).as_deref(), Some("refused"));
    }
}
