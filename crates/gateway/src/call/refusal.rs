//! Refusals for calls without a response of their server.

use std::time::Duration;

use mainstay_model::settings::{CallLimits, Limits};
use mainstay_model::{BudgetExceeded, Name, Refusal, RefusalCode};
use mainstay_pool::{BudgetSpent, RETRIES_A_SECOND};
use mainstay_upstream::{Fate, Lost};

/// A call that waited this long before it was sent is told so when its server does not answer in time.
const WAIT_TOLD_MIN: Duration = Duration::from_secs(1);

/// Returns the refusal for a call whose response was lost.
pub(super) fn lost_call(lost: &Lost, server: &Name, limits: &Limits) -> Refusal {
    let refusal = match lost.fate {
        Fate::Unknown => Refusal::new(
            RefusalCode::OutcomeUnknown,
            format!("the call was sent to {server}, but its response is lost: {}", lost.reason),
        )
        .hint("the server may have carried it out; check before you call again"),
        Fate::Unsent | Fate::Refused => {
            let what = if lost.fate == Fate::Unsent { "did not receive" } else { "did not take" };
            Refusal::new(
                RefusalCode::ServerUnavailable,
                format!("server {server} {what} the call: {}", lost.reason),
            )
            .retry_after(lost.retry_after.unwrap_or_default().max(Duration::from_secs(1)))
        }
        Fate::NoDescriptor => Refusal::new(
            RefusalCode::LimitExceeded,
            format!("the call was not sent to {server}: {}", lost.reason),
        )
        .limit("open files (ulimit -n)")
        .retry_after(Duration::from_secs(1))
        .hint(
            "raise the daemon's limit on open files (`LimitNOFILE` of systemd, `ulimit -n`), or lower \
             gateway.max_connections",
        ),
        Fate::Oversized => Refusal::new(
            RefusalCode::LimitExceeded,
            format!("the response of server {server} is too large"),
        )
        .limit(format!("max_message: {} bytes", limits.message_bytes_max))
        .hint("ask for less at once, or raise gateway.max_message"),
        Fate::TooDeep => Refusal::new(
            RefusalCode::LimitExceeded,
            format!("the response of server {server} is nested too deeply"),
        )
        .limit(format!("max_depth: {}", limits.depth_max))
        .hint("ask for less at once, or raise gateway.max_depth"),
        Fate::Unusable => Refusal::new(
            RefusalCode::OutcomeUnknown,
            format!("server {server} answered the call, but {}", lost.reason),
        )
        .hint("the server may have carried it out; this is a fault of the server's output"),
        Fate::OverBudget(exceeded) => over_budget(&exceeded, server),
    };
    refusal.server(server)
}

/// Returns the refusal for a call whose response arrived and has no room.
pub(super) fn over_budget(exceeded: &BudgetExceeded, server: &Name) -> Refusal {
    let mut refusal = exceeded.refusal().server(server);
    refusal.message =
        format!("{server} carried out the call, but its response is dropped: {}", refusal.message);
    refusal
}

/// Adds to the refusal of a lost call how often it was sent again, and that the retry budget was spent.
pub(super) fn after_retries(
    mut refusal: Refusal,
    retries: u32,
    spent: Option<BudgetSpent>,
) -> Refusal {
    if retries > 0 {
        let times = if retries == 1 { "once" } else { "several times" };
        refusal.message = format!("{}; it was sent again {times}", refusal.message);
    }
    let Some(spent) = spent else { return refusal };
    refusal.message = format!("{}; it could be repeated, but {spent}", refusal.message);
    refusal
        .limit(format!("retries: {RETRIES_A_SECOND} a second and 10 % of calls"))
        .retry_after(spent.wait.max(Duration::from_secs(1)))
        .hint("the call does no harm if it is repeated: call again later")
}

/// Returns the refusal for a call without a response by its deadline, which had `waited` before it was sent.
/// `is_at_most`: progress had extended the deadline to the most there is.
pub(super) fn deadline_exceeded(
    took: Duration,
    waited: Duration,
    server: &Name,
    limits: CallLimits<'_>,
    is_at_most: bool,
) -> Refusal {
    let CallLimits { call, call_max, call_key, call_max_key } = limits;
    let (key, time) = if is_at_most { (call_max_key, call_max) } else { (call_key, call) };
    // Progress extends a deadline up to the most there is, which may be no more.
    let more = match call_max > call {
        true => format!("; a tool that reports progress gets more time, up to {call_max_key}"),
        false => String::new(),
    };
    let raise = match call_key.contains(".tools.") {
        true => format!("raise {call_key}"),
        false => format!("set call_timeout for this tool, or raise {call_key}"),
    };
    let (say, hint) = if waited < WAIT_TOLD_MIN {
        let say = format!("{server} did not answer within {took:.0?}, so the call was cancelled");
        match is_at_most {
            true => (say, format!("ask for less at once, or raise {key}")),
            false => (say, format!("{raise}{more}")),
        }
    } else {
        let left = took.saturating_sub(waited);
        (
            format!(
                "the call waited {waited:.1?} before it could be sent to {server}, which did not answer within \
                 the {left:.1?} that were left, so the call was cancelled"
            ),
            format!("make fewer calls at the same time, or increase {call_key}{more}"),
        )
    };
    Refusal::new(RefusalCode::DeadlineExceeded, say)
        .server(server)
        .limit(format!("{key}: {time:?}"))
        .hint(hint)
}

/// Returns the refusal for a call that the server has not answered when the daemon stops.
pub(super) fn cut_off(server: &Name) -> Refusal {
    Refusal::new(
        RefusalCode::OutcomeUnknown,
        format!("the daemon stopped before {server} answered the call"),
    )
    .server(server)
    .limit("drain_timeout".to_owned())
    .hint("the server may have carried it out; check before you call again")
}

/// Returns the refusal for a call that was not sent when the daemon stops.
pub(super) fn not_sent(server: &Name) -> Refusal {
    Refusal::new(
        RefusalCode::Maintenance,
        format!("the daemon stopped before the call was sent to {server}"),
    )
    .server(server)
    .hint("retry when the daemon is back")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mainstay_model::Name;
    use mainstay_model::settings::CallLimits;

    use super::deadline_exceeded;

    #[test]
    fn no_hint_promises_more_time_up_to_the_limit_that_was_reached() {
        let (second, server) = (Duration::from_secs(1), Name::try_new("s").unwrap());
        let hint = |call_max, waited, is_at_most| {
            let (call_key, call_max_key) = ("call_timeout", "call_timeout_max");
            let limits = CallLimits { call: second, call_max, call_key, call_max_key };
            let refusal = deadline_exceeded(second, waited, &server, limits, is_at_most);
            refusal.data.hint.unwrap()
        };
        let more = "gets more time, up to call_timeout_max";
        assert!(hint(2 * second, Duration::ZERO, false).contains(more));
        assert!(hint(2 * second, second, false).contains(more));
        for waited in [Duration::ZERO, second] {
            assert!(!hint(second, waited, false).contains("more time"));
        }
        assert!(hint(2 * second, Duration::ZERO, true).ends_with("raise call_timeout_max"));
    }
}
