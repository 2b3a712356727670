//! Budgets of bytes: what the daemon may hold of each kind of data, and in total.
//!
//! Each message, list or stream has a bound of its own; a budget bounds their sum. Code that keeps bytes takes a
//! [`Charge`] for them, which gives them back when it is dropped. A charge can travel with the bytes
//! ([`Charge::hold`]), so that they stay charged until their last copy is gone.
//!
//! Small messages are not charged: [`UNCHARGED_BYTES_MAX`] each, a few for every connection. Their
//! sum is bounded by the number of connections, for which [`Budget::connections_max`] leaves room
//! beside the budget.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::{Refusal, RefusalCode};

/// A kind of data with a share of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryKind {
    /// Request bodies of clients.
    Bodies,
    /// Messages of servers on their way to clients.
    Answers,
    /// Events of streams that clients have not read, or may ask for again.
    Streams,
    /// Lists of servers: tools, resources, templates and prompts.
    Lists,
    /// Open questions of servers to clients.
    Questions,
    /// Published names and URIs that are remembered.
    Names,
}

/// The budget of a daemon, as a handle. Its counters live as long as the program.
#[derive(Clone, Copy)]
pub struct Budget(Option<&'static Ledger>);

#[derive(Debug)]
struct Ledger {
    whole: Account,
    kinds: [Account; MemoryKind::ALL.len()],
}

#[derive(Debug)]
struct Account {
    bytes_max: usize,
    used: AtomicUsize,
    /// Charges that were refused.
    refused: AtomicU64,
}

/// Bytes that are charged to a budget. Dropping it gives them back.
#[derive(Debug)]
pub struct Charge {
    budget: Budget,
    kind: MemoryKind,
    bytes: AtomicUsize,
}

/// The error for bytes beyond a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} would exceed the memory budget of {bytes_max} bytes{}", if *of_whole { " for everything" } else { "" })]
pub struct BudgetExceeded {
    /// What the bytes were to be charged to.
    pub kind: MemoryKind,
    /// The budget that is exhausted, in bytes.
    pub bytes_max: usize,
    /// Whether that is the budget of the whole daemon, not that of the kind.
    pub of_whole: bool,
    /// Whether the message alone is larger than the budget, so that it never has room.
    pub is_alone: bool,
}

/// The state of one budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetState {
    pub used_bytes: usize,
    pub bytes_max: usize,
    /// Charges that were refused since the daemon started.
    pub refused: u64,
}

/// The size up to which a message is not charged. Nearly all messages are smaller, so the budget
/// costs them nothing.
pub const UNCHARGED_BYTES_MAX: usize = 16 << 10;

/// The largest share of names. They are stored in one file, which is written as a whole.
const NAMES_BYTES_MAX: usize = 32 << 20;

/// The smallest and the largest default of the whole budget.
const WHOLE_DEFAULT_MIN: u64 = 32 << 20;
const WHOLE_DEFAULT_MAX: u64 = 4 << 30;
/// The default where the memory limit is unknown.
const WHOLE_UNKNOWN: usize = 1 << 30;

/// What an open connection may cost beside the budget: the buffers of its connection, and messages
/// that are not charged.
const CONNECTION_BYTES: usize = 64 << 10;
/// Connections that even the smallest budget leaves room for.
const CONNECTIONS_MIN: usize = 512;

// === impl MemoryKind ===

impl MemoryKind {
    pub const ALL: [Self; 6] =
        [Self::Bodies, Self::Answers, Self::Streams, Self::Lists, Self::Questions, Self::Names];

    /// The name of the kind in the configuration's reference, in metrics and in refusals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bodies => "bodies",
            Self::Answers => "answers",
            Self::Streams => "streams",
            Self::Lists => "lists",
            Self::Questions => "questions",
            Self::Names => "names",
        }
    }

    /// The share of the kind in a whole budget. The shares add up to more than the whole, because they
    /// are rarely used at the same time.
    fn share_of(self, whole: usize) -> usize {
        match self {
            Self::Answers | Self::Streams | Self::Lists => whole / 2,
            Self::Bodies => whole / 4,
            Self::Questions => whole / 8,
            Self::Names => (whole / 16).min(NAMES_BYTES_MAX),
        }
    }
}

impl fmt::Display for MemoryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Budget ===

impl Budget {
    /// A budget without bounds, which counts nothing.
    pub const UNLIMITED: Self = Self(None);

