//! Random schedules: whatever happens in whatever order, the rules hold.

use std::time::{Duration, Instant};

use mainstay_model::Fate;
use proptest::prelude::*;

use super::{CallDecision, CallEvent, CallState, CallTerms, RETRIES_MAX};
use crate::CallTime;

const ORDINARY: Duration = Duration::from_secs(30);
const MOST: Duration = Duration::from_secs(300);

fn event() -> impl Strategy<Value = CallEvent> {
    prop_oneof![
        4 => Just(CallEvent::Sent),
        2 => any::<(bool, bool)>().prop_map(|(is_progress, wanted)| {
            CallEvent::Notification { is_progress, wanted }
        }),
        3 => any::<bool>().prop_map(|is_heard| CallEvent::Question { is_heard }),
        2 => (0..3usize).prop_map(|open| CallEvent::QuestionsClosed { open }),
        1 => any::<bool>().prop_map(|header_mismatch| CallEvent::Answer { header_mismatch }),
        3 => prop_oneof![Just(Fate::Unsent), Just(Fate::Unknown), Just(Fate::Refused),
            Just(Fate::Oversized), Just(Fate::TooDeep), Just(Fate::Unusable), Just(Fate::NoDescriptor)]
            .prop_flat_map(|fate| prop::option::of(0..40u64).prop_map(move |seconds| CallEvent::Lost {
                fate,
                retry_after: seconds.map(Duration::from_secs),
            })),
        1 => Just(CallEvent::NotRepeated),
        1 => Just(CallEvent::ClientAway),
        1 => Just(CallEvent::ClientBack),
        1 => Just(CallEvent::ClientGone),
        1 => Just(CallEvent::Refused),
        1 => Just(CallEvent::Cancelled),
        2 => Just(CallEvent::Deadline),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_rules_hold(
        may_retry: bool,
        can_ask: bool,
        has_mirrors: bool,
        story in prop::collection::vec((0..40u64, event()), 0..60),
    ) {
        let begun = Instant::now();
        let mut now = begun;
        let terms = CallTerms { may_retry, can_ask, has_mirrors };
        let mut call = CallState::new(terms, CallTime::new(begun, ORDINARY, MOST));
        let (mut ends, mut repeats, mut renewals) = (0, 0, 0);
        let mut is_gone = false;
        for (pause, event) in story {
            now += Duration::from_secs(pause);
            let was_over = call.is_over();
            let was_suspended = call.is_suspended();
            let decision = call.on(now, event);
            is_gone |= event == CallEvent::ClientGone;
            match decision {
                CallDecision::Finish(_) => ends += 1,
                CallDecision::Ask => prop_assert!(can_ask && !is_gone && call.is_suspended()),
                CallDecision::Forward => prop_assert!(!is_gone),
                CallDecision::RefuseOpenQuestions => {
                    prop_assert!(was_suspended && !call.is_suspended());
                }
                CallDecision::RenewHeaders => {
                    prop_assert!(has_mirrors);
                    renewals += 1;
                }
                CallDecision::Retry { at_least, pause_max } => {
                    prop_assert!(!call.is_suspended() && now + at_least < call.deadline());
                    prop_assert!(pause_max <= Duration::from_millis(100) * (1 << repeats));
                    let CallEvent::Lost { fate, retry_after } = event else { panic!("{event:?}") };
                    prop_assert_eq!(at_least, retry_after.unwrap_or_default());
                    let is_safe = match fate {
                        Fate::Unsent => true,
                        Fate::Unknown => may_retry,
                        Fate::Refused => may_retry && retry_after.is_some(),
                        _ => false,
                    };
                    prop_assert!(is_safe, "{:?}", fate);
                    repeats += 1;
                }
                CallDecision::Wait | CallDecision::RefuseQuestion => {}
            }
            if was_over {
                prop_assert_eq!(decision, CallDecision::Wait);
            }
            // The deadline of the call ends it, whatever its state.
            if event == CallEvent::Deadline && now >= call.deadline() {
                prop_assert!(call.is_over());
            }
            prop_assert!(call.deadline() >= begun + ORDINARY);
            prop_assert!(call.deadline() <= begun + MOST + MOST);
        }
        prop_assert!(ends <= 1 && repeats <= RETRIES_MAX && renewals <= 1);
        prop_assert_eq!(ends == 1, call.is_over());
    }
}
