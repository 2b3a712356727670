//! The suite. Each function is a promise; a macro makes a test of each for a backend. A new backend needs a
//! [`Place`](crate::places::Place), and lines in `main.rs`.

mod events;
mod failing;
mod hanging;
mod records;
mod sessions;

pub(crate) use self::events::*;
pub(crate) use self::failing::*;
pub(crate) use self::hanging::*;
pub(crate) use self::records::*;
pub(crate) use self::sessions::*;

/// Tries on a place what every backend promises while it works.
macro_rules! store_suite {
    ($name:ident, $place:expr) => {
        crate::suite::tests! { $name, "multi_thread", Some($place);
            what_became_of_sessions_survives,
            notes_are_read_at_once_and_the_last_one_counts,
            the_end_of_a_session_is_final,
            no_two_sessions_have_the_same_number,
            sessions_are_noted_from_many_tasks_at_once,
            names_survive_and_the_last_ones_count,
            keys_are_the_same_for_everybody,
            the_audit_log_survives_in_its_order,
            the_audit_log_is_bounded,
            events_survive_in_their_order_and_their_numbers_rise,
            events_are_found_by_server_time_and_number,
            events_are_bounded_in_number_and_for_each_server,
            old_events_are_removed,
            records_survive_with_their_versions,
            a_record_that_has_changed_is_not_overwritten,
            records_are_listed_by_key_in_pages,
            records_are_changed_by_many_at_once_without_a_loss,
            what_nobody_waited_for_is_there_or_not_and_the_rest_stays,
            closing_keeps_everything,
        }
    };
}
pub(crate) use store_suite;

/// Tries on a place what every backend promises when it fails.
macro_rules! failing_suite {
    ($name:ident, $place:expr) => {
        crate::suite::tests! { $name, "multi_thread", $place;
            what_is_noted_while_it_fails_is_stored_once_it_works,
            what_is_asked_while_it_fails_is_answered_rightly_or_refused,
            a_change_that_failed_was_made_or_not,
            an_end_while_it_fails_is_told_and_leaves_what_was_stored,
        }
    };
}
pub(crate) use failing_suite;

/// Tries on a place what every backend promises when it does not answer.
macro_rules! hanging_suite {
    ($name:ident, $place:expr) => {
        // One thread: a place may hang by its threads being frozen, and one of those must not hold a lock.
        crate::suite::tests! { $name, "current_thread", $place;
            nobody_waits_longer_than_the_deadlines,
            questions_without_number_are_all_answered_in_time,
            what_is_noted_while_it_hangs_is_stored_once_it_answers,
            an_end_while_it_hangs_is_given_up,
        }
    };
}
pub(crate) use hanging_suite;

/// A test for each promise. None: the place can't be made on this machine, which it has said.
macro_rules! tests {
    ($name:ident, $flavor:literal, $place:expr; $($promise:ident,)*) => {
        mod $name {
            $(
                #[tokio::test(flavor = $flavor)]
                async fn $promise() {
                    let place = $place;
                    if let Some(place) = place {
                        crate::suite::$promise(place).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use tests;
