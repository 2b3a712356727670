//! Questions of servers to one client (sampling, elicitation, roots) that wait for an answer.
//!
//! The client knows each question by a number of ours. An answer goes to the server that asked under
//! the server's own id, and to nobody when its question is not open (any more). How many questions may
//! be open is bounded: a server that asks faster than its client answers is refused.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mainstay_protocol::Id;

/// Questions of one call that may be open at once. People are asked one thing at a time; programs ask a
/// model a handful of things in parallel.
pub const OPEN_PER_CALL_MAX: usize = 16;

/// Questions of one session that may be open at once: four calls that ask as much as they may.
pub const OPEN_PER_SESSION_MAX: usize = 64;

/// Bytes of a session's open questions from which on no further one is taken. A question may carry
/// images, so the one that passes the bound is let through: what is held is at most so much and one
/// message.
pub const OPEN_BYTES_MAX: usize = 4 << 20;

/// How long a question outside of any call may take a place; a later one may have it then. Questions of
/// a call go with their call.
pub const OUTSIDE_CALLS_FOR: Duration = Duration::from_secs(300);

/// Where the numbers of one run of the daemon begin, at most. With this start there is room for a
/// billion questions before a number needs more than 31 bits, which every client can repeat: some
/// keep ids in 32 bits, some in a float of 14 digits.
const BEGINNING_MAX: u64 = (1 << 30) - 1;

/// Gives out the numbers of questions: rising through a run of the daemon, and none twice.
///
/// Each run begins at a random place. A client may answer a question of an earlier run late, in a
/// session that has gone on since, and its answer must not be taken for that to another question.
#[derive(Debug)]
pub struct QuestionNumbers(AtomicU64);

/// The call a question belongs to; a number of its session's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallNo(pub u64);

/// A question that is open. `A` is how its server is reached.
#[derive(Debug)]
pub struct Question<A> {
    pub asker: A,
    /// The server's own id for it.
    pub id: Id,
    /// None: it belongs to no call.
    pub call: Option<CallNo>,
    /// The length of the message.
    pub bytes: usize,
    pub asked_at: Instant,
}

/// Why a question is not put to the client.
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
    /// Numbers for one run, beginning at a place made of `random`.
    pub fn beginning_at(random: u32) -> Self {
        Self(AtomicU64::new((u64::from(random) & BEGINNING_MAX) + 1))
    }

    /// A number that no other question of this run has.
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
    /// Takes a question that is about to be put to the client under `number`.
    ///
    /// # Errors
    /// When so many are open that it has to be refused; nothing has changed then.
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

    /// Closes the question with this number: the client has answered, or the question was not put to
    /// it after all. None: no such question is open, so an answer is for nobody.
    pub fn close(&mut self, number: u64) -> Option<Question<A>> {
        let at = self.open.iter().position(|(other, _)| *other == number)?;
        Some(self.remove(at))
    }

    /// Closes the question that its server has taken back, and says which it was.
    pub fn take_back(&mut self, is_this: impl Fn(&Question<A>) -> bool) -> Option<u64> {
        let at = self.open.iter().position(|(_, question)| is_this(question))?;
        let number = self.open[at].0;
        self.remove(at);
        Some(number)
    }

    /// Closes the questions of a call.
    pub fn close_call(&mut self, call: CallNo) -> Vec<Question<A>> {
        self.close_all(|question| question.call == Some(call))
    }

    /// Closes questions outside of calls that nobody has answered for [`OUTSIDE_CALLS_FOR`].
    pub fn close_lapsed(&mut self, now: Instant) -> Vec<Question<A>> {
        self.close_all(|question| {
            question.call.is_none()
                && now.saturating_duration_since(question.asked_at) >= OUTSIDE_CALLS_FOR
        })
    }

    /// Closes every question: the client is gone.
    pub fn close_everything(&mut self) -> Vec<Question<A>> {
        self.close_all(|_| true)
    }

    pub fn open_in(&self, call: CallNo) -> usize {
        self.open.iter().filter(|(_, question)| question.call == Some(call)).count()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Question<A>> {
        self.open.iter().map(|(_, question)| question)
    }

    fn remove(&mut self, at: usize) -> Question<A> {
        let (_, question) = self.open.swap_remove(at);
        self.bytes -= question.bytes;
        if self.open.is_empty() {
            // An idle session is small.
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

/// The number in the id of an answer. Clients repeat ids in their own spelling: as a string, or as a
/// number with a fraction of nothing.
pub fn number_of(id: &Id) -> Option<u64> {
    if let Some(number) = id.as_number() {
        return Some(number);
    }
    let text = std::str::from_utf8(id.as_bytes()).ok()?;
    if let Some(quoted) = text.strip_prefix('"') {
        let quoted = quoted.strip_suffix('"')?;
        return mainstay_protocol::id::number(quoted.as_bytes());
    }
    let number: f64 = text.parse().ok()?;
    let exact = number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number);
    exact.then_some(number as u64)
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
