//! Oversized messages, of which only the head and the tail were kept.
//!
//! Mainstay can't forward such a message, but whoever waits for what it is about must be told at once
//! instead of at a deadline. Programs write the id near the start or the end of a message, so it can be
//! found in the head or the tail.

use bytes::Bytes;

use crate::framing::Ends;
use crate::id::{self, Id};
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

/// The id of a client's request that was not read whole. `None` if the message is no request, or the id is
/// uncertain.
pub fn asked_id(ends: &Ends) -> Option<Id> {
    let front = Outline::of(ends.head())?;
    if front.answers || front.has_more_ids {
        return None;
    }
    let ((Some(id), None) | (None, Some(id))) = (front.id, last_id(ends.tail())) else {
        return None;
    };
    let is_id = matches!(id.first()?, b'"' | b'-' | b'0'..=b'9');
    is_id.then(|| Id::from_raw(Bytes::copy_from_slice(id)))
}

#[cfg(test)]
mod tests;
