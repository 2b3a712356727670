//! Drops kept events when streams hold too much for clients that may resume them.

use std::sync::Arc;
use std::time::Instant;

use crate::session::Session;
use crate::stream::replay_budget::{LEFT_STREAM_BYTES_MAX, ReplayBudget};

/// Drops finished streams when streams hold more than this: first those that were read to the end, then
/// the oldest. If that is not enough, drops what was read on open streams. Calls `sessions` only if there
/// is no room.
pub(crate) fn make_room(
    budget: &ReplayBudget,
    bytes_max: usize,
    sessions: impl FnOnce() -> Vec<Arc<Session>>,
) {
    let Some(_one) = budget.try_make_room(bytes_max) else { return };
    // A little more, so that room need not be made for each response.
    let bytes_max = bytes_max / 8 * 7;
    let sessions = sessions();
    let mut ended = Vec::new();
    for session in &sessions {
        ended.extend(session.finished_streams().into_iter().map(|ended| (ended, session)));
    }
    ended.sort_by_key(|(ended, _)| (ended.unread, ended.last_activity));
    for (ended, session) in ended {
        if budget.bytes() <= bytes_max {
            return;
        }
        session.drop_call_stream(&ended.stream);
    }
    let now = Instant::now();
    for session in &sessions {
        session.drop_read_events(now);
    }
}

/// Drops events of streams that nobody has read for a while, the longest first, until these streams
/// together keep no more than they may. Each keeps its last small events, mostly an answer, if that is
/// enough. Calls `sessions` only if there is much.
pub(crate) fn let_go_of_left(
    budget: &ReplayBudget,
    now: Instant,
    sessions: impl FnOnce() -> Vec<Arc<Session>>,
) {
    if budget.bytes() <= budget.left_bytes_max() {
        return;
    }
    let mut left: Vec<_> =
        sessions().iter().flat_map(|session| session.left_streams(now)).collect();
    left.sort_by_key(|(since, _)| *since);
    let mut bytes: usize = left.iter().map(|(_, stream)| stream.bytes()).sum();
    if bytes <= budget.left_bytes_max() {
        return;
    }
    for each_bytes_max in [LEFT_STREAM_BYTES_MAX, 0] {
        for (_, stream) in &left {
            // Those that keep everything are gathered.
            let is_enough = bytes <= budget.left_bytes_max();
            let each_bytes_max = if is_enough { usize::MAX } else { each_bytes_max };
            bytes = bytes.saturating_sub(stream.shrink_left(each_bytes_max, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use mainstay_model::{Budget, Ids, Principal};
    use mainstay_protocol::capabilities::ClientCapabilities;
    use mainstay_protocol::{Id, Revision};
    use mainstay_upstream::SessionNo;

    use super::{let_go_of_left, make_room};
    use crate::session::Session;
    use crate::stream::replay_budget::{
        KEPT_BYTES_MAX, LEFT_STREAM_BYTES_MAX, ReplayBudget, STREAM_BYTES,
    };
    use crate::stream::{LEFT_AFTER, StreamResume};

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
                while read && matches!(reader.poll_next(&cx), Poll::Ready(Some(_))) {}
            }
        }
        assert_eq!(budget.bytes(), 9 * (answer.len() + STREAM_BYTES));
        make_room(&budget, KEPT_BYTES_MAX, || sessions.clone());
        assert_eq!(left(&sessions), [2, 2, 3], "two of the three that were read");
        assert!(budget.bytes() <= KEPT_BYTES_MAX / 8 * 7);
        make_room(&budget, KEPT_BYTES_MAX, || panic!("there is room"));
        for session in &sessions[1..] {
            for _ in 0..2 {
                session.open_call_stream(&budget, &Id::number(1)).finish(answer.clone());
            }
        }
        make_room(&budget, KEPT_BYTES_MAX, || sessions.clone());
        assert_eq!(left(&sessions), [1, 3, 3], "the last that was read, and the three oldest");
        for session in &sessions {
            session.cut_off();
        }
        assert_eq!(budget.bytes(), 0);
    }

    #[test]
    fn of_streams_that_were_left_small_answers_stay_and_the_oldest_go() {
        let budget = ReplayBudget::new(7, Budget::UNLIMITED);
        let sessions = sessions(1);
        let open = || sessions[0].open_call_stream(&budget, &Id::number(1));
        let note = Bytes::from(vec![b'n'; 500_000]);
        let answer = Bytes::from(vec![b'a'; LEFT_STREAM_BYTES_MAX]);
        // A client that reads, however slowly, loses nothing.
        let present = open();
        let reader = present.clone().reader();
        assert!(present.try_push(note.clone()) && present.try_push(note.clone()));
        let streams: Vec<_> = (0..40).map(|_| open()).collect();
        for stream in &streams {
            drop(stream.clone().reader());
            assert!(stream.try_push(note.clone()));
            stream.finish(answer.clone());
        }
        let after = |time: Duration| Instant::now() + time;
        let_go_of_left(&budget, after(LEFT_AFTER / 2), || sessions.clone());
        let each = note.len() + answer.len();
        assert_eq!(streams[0].bytes(), each, "a client may return");
        let later = after(LEFT_AFTER);
        let_go_of_left(&budget, later, || sessions.clone());
        assert_eq!(present.bytes(), 2 * note.len());
        let kept: usize = streams.iter().map(|stream| stream.bytes()).sum();
        assert!(kept <= budget.left_bytes_max() && kept > budget.left_bytes_max() - each, "{kept}");
        assert_eq!((streams[0].bytes(), streams[39].bytes()), (answer.len(), each));
        let StreamResume::Continues(mut back) = streams[0].resume_after(1) else { panic!() };
        let mut text = Vec::new();
        while let Poll::Ready(Some(bytes)) = back.poll_next(&Context::from_waker(Waker::noop())) {
            text.extend_from_slice(&bytes);
        }
        assert!(text.ends_with(&answer), "{}", text.len());
        // A stream whose client has returned keeps its events, even if small events together exceed the bound.
        let many: Vec<_> = (0..250).map(|_| open()).collect();
        for stream in &many {
            drop(stream.clone().reader());
            stream.finish(answer.clone());
        }
        let returned = many[0].resume_after(0);
        let_go_of_left(&budget, after(LEFT_AFTER), || sessions.clone());
        assert!(matches!(streams[1].resume_after(0), StreamResume::AnswerLost));
        assert_eq!((many[0].bytes(), many[249].bytes()), (answer.len(), answer.len()));
        drop((reader, returned, back));
    }
}