    /// Creates a budget of this many bytes. It is never freed: a daemon has one.
    pub fn new(bytes_max: usize) -> Self {
        let kinds = MemoryKind::ALL.map(|kind| Account::new(kind.share_of(bytes_max)));
        Self(Some(Box::leak(Box::new(Ledger { whole: Account::new(bytes_max), kinds }))))
    }

    /// The default of the whole budget for a memory limit in bytes, 0 where it is unknown: half of it.
    /// The other half is for the daemon itself, its connections and copies that last a moment.
    pub fn default_bytes_max(memory_limit: u64) -> usize {
        if memory_limit == 0 {
            return WHOLE_UNKNOWN;
        }
        let half = (memory_limit / 2).clamp(WHOLE_DEFAULT_MIN, WHOLE_DEFAULT_MAX);
        usize::try_from(half).unwrap_or(usize::MAX)
    }

    /// The number of connections for which there is room beside the budget, at most as many as the
    /// budget has room for.
    pub fn connections_max(bytes_max: usize) -> usize {
        (bytes_max / CONNECTION_BYTES).max(CONNECTIONS_MIN)
    }

    /// Charges bytes.
    ///
    /// # Errors
    /// When the budget of the kind, or of the whole, would be exceeded. Counts the refusal.
    pub fn take(self, kind: MemoryKind, bytes: usize) -> Result<Charge, BudgetExceeded> {
        let charge = self.charge(kind);
        charge.try_grow(bytes)?;
        Ok(charge)
    }

    /// Charges bytes that take the place of charged ones, even beyond the budget.
    pub fn take_over(self, kind: MemoryKind, bytes: usize) -> Charge {
        let charge = self.charge(kind);
        charge.grow(bytes);
        charge
    }

    /// Returns a charge of no bytes, which can grow.
    pub fn charge(self, kind: MemoryKind) -> Charge {
        Charge { budget: self, kind, bytes: AtomicUsize::new(0) }
    }

