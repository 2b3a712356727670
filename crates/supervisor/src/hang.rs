//! Decides whether an instance that is silent hangs, or only works on a slow call.
//!
//! ```text
//!            silent for `quiet` without calls,             no answer in time,
//!            or a call got no answer by its deadline       and no call may be the reason
//!   Calm ─────────────────────────────────────────▶ Asked ──────────────────────────▶ Hung
//!     ▲                                               │        (`misses` times)
//!     └── a sign of life, a call that may be the reason, a late look
//! ```
//!
//! Any message of the server is a sign of life. While a call is within its deadline the server may be computing,
//! and one with a single thread answers nothing meanwhile. Silence counts then only if it has lasted for longer
//! than a whole call: a call that began after the last sign of life got no answer by its deadline. Otherwise a
//! server that is frozen while clients call it again and again would never be noticed.
//!
//! A question that the server has never answered proves nothing, because some servers ignore pings. Then
//! the server is asked for its tools as well.

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::backoff::{Backoff, Jitter};

/// The times of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HangPolicy {
    /// How long a server without calls is silent before it is asked. Grows with each answer while nothing else
    /// comes.
    pub quiet: Backoff,
    /// Scatters these times, so that not all servers are asked at the same moment.
    pub jitter: Jitter,
    /// How long a question waits for its answer.
    pub answer: Duration,
    /// The same for a question that the server has never answered.
    pub first_answer: Duration,
    /// Unanswered questions in a row that mean a hang.
    pub misses: u8,
    /// The time between two looks while messages come or calls are in flight.
    pub busy_look: Duration,
    /// The longest time between two looks otherwise.
    pub calm_look: Duration,
    /// A look that comes later than this shows that the daemon itself, or the machine, was held up.
    pub late: Duration,
}

/// What is seen of an instance at one moment, without asking it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signs {
    /// Something came from the server since the last look.
    pub heard: bool,
    /// An answer was among it.
    pub answered: bool,
    /// Calls of clients in flight, which are within their deadlines.
    pub calls: usize,
    /// Calls of clients ever begun.
    pub calls_begun: u64,
    /// The number that the next request will have. Numbers increase.
    pub next_number: u64,
    /// The highest number of a call that got no answer by its deadline. 0: there was none.
    pub overdue: u64,
    /// How many bytes the server has taken, while it leaves others waiting.
    pub input_stuck_at: Option<u64>,
}

/// A question that changes nothing at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Question {
    /// `ping`, or `server/discover` at a modern server.
    Ping,
    /// `tools/list`.
    Tools,
}

/// What is known about the answers to a kind of question. An error is an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Habit {
    #[default]
    Unknown,
    /// The server has answered it.
    Answers,
    /// The server did not answer it, and answered something else at that time.
    Ignores,
}

/// What to do after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HangDecision {
    /// Look again at [`HangWatch::next_look`].
    Wait,
    /// Ask this, and report the answer with [`HangWatch::note_answer`]. An earlier question is given up.
    Ask(Question),
    /// The server hangs.
    Hung(Evidence),
}

/// Why a server counts as hung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// How long nothing came that counts as a sign of life.
    pub silent_for: Duration,
    /// The last question without an answer.
    pub question: Question,
    /// How many questions in a row got no answer, and how long each waited.
    pub misses: u8,
    pub answer_within: Duration,
    /// A call got no answer by its deadline since the last sign of life.
    pub is_overdue: bool,
    /// The server leaves its input unread.
    pub is_input_stuck: bool,
}

/// Watches one run of an instance, from the end of its handshake on.
#[derive(Debug, Clone)]
pub struct HangWatch {
    policy: HangPolicy,
    ping: Habit,
    tools: Habit,
    /// The last sign of life, or a moment at which the watch began anew.
    alive_at: Instant,
    /// When a call of a client was last seen in flight, or known to have been since the look before.
    called_at: Instant,
    /// Requests from this number on began after the last message of the server.
    number_at_life: u64,
    asked: Option<Asked>,
    /// Questions in a row without an answer that say something.
    misses: u8,
    /// Questions without an answer that the server may ignore.
    ignored: Vec<Question>,
    /// How long the server is silent before it is asked next.
    quiet: Duration,
    /// Answered questions in a row with nothing else in between.
    rounds: u32,
    last: Signs,
    look_at: Instant,
}

