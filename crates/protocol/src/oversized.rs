//! Oversized messages, of which only the head and the tail were kept.
//!
//! Mainstay can't forward such a message, but the call that waits for it must fail at once instead of at
//! its deadline. Servers write the id of a response near the start or the end of the message, so the id can
//! be found in the head or the tail.

use crate::id;
use crate::outline::{Outline, last_id};

/// The id of our request that an oversized message answers. `head` and `tail` are the first and the last
/// bytes of the message. `None` if the message is not a response, or the id is uncertain.
///
/// A message is a response if its `result` or `error` starts within `head`. Any other message with an id is
/// a request of the server, whose ids are unrelated to ours.
pub fn answered_id(head: &[u8], tail: &[u8]) -> Option<u64> {
    let front = Outline::of(head)?;
    if !front.answers || front.has_method || front.has_more_ids {
        return None;
    }
    match (front.id, last_id(tail)) {
        (Some(id), None) | (None, Some(id)) => id::number(id),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