    /// Charges a message for as long as a copy of it exists. A small one is returned as it is.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn hold(self, kind: MemoryKind, message: Bytes) -> Result<Bytes, BudgetExceeded> {
        if message.len() <= UNCHARGED_BYTES_MAX {
            return Ok(message);
        }
        let charge = self.take(kind, message.len())?;
        Ok(charge.hold(message))
    }

    /// Charges a message that takes the place of a charged one, even beyond the budget.
    #[must_use]
    pub fn hold_over(self, kind: MemoryKind, message: Bytes) -> Bytes {
        if message.len() <= UNCHARGED_BYTES_MAX {
            return message;
        }
        self.take_over(kind, message.len()).hold(message)
    }

    /// Counts a refusal of a caller that keeps to less than the budget of the kind.
    pub fn note_refusal(self, kind: MemoryKind) {
        if let Some(ledger) = self.0 {
            ledger.kinds[kind as usize].refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The state of the budget of a kind.
    pub fn of(self, kind: MemoryKind) -> BudgetState {
        self.0.map_or(BudgetState::UNLIMITED, |ledger| ledger.kinds[kind as usize].state())
    }

    /// The state of the budget of the whole daemon. Counts only refusals because of this budget, not those of a kind.
    pub fn whole(self) -> BudgetState {
        self.0.map_or(BudgetState::UNLIMITED, |ledger| ledger.whole.state())
    }

    fn try_add(self, kind: MemoryKind, bytes: usize) -> Result<(), BudgetExceeded> {
        let Some(ledger) = self.0 else { return Ok(()) };
        let account = &ledger.kinds[kind as usize];
        let exceeded = |bytes_max, of_whole| BudgetExceeded {
            kind,
            bytes_max,
            of_whole,
            is_alone: bytes > bytes_max,
        };
        if !account.try_add(bytes) {
            account.refused.fetch_add(1, Ordering::Relaxed);
            return Err(exceeded(account.bytes_max, false));
        }
        if !ledger.whole.try_add(bytes) {
            account.sub(bytes);
            account.refused.fetch_add(1, Ordering::Relaxed);
            ledger.whole.refused.fetch_add(1, Ordering::Relaxed);
            return Err(exceeded(ledger.whole.bytes_max, true));
        }
        Ok(())
    }

    fn add(self, kind: MemoryKind, bytes: usize) {
        if let Some(ledger) = self.0 {
            ledger.kinds[kind as usize].used.fetch_add(bytes, Ordering::Relaxed);
            ledger.whole.used.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn sub(self, kind: MemoryKind, bytes: usize) {
        if let Some(ledger) = self.0 {
            ledger.kinds[kind as usize].sub(bytes);
            ledger.whole.sub(bytes);
        }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Budget").field(&self.0.map(|ledger| ledger.whole.state())).finish()
    }
}

// === impl Account ===

impl Account {
    fn new(bytes_max: usize) -> Self {
        Self { bytes_max, used: AtomicUsize::new(0), refused: AtomicU64::new(0) }
    }

    fn try_add(&self, bytes: usize) -> bool {
        let within = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.bytes_max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
    }

    fn sub(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn state(&self) -> BudgetState {
        BudgetState {
            used_bytes: self.used.load(Ordering::Relaxed),
            bytes_max: self.bytes_max,
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

// === impl BudgetState ===

impl BudgetState {
    const UNLIMITED: Self = Self { used_bytes: 0, bytes_max: usize::MAX, refused: 0 };
}

// === impl Charge ===

impl Charge {
    /// The bytes that are charged.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Charges more bytes.
    ///
    /// # Errors
    /// As [`Budget::take`]. What was charged before stays charged.
    pub fn try_grow(&self, more: usize) -> Result<(), BudgetExceeded> {
        self.budget.try_add(self.kind, more).map_err(|exceeded| BudgetExceeded {
            is_alone: self.bytes().saturating_add(more) > exceeded.bytes_max,
            ..exceeded
        })?;
        self.bytes.fetch_add(more, Ordering::Relaxed);
        Ok(())
    }

    /// Charges more bytes, even beyond the budget.
    pub fn grow(&self, more: usize) {
        self.budget.add(self.kind, more);
        self.bytes.fetch_add(more, Ordering::Relaxed);
    }

    /// Gives bytes back, no more than are charged.
    pub fn shrink(&self, less: usize) {
        let shrunk = |bytes: usize| Some(bytes.saturating_sub(less));
        let before = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, shrunk);
        self.budget.sub(self.kind, before.unwrap_or(0).min(less));
    }

    /// Grows or shrinks to this many bytes.
    ///
    /// # Errors
    /// As [`Budget::take`]. The charge stays as it was.
    pub fn resize(&self, bytes: usize) -> Result<(), BudgetExceeded> {
        let before = self.bytes();
        if bytes > before {
            return self.try_grow(bytes - before);
        }
        self.shrink(before - bytes);
        Ok(())
    }

    /// Attaches the charge to a message: the bytes are given back with its last copy.
    #[must_use]
    pub fn hold(self, message: Bytes) -> Bytes {
        Bytes::from_owner(Held { message, _charge: self })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let bytes = *self.bytes.get_mut();
        if bytes > 0 {
            self.budget.sub(self.kind, bytes);
        }
    }
}

/// A message with its charge.
struct Held {
    message: Bytes,
    _charge: Charge,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.message
    }
}

// === impl BudgetExceeded ===

impl BudgetExceeded {
    /// How long a client should wait before it tries again. Most of what uses the memory is gone by
    /// then.
    pub const RETRY_AFTER: Duration = Duration::from_secs(1);

    /// Returns the refusal that says which limit is reached and what to do.
    pub fn refusal(&self) -> Refusal {
        let Self { kind, bytes_max, of_whole, is_alone } = self;
        let what = match kind {
            MemoryKind::Bodies => "request bodies",
            MemoryKind::Answers => "answers on their way to clients",
            MemoryKind::Streams => "messages that clients have not read",
            MemoryKind::Lists => "lists of servers",
            MemoryKind::Questions => "open questions",
            MemoryKind::Names => "names that are remembered",
        };
        let all = if *of_whole { "all data" } else { what };
        let key = if *of_whole { "whole" } else { kind.as_str() };
        let limit = format!("memory_budget ({key}): {bytes_max} bytes");
        if *is_alone {
            let say = format!("this message alone is larger than the memory for {all}");
            return Refusal::new(RefusalCode::LimitExceeded, say)
                .limit(limit)
                .hint("send or ask for less at once, or raise gateway.memory_budget");
        }
        let say = format!("the memory for {all} is used up, so there is no room for more {what}");
        Refusal::new(RefusalCode::LimitExceeded, say)
            .limit(limit)
            .retry_after(Self::RETRY_AFTER)
            .hint("send or ask for less at once, retry later, or raise gateway.memory_budget")
    }
}