/// A question without an answer yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    question: Question,
    at: Instant,
    within: Duration,
}

// === impl HangPolicy ===

impl HangPolicy {
    /// For programs of this machine: one without calls is noticed within a minute.
    pub fn process(seed: u64) -> Self {
        Self::with_quiet(Self::QUIET, Self::QUIET, seed)
    }

    /// For servers elsewhere, which belong to somebody else: they are asked less and less often while nobody
    /// calls them.
    pub fn remote(seed: u64) -> Self {
        Self::with_quiet(Duration::from_secs(10), Duration::from_secs(180), seed)
    }

    const QUIET: Duration = Duration::from_secs(20);

    fn with_quiet(min: Duration, max: Duration, seed: u64) -> Self {
        Self {
            quiet: Backoff::try_new(min, max).unwrap_or_default(),
            jitter: Jitter::seeded(seed),
            answer: Duration::from_secs(10),
            first_answer: Duration::from_secs(5),
            misses: 2,
            busy_look: Duration::from_secs(2),
            calm_look: Duration::from_secs(10),
            late: Duration::from_secs(2),
        }
    }
}

// === impl HangWatch ===

impl HangWatch {
    /// A watch that begins now. `ping` and `tools`: what is known about these questions from the handshake
    /// and earlier runs.
    pub fn new(policy: HangPolicy, ping: Habit, tools: Habit, now: Instant, signs: Signs) -> Self {
        let mut watch = Self {
            policy,
            ping,
            tools,
            alive_at: now,
            called_at: now,
            number_at_life: signs.next_number,
            asked: None,
            misses: 0,
            ignored: Vec::new(),
            quiet: Duration::ZERO,
            rounds: 0,
            last: signs,
            look_at: now,
        };
        watch.begin_quiet();
        watch.look_at = watch.next_look_after(now, signs);
        watch
    }

    /// When to look next. An earlier look does no harm.
    pub fn next_look(&self) -> Instant {
        self.look_at
    }

    /// What the watch has learned about pings.
    pub fn ping_habit(&self) -> Habit {
        self.ping
    }

    /// Looks at the instance.
    pub fn look(&mut self, now: Instant, signs: Signs) -> HangDecision {
        let is_late = now > self.look_at + self.policy.late;
        let decision = if is_late {
            self.begin_anew(now, signs);
            HangDecision::Wait
        } else {
            self.judge(now, signs)
        };
        self.last = signs;
        self.look_at = self.next_look_after(now, signs);
        decision
    }

    /// The server has answered the question that was asked last, in whatever way. `signs` takes the answer in, so
    /// that it is not taken for something else at the next look.
    pub fn note_answer(&mut self, now: Instant, signs: Signs) {
        let Some(asked) = self.asked.take() else { return };
        *self.habit_of(asked.question) = Habit::Answers;
        for question in std::mem::take(&mut self.ignored) {
            *self.habit_of(question) = Habit::Ignores;
        }
        let rounds = self.rounds.saturating_add(1);
        self.number_at_life = signs.next_number;
        self.note_life(now);
        self.rounds = rounds;
        self.begin_quiet();
        self.last = signs;
        self.look_at = self.next_look_after(now, signs);
    }

