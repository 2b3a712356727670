//! The suite. Each function is a promise; `store_suite!` makes a test of each for a backend.

mod records;
mod sessions;

pub(crate) use self::records::*;
pub(crate) use self::sessions::*;

/// Tries every promise on a place.
macro_rules! store_suite {
    ($name:ident, $place:expr) => {
        mod $name {
            crate::suite::store_suite! { @ $place;
                what_became_of_sessions_survives,
                notes_are_read_at_once_and_the_last_one_counts,
                the_end_of_a_session_is_final,
                no_two_sessions_have_the_same_number,
                sessions_are_noted_from_many_tasks_at_once,
                names_survive_and_the_last_ones_count,
                keys_are_the_same_for_everybody,
                the_audit_log_survives_in_its_order,
                the_audit_log_is_bounded,
                records_survive_with_their_versions,
                a_record_that_has_changed_is_not_overwritten,
                records_are_listed_by_key_in_pages,
                records_are_changed_by_many_at_once_without_a_loss,
                closing_keeps_everything,
            }
        }
    };
    (@ $place:expr; $($promise:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                crate::suite::$promise($place).await;
            }
        )*
    };
}
pub(crate) use store_suite;
