//! The signals that end the daemon, reload its configuration, or have no effect.
//!
//! `timeout`, service managers and terminals send the same signal twice within a moment: to the process
//! and to its group. That is one wish. So only a later signal cuts off calls in flight.

use std::io;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use self::terminal::Terminal;

mod terminal;
#[cfg(test)]
mod tests;

/// The same signal again within this time is the same wish.
const SAME_WISH: Duration = Duration::from_secs(2);

/// How many TERMs, each a wish of its own, end the daemon at once.
const TERMS: u32 = 3;

/// What asks the daemon to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Terminate,
    Interrupt,
    /// HUP because the terminal of the daemon was closed.
    TerminalClosed,
    /// HUP for any other reason.
    Reload,
    /// The action `stop`.
    Action,
}

/// What a wish leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Stop when the calls in flight have finished.
    Drain,
    /// Go on draining.
    GoOn,
    /// Stop at once.
    EndNow,
}

/// What a daemon that serves is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Stop,
    Reload,
}

/// Decides what each wish leads to: the first one drains; after that an INT, or the third TERM, ends at
/// once.
#[derive(Debug, Default)]
struct Ending {
    /// When the first wish came.
    begun: Option<Instant>,
    /// When the last TERM came that was a wish of its own, and how many there were.
    last_term: Option<Instant>,
    terms: u32,
}

/// Receives the signals of the daemon.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Signals for logs and upgrades, which have no effect yet and must not end the daemon.
    harmless: [Signal; 2],
    terminal: Terminal,
    ending: Ending,
}

// === impl Ending ===

impl Ending {
    fn on(&mut self, wish: Wish, now: Instant) -> Verdict {
        let since = |then: Instant| now.saturating_duration_since(then);
        if wish == Wish::Terminate && self.last_term.is_none_or(|last| since(last) >= SAME_WISH) {
            self.last_term = Some(now);
            self.terms += 1;
        }
        let Some(begun) = self.begun else {
            self.begun = Some(now);
            return Verdict::Drain;
        };
        match wish {
            Wish::Interrupt if since(begun) >= SAME_WISH => Verdict::EndNow,
            Wish::Terminate if self.terms >= TERMS => Verdict::EndNow,
            _ => Verdict::GoOn,
        }
    }
}

// === impl Signals ===

impl Signals {
    /// Takes over the signals. From here on, only the daemon decides what they do.
    pub(super) fn listen() -> io::Result<Self> {
        // What the daemon inherited must be read before it is replaced.
        let terminal = Terminal::of_this_process();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            harmless: [signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?],
            terminal,
            ending: Ending::default(),
        })
    }

    /// Waits for the first signal that ends the daemon, or for one that reloads its configuration.
    pub(super) async fn wanted(&mut self) -> Wanted {
        loop {
            let wish = self.next_wish().await;
            if wish == Wish::Reload {
                return Wanted::Reload;
            }
            if self.ending.on(wish, Instant::now()) == Verdict::Drain {
                return Wanted::Stop;
            }
        }
    }

    /// Notes that the action `stop` has begun the drain.
    pub(super) fn stop_by_action(&mut self) {
        self.ending.on(Wish::Action, Instant::now());
    }

    /// Waits for a signal that ends a daemon at once that drains already.
    pub(super) async fn end_wanted(&mut self) {
        loop {
            match self.next_verdict().await {
                Verdict::EndNow => return,
                Verdict::Drain | Verdict::GoOn => tracing::info!(
                    target: "mainstay",
                    "stopping already, when calls in flight have finished; INT (Ctrl-C) after 2 s, \
                     or a third TERM, stops at once"
                ),
            }
        }
    }

    async fn next_verdict(&mut self) -> Verdict {
        loop {
            match self.next_wish().await {
                Wish::Reload => {
                    tracing::info!(target: "mainstay", "HUP has no effect: the daemon is stopping");
                }
                wish => return self.ending.on(wish, Instant::now()),
            }
        }
    }

    async fn next_wish(&mut self) -> Wish {
        let [user1, user2] = &mut self.harmless;
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Wish::Terminate,
                _ = self.interrupt.recv() => return Wish::Interrupt,
                _ = self.hangup.recv() => {
                    return match self.terminal.closes().await {
                        true => Wish::TerminalClosed,
                        false => Wish::Reload,
                    };
                }
                // Only a daemon in the background has a log file. What keeps that opens it again.
                _ = user1.recv() => {}
                _ = user2.recv() => {
                    tracing::warn!(target: "mainstay", "USR2: this version can't be upgraded in place");
                }
            }
        }
    }
}
