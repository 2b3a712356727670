//! The deadline of a call. Time that people take to answer questions does not count against the server.

use std::time::{Duration, Instant};

/// Computes the deadline of one call.
///
/// The server has `ordinary` time. Progress extends it to at most `most`, counted from the start of the
/// call. The clock of the server stops while a question to the client is open, for at most `most` in
/// total. So every call ends within twice `most`, however often its server asks.
#[derive(Debug, Clone)]
pub struct CallTime {
    begun: Instant,
    ordinary: Duration,
    most: Duration,
    /// The time granted to the server so far, without pauses.
    granted: Duration,
    /// The total length of finished pauses.
    paused: Duration,
    /// When the current pause began.
    paused_at: Option<Instant>,
}

impl CallTime {
    /// Starts a call at `now`.
    pub fn new(now: Instant, ordinary: Duration, most: Duration) -> Self {
        let most = most.max(ordinary);
        let (paused, paused_at) = (Duration::ZERO, None);
        Self { begun: now, ordinary, most, granted: ordinary, paused, paused_at }
    }

    /// The current deadline. Progress and questions can extend it.
    pub fn deadline(&self) -> Instant {
        let paused = if self.paused_at.is_some() { self.most } else { self.paused };
        self.begun + self.granted + paused
    }

    /// Extends the deadline: the server reported progress.
    pub fn progress(&mut self, now: Instant) {
        let took = now.saturating_duration_since(self.begun).saturating_sub(self.paused_until(now));
        self.granted = self.granted.max((took + self.ordinary).min(self.most));
    }

    /// Stops the server's clock when a question to the client opens. Has no effect during a pause.
    pub fn pause(&mut self, now: Instant) {
        self.paused_at.get_or_insert(now);
    }

    /// Restarts the server's clock when the last open question closes.
    pub fn go_on(&mut self, now: Instant) {
        self.paused = self.paused_until(now);
        self.paused_at = None;
    }

    /// Whether progress has extended the deadline to the most there is.
    pub fn is_at_most(&self) -> bool {
        self.granted == self.most && self.most > self.ordinary
    }

    /// Whether a question is open.
    pub fn is_paused(&self) -> bool {
        self.paused_at.is_some()
    }

    /// The total length of all pauses until `now`, at most `most`.
    fn paused_until(&self, now: Instant) -> Duration {
        let present = self.paused_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        (self.paused + present).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::CallTime;

    const ORDINARY: Duration = Duration::from_secs(30);
    const MOST: Duration = Duration::from_secs(300);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn the_time_of_people_is_not_the_servers() {
        let begun = Instant::now();
        let mut time = CallTime::new(begun, ORDINARY, MOST);
        assert_eq!(time.deadline(), begun + ORDINARY);
        time.pause(begun + seconds(10));
        assert_eq!(time.deadline(), begun + ORDINARY + MOST);
        // Somebody takes four minutes; the server still has its twenty seconds.
        time.go_on(begun + seconds(250));
        assert_eq!(time.deadline(), begun + seconds(270));
    }

    #[test]
    fn all_pauses_together_are_bounded() {
        let begun = Instant::now();
        let mut time = CallTime::new(begun, ORDINARY, MOST);
        time.pause(begun);
        time.go_on(begun + seconds(200));
        time.pause(begun + seconds(201));
        assert_eq!(time.deadline(), begun + ORDINARY + MOST);
        time.go_on(begun + seconds(320));
        assert_eq!(time.deadline(), begun + ORDINARY + MOST);
        time.pause(begun + seconds(325));
        assert_eq!(time.deadline(), begun + ORDINARY + MOST, "one more question brings nothing");
    }

    #[test]
    fn progress_extends_what_the_server_has() {
        let begun = Instant::now();
        let mut time = CallTime::new(begun, ORDINARY, MOST);
        time.progress(begun + seconds(20));
        assert_eq!(time.deadline(), begun + seconds(50));
        time.pause(begun + seconds(40));
        time.progress(begun + seconds(90));
        time.go_on(begun + seconds(140));
        assert_eq!(time.deadline(), begun + seconds(100 + 40 + 30));
        time.progress(begun + seconds(395));
        assert_eq!(time.deadline(), begun + seconds(100) + MOST);
    }

    #[derive(Debug, Clone, Copy)]
    enum Happening {
        Progress,
        Pause,
        GoOn,
    }

    proptest! {
        /// However often a server asks and reports progress, there is an end, and a call has never less
        /// than its ordinary time.
        #[test]
        fn a_call_ends(story in prop::collection::vec((0..60u64, 0..3usize), 0..200)) {
            let begun = Instant::now();
            let mut now = begun;
            let mut time = CallTime::new(begun, ORDINARY, MOST);
            for (pause, what) in story {
                now += seconds(pause);
                match [Happening::Progress, Happening::Pause, Happening::GoOn][what] {
                    Happening::Progress => time.progress(now),
                    Happening::Pause => time.pause(now),
                    Happening::GoOn => time.go_on(now),
                }
                prop_assert!(time.deadline() >= begun + ORDINARY);
                prop_assert!(time.deadline() <= begun + MOST + MOST);
            }
        }
    }
}
