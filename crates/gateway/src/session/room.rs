//! Drops kept events when streams hold too much for clients that may resume them.

use std::sync::Arc;
use std::time::Instant;

use crate::session::Session;
use crate::stream::replay_budget::ReplayBudget;

/// Drops finished streams when too much is kept: first those that were read to the end, then the
/// oldest. If that is not enough, drops what was read on open streams. Calls `sessions` only if
/// there is no room.
pub(crate) fn make_room(budget: &ReplayBudget, sessions: impl FnOnce() -> Vec<Arc<Session>>) {
    let Some(_one) = budget.try_make_room() else { return };
    let sessions = sessions();
    let mut ended = Vec::new();
    for session in &sessions {
        ended.extend(session.finished_streams().into_iter().map(|ended| (ended, session)));
    }
    ended.sort_by_key(|(ended, _)| (ended.unread, ended.last_activity));
    for (ended, session) in ended {
        if budget.bytes() <= budget.roomy_bytes() {
            return;
        }
        session.drop_call_stream(&ended.stream);
    }
    let now = Instant::now();
    for session in &sessions {
        session.drop_read_events(now);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Waker};

    use bytes::Bytes;
    use mainstay_model::{Budget, Ids, Principal};
    use mainstay_protocol::capabilities::ClientCapabilities;
    use mainstay_protocol::{Id, Revision};
    use mainstay_upstream::SessionNo;

    use super::make_room;
    use crate::session::Session;
    use crate::stream::replay_budget::{KEPT_BYTES_MAX, ReplayBudget, STREAM_BYTES};

    fn sessions(count: u64) -> Vec<Arc<Session>> {
        let endpoint = Ids::default().endpoint();
        let revision = Revision::V2025_11_25;
        let session = |owner| {
            let (principal, can) = (Principal::anonymous(), ClientCapabilities::default());
            Session::stateless(SessionNo(owner), principal, revision, can, None, endpoint, owner)
        };
        (0..count).map(session).map(Arc::new).collect()
    }

    /// How many answers each session has left.
    fn left(sessions: &[Arc<Session>]) -> Vec<usize> {
        sessions.iter().map(|session| session.finished_streams().len()).collect()
    }

    #[test]
    fn answers_that_were_read_go_first_and_then_the_oldest() {
        let budget = ReplayBudget::new(7, Budget::UNLIMITED);
        let sessions = sessions(3);
        let answer = Bytes::from(vec![b'x'; KEPT_BYTES_MAX / 8 - STREAM_BYTES]);
        let cx = Context::from_waker(Waker::noop());
        for read in [false, true, false] {
            for session in &sessions {
                let stream = session.open_call_stream(&budget, &Id::number(1));
                let mut reader = stream.clone().reader();
                stream.finish(answer.clone());
                while read && matches!(reader.poll_next(&cx), std::task::Poll::Ready(Some(_))) {}
            }
        }
        assert_eq!(budget.bytes(), 9 * (answer.len() + STREAM_BYTES));
        make_room(&budget, || sessions.clone());
        assert_eq!(left(&sessions), [2, 2, 3], "two of the three that were read");
        assert!(budget.bytes() <= budget.roomy_bytes());
        make_room(&budget, || panic!("there is room"));
        for session in &sessions[1..] {
            for _ in 0..2 {
                session.open_call_stream(&budget, &Id::number(1)).finish(answer.clone());
            }
        }
        make_room(&budget, || sessions.clone());
        assert_eq!(left(&sessions), [1, 3, 3], "the last that was read, and the three oldest");
        for session in &sessions {
            session.cut_off();
        }
        assert_eq!(budget.bytes(), 0);
    }
}
