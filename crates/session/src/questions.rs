//! Open questions of servers to a client: sampling, elicitation and roots requests that wait for an answer.
//!
//! Mainstay numbers the questions that it sends to a client. It forwards an answer to the server that
//! asked, under the server's own id, and drops an answer to a question that is not open. The number and
//! the size of open questions are bounded; Mainstay refuses further questions to the server.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mainstay_protocol::Id;

/// The maximum number of open questions of a call. People are asked one question at a time; programs ask
/// a model a few questions in parallel.
pub const OPEN_PER_CALL_MAX: usize = 16;

/// The maximum number of open questions of a session, enough for four calls at their maximum.
pub const OPEN_PER_SESSION_MAX: usize = 64;

/// The size of a session's open questions, in bytes, at which further questions are refused. The
/// question that crosses the bound is still accepted, because a single question may carry images. So a
/// session holds at most this much and one message.
pub const OPEN_BYTES_MAX: usize = 4 << 20;

/// How long a question outside of calls counts against the limits. Questions of a call end with the call.
pub const OUTSIDE_CALLS_FOR: Duration = Duration::from_secs(300);

/// The highest possible first number of a run of the daemon. It leaves room for a billion questions
/// within 31 bits. Some clients store ids in 32 bits, others in a float with 14 digits.
const BEGINNING_MAX: u64 = (1 << 30) - 1;

/// Allocates question numbers, which rise during a run of the daemon and never repeat.
///
/// Each run starts at a random number. Otherwise a late answer to a question of an earlier run, in a
/// session that was restored, could be taken for the answer to another question.
#[derive(Debug)]
pub struct QuestionNumbers(AtomicU64);

/// Identifies a call within its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallNo(pub u64);

/// An open question. `A` is the handle for answering the server.
#[derive(Debug)]
pub struct Question<A> {
    pub asker: A,
    /// The server's own id of the question.
    pub id: Id,
    /// The call that the question belongs to. `None` for a question outside of calls.
    pub call: Option<CallNo>,
    /// The length of the message, in bytes.
    pub bytes: usize,
    pub asked_at: Instant,
}

/// The limit that refuses a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMany {
    InCall,
    InSession,
    Bytes,
}

/// The open questions of one session, at most [`OPEN_PER_SESSION_MAX`].
#[derive(Debug)]
pub struct Questions<A> {
    open: Vec<(u64, Question<A>)>,
    bytes: usize,
}

// === impl QuestionNumbers ===

impl QuestionNumbers {
    /// Starts the numbers of a run at a number derived from `random`.
    pub fn beginning_at(random: u32) -> Self {
        Self(AtomicU64::new((u64::from(random) & BEGINNING_MAX) + 1))
    }

    /// Allocates the next number.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

// === impl Questions ===

impl<A> Default for Questions<A> {
    fn default() -> Self {
        Self { open: Vec::new(), bytes: 0 }
    }
}

impl<A> Questions<A> {
    /// Opens a question under `number`, before it is sent to the client.
    ///
    /// # Errors
    /// The limit that would be exceeded. The question is not opened then.
    pub fn ask(&mut self, number: u64, question: Question<A>) -> Result<(), TooMany> {
        if let Some(call) = question.call
            && self.open_in(call) >= OPEN_PER_CALL_MAX
        {
            return Err(TooMany::InCall);
        }
        if self.open.len() >= OPEN_PER_SESSION_MAX {
            return Err(TooMany::InSession);
        }
        if self.bytes >= OPEN_BYTES_MAX {
            return Err(TooMany::Bytes);
        }
        self.bytes += question.bytes;
        self.open.push((number, question));
        Ok(())
    }

    /// Closes the question with this number, because the client answered it or it could not be sent.
    /// Returns `None` if no such question is open.
    pub fn close(&mut self, number: u64) -> Option<Question<A>> {
        let at = self.open.iter().position(|(other, _)| *other == number)?;
        Some(self.remove(at))
    }

    /// Closes the first question that matches, because its server cancelled it. Returns its number.
    pub fn take_back(&mut self, is_this: impl Fn(&Question<A>) -> bool) -> Option<u64> {
        let at = self.open.iter().position(|(_, question)| is_this(question))?;
        let number = self.open[at].0;
        self.remove(at);
        Some(number)
    }

    /// Closes all questions of a call.
    pub fn close_call(&mut self, call: CallNo) -> Vec<Question<A>> {
        self.close_all(|question| question.call == Some(call))
    }

    /// Closes questions outside of calls that have been open for [`OUTSIDE_CALLS_FOR`].
    pub fn close_lapsed(&mut self, now: Instant) -> Vec<Question<A>> {
        self.close_all(|question| {
            question.call.is_none()
                && now.saturating_duration_since(question.asked_at) >= OUTSIDE_CALLS_FOR
        })
    }

    /// Closes all questions outside of calls, because nothing carries them to the client any more.
    pub fn close_outside_calls(&mut self) -> Vec<Question<A>> {
        self.close_all(|question| question.call.is_none())
    }

    /// Closes all questions, because the client is gone.
    pub fn close_everything(&mut self) -> Vec<Question<A>> {
        self.close_all(|_| true)
    }

    /// The number of open questions of a call.
    pub fn open_in(&self, call: CallNo) -> usize {
        self.open.iter().filter(|(_, question)| question.call == Some(call)).count()
    }

    /// All open questions.
    pub fn iter(&self) -> impl Iterator<Item = &Question<A>> {
        self.open.iter().map(|(_, question)| question)
    }

    fn remove(&mut self, at: usize) -> Question<A> {
        let (_, question) = self.open.swap_remove(at);
        self.bytes -= question.bytes;
        if self.open.is_empty() {
            // Frees the memory: most sessions are idle.
            self.open = Vec::new();
        }
        question
    }

    fn close_all(&mut self, which: impl Fn(&Question<A>) -> bool) -> Vec<Question<A>> {
        let mut closed = Vec::new();
        for at in (0..self.open.len()).rev() {
            if which(&self.open[at].1) {
                closed.push(self.remove(at));
            }
        }
        closed
    }
}

// === impl TooMany ===

impl std::fmt::Display for TooMany {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::InCall => write!(f, "{OPEN_PER_CALL_MAX} questions of this call are open"),
            Self::InSession => {
                write!(f, "{OPEN_PER_SESSION_MAX} questions to this client are open")
            }
            Self::Bytes => {
                write!(f, "questions of {OPEN_BYTES_MAX} bytes or more are open to this client")
            }
        }
    }
}
