//! Finds out whether a server still takes what a session sends, whatever words it refuses in.
//!
//! A server that has forgotten a session refuses everything, and so does one whose address now
//! leads elsewhere, such as to a login page. A refused call alone shows nothing: it may be the call's
//! own fault. A ping that is refused in the same way is nobody's fault, so the session is given up
//! for a new one. Some servers answer pings in a session that they have forgotten. Therefore, where one
//! call after the other is refused and none is taken, or a refusal speaks of the session, the server is
//! asked for its tools as well. The calls of one client alone never cost others their session.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
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
    /// By a response without an answer, although its status is that of an answer: a page, nothing
    /// at all, a stream that ended.
    NoAnswer,
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
    /// No answer came in time. Whether the server hangs is found out elsewhere.
    Silent,
}

/// What is known about a session that may be gone.
#[derive(Debug, Default)]
pub(super) struct Suspicions {
    /// When the session was last found to hold. Locked while somebody asks: one ping tells all.
    holds_at: tokio::sync::Mutex<Option<Instant>>,
    /// A ping of this session was answered.
    ping_works: AtomicBool,
    /// Calls refused in a row, see [`Refusal::is_about_transport`]. Reset by a call that was taken.
    refused_in_a_row: AtomicU32,
}

const PING_DEADLINE: Duration = Duration::from_secs(10);
/// How long a refused call waits for the answer to a ping, or to the question for tools.
const PROBE_DEADLINE: Duration = Duration::from_secs(2);
/// A session that was found to hold is not asked again for this time.
const HOLDS_FOR: Duration = Duration::from_secs(1);
/// So many calls refused in a row are a reason to ask for more than a ping. A call may count twice,
/// because it may be sent twice.
const REFUSED_MAX: u32 = 4;

// === impl Refusal ===

impl Refusal {
    /// None for a status that says something about the request or the moment.
    pub(super) fn of_status(status: u16) -> Option<Self> {
        let own = [
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::URI_TOO_LONG,
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        ];
        match status {
            200..=299 => Some(Self::NoAnswer),
            300.. if own.iter().all(|own| own.as_u16() != status) => Some(Self::Status(status)),
            _ => None,
        }
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

    /// Whether the request was refused before a tool or a list had a say in it.
    fn is_about_transport(self) -> bool {
        match self {
            Self::Status(status) => status < 500,
            Self::NoAnswer => true,
            Self::Error(_) => false,
        }
    }

    /// Whether a request that was refused so was certainly not carried out, if everything is
    /// refused so.
    pub(super) fn is_certain(self) -> bool {
        match self {
            Self::Status(status) => matches!(status, 300..=499 | 503),
            Self::NoAnswer => false,
            Self::Error(code) => !matches!(code, None | Some(codes::INTERNAL_ERROR)),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "HTTP {status}"),
            Self::NoAnswer => f.write_str("a response without an answer"),
            Self::Error(Some(code)) => write!(f, "error {code}"),
            Self::Error(None) => f.write_str("an error"),
        }
    }
}

// === impl Suspicions ===