    fn judge(&mut self, now: Instant, signs: Signs) -> HangDecision {
        let is_input_stuck =
            signs.input_stuck_at.is_some() && signs.input_stuck_at == self.last.input_stuck_at;
        if signs.heard {
            self.number_at_life = signs.next_number;
        }
        if signs.calls > 0 || signs.calls_begun != self.last.calls_begun {
            self.called_at = now;
            self.rounds = 0;
        }
        // Words without answers are no sign of life while the input is not read.
        if signs.answered || (signs.heard && !is_input_stuck) {
            self.note_life(now);
            return HangDecision::Wait;
        }
        let is_overdue = signs.overdue >= self.number_at_life;
        let may_compute = signs.calls > 0 && !is_overdue;
        match self.asked {
            // A call came in between, and may be the reason.
            Some(_) if may_compute => {
                self.asked = None;
                self.misses = 0;
                HangDecision::Wait
            }
            Some(asked) if now < asked.at + asked.within => HangDecision::Wait,
            Some(asked) => {
                self.note_miss(asked.question);
                if self.misses < self.policy.misses {
                    return self.ask(now, signs);
                }
                HangDecision::Hung(Evidence {
                    silent_for: now.saturating_duration_since(self.alive_at),
                    question: asked.question,
                    misses: self.misses,
                    answer_within: asked.within,
                    is_overdue,
                    is_input_stuck,
                })
            }
            None if may_compute => HangDecision::Wait,
            None if is_overdue || self.quiet_until() <= now => self.ask(now, signs),
            None => HangDecision::Wait,
        }
    }

    /// Counts a question without an answer, if the server is known to answer it.
    fn note_miss(&mut self, question: Question) {
        match *self.habit_of(question) {
            Habit::Answers => self.misses += 1,
            Habit::Unknown | Habit::Ignores => self.ignored.push(question),
        }
    }

    /// Asks what the server has answered before, else what it may answer. A server that ignores everything is
    /// left alone until it is quiet again.
    fn ask(&mut self, now: Instant, signs: Signs) -> HangDecision {
        let may_answer = |question: &Question| !self.ignored.contains(question);
        let known = |question: &Question, habit: Habit| {
            habit == Habit::Answers || (habit == Habit::Unknown && may_answer(question))
        };
        let question = if known(&Question::Ping, self.ping) {
            Question::Ping
        } else if known(&Question::Tools, self.tools) {
            Question::Tools
        } else {
            self.begin_anew(now, signs);
            return HangDecision::Wait;
        };
        let within = match *self.habit_of(question) {
            Habit::Answers => self.policy.answer,
            Habit::Unknown | Habit::Ignores => self.policy.first_answer,
        };
        self.asked = Some(Asked { question, at: now, within });
        HangDecision::Ask(question)
    }

    fn habit_of(&mut self, question: Question) -> &mut Habit {
        match question {
            Question::Ping => &mut self.ping,
            Question::Tools => &mut self.tools,
        }
    }

    fn note_life(&mut self, now: Instant) {
        // A question that is open stays so: its answer may be what was heard, and teaches something.
        if let Some(asked) = &mut self.asked {
            asked.at = now;
        }
        self.alive_at = now;
        self.misses = 0;
        self.ignored.clear();
        self.rounds = 0;
        self.begin_quiet();
    }

    fn begin_anew(&mut self, now: Instant, signs: Signs) {
        self.asked = None;
        self.misses = 0;
        self.ignored.clear();
        self.alive_at = now;
        self.called_at = now;
        self.number_at_life = signs.next_number;
        self.begin_quiet();
    }

    fn begin_quiet(&mut self) {
        self.quiet = self.policy.jitter.scatter(self.policy.quiet.wait(self.rounds));
    }

    /// When a silent server without calls is asked.
    fn quiet_until(&self) -> Instant {
        self.alive_at.max(self.called_at) + self.quiet
    }

    fn next_look_after(&self, now: Instant, signs: Signs) -> Instant {
        let is_busy = signs.heard || signs.calls > 0;
        let soon = now + if is_busy { self.policy.busy_look } else { self.policy.calm_look };
        let due = match self.asked {
            Some(asked) => asked.at + asked.within,
            None => self.quiet_until(),
        };
        if due > now { soon.min(due) } else { soon }
    }
}
