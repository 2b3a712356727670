//! The log of events: what changed for those who use the servers.

use std::fmt::Debug;
use std::time::Duration;

use crate::answer::{Answer, Stored};

/// Stores events in the order in which they were recorded.
pub trait EventLog: Debug + Send + Sync {
    /// Adds an event in memory and never waits for the disk; [`Self::stored`] tells when it survives a power
    /// cut. While the store fails, up to 4,000 events wait. Newer ones are dropped, with a warning.
    fn record(&self, event: Event);

    /// Returns events, oldest first.
    fn page(&self, asked: EventsAsked) -> Answer<'_, EventPage>;

    /// Waits until every event that was recorded before this call survives a power cut, and returns whether
    /// it does. Returns `false` at once if the store fails, and after one second if the store is slow.
    fn stored(&self) -> Stored<'_>;
}

/// What changed. Only its writers know what the words mean. Texts longer than [`TEXT_BYTES_MAX`] are truncated
/// when the event is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// The name of the server; none for the daemon itself.
    pub server: Option<String>,
    /// The number of the instance.
    pub instance: Option<u64>,
    pub from: String,
    pub to: String,
    /// The reason for the operator.
    pub reason: Option<String>,
    /// The reason for everybody who may read.
    pub brief_reason: Option<String>,
}

/// An event and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Rises with each event, also over restarts of the daemon. The first one is 1; after a file that was lost or
    /// set aside, it is one that is higher than any number before.
    pub id: u64,
    pub event: Event,
}

/// Which events are asked for.
#[derive(Debug, Clone, Default)]
pub struct EventsAsked {
    /// The events that follow the one with this id; 0: from the oldest on. None: the newest events.
    pub after: Option<u64>,
    /// Milliseconds since 1970. Older events are left out.
    pub since_ms: u64,
    pub of: EventsOf,
    /// At most [`PAGE_MAX`] events.
    pub limit: usize,
}

/// Whose events are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum EventsOf {
    #[default]
    All,
    Daemon,
    Server(String),
}

/// The events that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventPage {
    /// Oldest first.
    pub events: Vec<StoredEvent>,
    /// Whether there are more: older ones if the newest were asked for, else newer ones.
    pub is_cut: bool,
}

/// The number of events that are stored. Newer events replace the oldest.
pub const EVENTS_MAX: u64 = 10_000;
/// The number of events of one server, or of the daemon, so that one server which goes up and down all day
/// does not push out what happened to the others.
pub const EVENTS_OF_ONE_MAX: u64 = 2000;
/// The age at which events are removed.
pub const AGE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// The largest number of events that [`EventLog::page`] returns.
pub const PAGE_MAX: usize = 1000;
/// The largest size of each text of an event, in bytes.
pub const TEXT_BYTES_MAX: usize = 2048;

// === impl Event ===

impl Event {
    /// Truncates every text to [`TEXT_BYTES_MAX`] bytes, at a character boundary.
    #[must_use]
    pub fn cut(mut self) -> Self {
        let texts = [&mut self.from, &mut self.to];
        let optional = [&mut self.server, &mut self.reason, &mut self.brief_reason];
        for text in texts.into_iter().chain(optional.into_iter().flatten()) {
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        }
        self
    }

    /// The time before which events are removed when this one is recorded.
    pub fn keeps_since_ms(&self) -> u64 {
        self.at_ms.saturating_sub(AGE_MAX.as_millis() as u64)
    }
}

// === impl EventsAsked ===

impl EventsAsked {
    /// Whether an event is asked for, apart from the limit.
    pub fn includes(&self, stored: &StoredEvent) -> bool {
        let of = match &self.of {
            EventsOf::All => true,
            EventsOf::Daemon => stored.event.server.is_none(),
            EventsOf::Server(name) => stored.event.server.as_ref() == Some(name),
        };
        of && stored.id > self.after.unwrap_or(0) && stored.event.at_ms >= self.since_ms
    }
}