impl Suspicions {
    /// A call of a client was taken: the server answered it.
    pub(super) fn note_taken(&self) {
        if self.refused_in_a_row.load(Ordering::Relaxed) != 0 {
            self.refused_in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// A call of a client was refused. Returns whether so many were refused in a row that the
    /// session itself may be the reason.
    fn note_refused(&self, refusal: Refusal) -> bool {
        refusal.is_about_transport()
            && self.refused_in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= REFUSED_MAX
    }

    /// What is to be thought of the outcome of a ping that nobody's refusal led to: why the server
    /// counts as unreachable, if it does.
    pub(super) fn judge(&self, ping: Ping, renewals: &Renewals, now: Instant) -> Option<String> {
        match ping {
            Ping::Answered => {
                self.ping_works.store(true, Ordering::Relaxed);
                None
            }
            Ping::Heard | Ping::Silent => None,
            // It did not refuse pings before.
            Ping::Refused(_, reason) => {
                let gone = self.ping_works.load(Ordering::Relaxed) && renewals.allow(now);
                gone.then_some(reason)
            }
            Ping::Lost(reason) => Some(reason),
        }
    }
}

/// Whether the session is gone that a call was refused in. Then the link is closed. `is_told`: the
/// refusal says so, in words that may also be about something else.
pub(super) async fn is_gone(
    link: Arc<Link>,
    session: Arc<HttpSession>,
    refusal: Refusal,
    is_told: bool,
) -> bool {
    let too_often = session.suspicions.note_refused(refusal);
    let mut holds_at = session.suspicions.holds_at.lock().await;
    if link.is_closed() {
        return true;
    }
    if !too_often && holds_at.is_some_and(|at| at.elapsed() < HOLDS_FOR) {
        return false;
    }
    let mut probe = ask(&link, "ping", PROBE_DEADLINE).await;
    let is_likely = too_often || is_told;
    if is_likely && session.has_session() && !probe.is_alike(refusal) && !link.is_closed() {
        probe = ask(&link, "tools/list", PROBE_DEADLINE).await;
    }
    match probe {
        Ping::Refused(alike, reason) if alike == refusal => {
            let gone = session.target.renewals.allow(Instant::now());
            if gone {
                link.close(&format!("the server refuses everything in our session: {reason}"));
            }
            gone
        }
        // Found out by other signs, which have closed the link.
        _ if link.is_closed() => true,
        _ => {
            if too_often {
                // The calls were refused for their own sake.
                session.suspicions.note_taken();
            }
            *holds_at = Some(Instant::now());
            false
        }
    }
}

pub(super) async fn ping(link: &Arc<Link>) -> Ping {
    ask(link, "ping", PING_DEADLINE).await
}

/// Sends a request of Mainstay's own that changes nothing.
async fn ask(link: &Arc<Link>, method: &str, deadline: Duration) -> Ping {
    let Ok(ask) = Message::parse(build::request(0, method, None)) else { return Ping::Heard };
    let mut exchange = match link.call(&Outgoing::plain(&ask), SessionNo(0)) {
        Ok(exchange) => exchange,
        Err(lost) if link.is_closed() => return Ping::Lost(lost.reason),
        // Too many calls are in flight.
        Err(_) => return Ping::Heard,
    };
    match tokio::time::timeout(deadline, exchange.next()).await {
        Ok(Incoming::Answer(answer)) if answer.kind() == Kind::Result => Ping::Answered,
        Ok(Incoming::Answer(answer)) => match Refusal::of_error(answer.error_code()) {
            Some(refusal) => Ping::Refused(refusal, refusal.to_string()),
            None => Ping::Heard,
        },
        Ok(Incoming::Lost(lost)) => match lost.status {
            Some(status) => match Refusal::of_status(status) {
                Some(refusal) => Ping::Refused(refusal, lost.reason),
                None => Ping::Heard,
            },
            None if lost.is_sign_of_life() => Ping::Heard,
            None => Ping::Lost(lost.reason),
        },
        Ok(Incoming::Notification(_) | Incoming::Question(_)) => Ping::Heard,
        Err(_) => Ping::Silent,
    }
}

// === impl Ping ===

impl Ping {
    fn is_alike(&self, refusal: Refusal) -> bool {
        matches!(self, Self::Refused(alike, _) if *alike == refusal)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::renewals::Renewals;
    use super::{Ping, Refusal, Suspicions};

    #[test]
    fn what_is_the_requests_own_fault_raises_no_suspicion() {
        for own in [408, 413, 414, 429, 431, 101] {
            assert_eq!(Refusal::of_status(own), None, "{own}");
        }
        for code in [-32601, -32602, -32700, -32002, -32042] {
            assert_eq!(Refusal::of_error(Some(code)), None, "{code}");
        }
        for (refusal, certain) in [
            (Refusal::of_status(302), true),
            (Refusal::of_status(400), true),
            (Refusal::of_status(401), true),
            (Refusal::of_status(503), true),
            (Refusal::of_status(500), false),
            (Refusal::of_status(200), false),
            (Refusal::of_status(202), false),
            (Refusal::of_error(Some(-32001)), true),
            (Refusal::of_error(Some(-32603)), false),
            (Refusal::of_error(None), false),
        ] {
            assert_eq!(refusal.unwrap().is_certain(), certain, "{refusal:?}");
        }
    }

    #[test]
    fn one_refused_call_after_the_other_is_a_reason_and_one_that_was_taken_begins_anew() {
        let suspicions = Suspicions::default();
        let refused = |refusal| suspicions.note_refused(refusal);
        for _ in 0..3 {
            for refusal in [Refusal::Status(400), Refusal::NoAnswer, Refusal::Status(302)] {
                assert!(!refused(refusal));
            }
            suspicions.note_taken();
        }
        for _ in 0..9 {
            assert!(!refused(Refusal::Error(Some(-32000))), "a tool may say that");
            assert!(!refused(Refusal::Status(500)));
        }
        let enough = [400, 422, 400, 400, 400].map(|status| refused(Refusal::Status(status)));
        assert_eq!(enough, [false, false, false, true, true]);
    }

    #[test]
    fn a_refused_ping_alone_says_something_only_where_pings_worked() {
        let (renewals, now) = (Renewals::default(), Instant::now());
        let refused = || Ping::Refused(Refusal::Status(502), "HTTP 502".to_owned());
        let suspicions = Suspicions::default();
        assert_eq!(suspicions.judge(refused(), &renewals, now), None);
        assert_eq!(suspicions.judge(Ping::Heard, &renewals, now), None);
        assert_eq!(suspicions.judge(Ping::Silent, &renewals, now), None);
        assert_eq!(suspicions.judge(Ping::Answered, &renewals, now), None);
        assert_eq!(suspicions.judge(refused(), &renewals, now).as_deref(), Some("HTTP 502"));
        let lost = Ping::Lost("refused".to_owned());
        assert_eq!(suspicions.judge(lost, &renewals, now).as_deref(), Some("refused"));
    }
}
