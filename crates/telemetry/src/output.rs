//! What servers wrote: the last lines of each, in memory.
//!
//! Servers write for the people who run them, to standard error, and some to standard output as well, where
//! only messages belong. The lines are kept within fixed bounds, so they are charged to no budget: a server
//! that floods loses its own oldest lines first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use mainstay_model::{InstanceId, Name};
use parking_lot::Mutex;
use tokio::sync::watch;

mod sighting;
#[cfg(test)]
mod tests;

pub use self::sighting::Sighting;
use self::sighting::Wanted;

/// Kept lines of one server: some starts of a talkative program.
pub const LINES_MAX: usize = 1000;

/// Kept bytes of one server, with what each line costs besides its text.
pub const SERVER_BYTES_MAX: usize = 128 << 10;

/// Kept bytes of all servers.
pub const BYTES_MAX: usize = 4 << 20;

/// The memory that a line takes besides its text.
const LINE_BYTES: usize = size_of::<OutputLine>() + 16;

/// Where a server wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Stderr,
    /// Standard output, and the line is no message.
    Stdout,
}

/// One line that a server wrote, without secrets that it was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputLine {
    /// Rises with each line of any server; the first one is 1.
    pub number: u64,
    pub at: SystemTime,
    pub server: Name,
    pub instance: InstanceId,
    pub to: Written,
    pub text: Arc<str>,
}

/// The lines after a number.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OutputPage {
    /// Oldest first.
    pub lines: Vec<OutputLine>,
    /// Whether lines after that number are not kept any more.
    pub is_cut: bool,
    /// The number of the newest line of any server.
    pub newest: u64,
}

/// The last lines of all servers. Clones share them.
#[derive(Debug, Clone)]
pub struct ServerOutput(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kept: Mutex<Kept>,
    news: watch::Sender<News>,
}

/// What readers wait for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct News {
    newest: u64,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Kept {
    servers: BTreeMap<Name, Lines>,
    bytes: usize,
    newest: u64,
    /// Texts that somebody waits for.
    wanted: Vec<Wanted>,
}

#[derive(Debug, Default)]
struct Lines {
    lines: VecDeque<OutputLine>,
    bytes: usize,
    /// The number of the newest line that is not kept any more.
    dropped: u64,
}

/// Waits for lines to come.
#[derive(Debug)]
pub struct Follower(watch::Receiver<News>);

// === impl ServerOutput ===

impl ServerOutput {
    pub fn new() -> Self {
        Self(Arc::new(Inner { kept: Mutex::default(), news: watch::Sender::default() }))
    }

    /// Keeps a line, in the place of the oldest ones where there is no room.
    pub fn push(&self, server: &Name, instance: InstanceId, to: Written, text: &str) {
        let (at, text) = (SystemTime::now(), Arc::from(text));
        let newest = {
            let mut kept = self.0.kept.lock();
            kept.wanted.retain(|wanted| !wanted.is_settled_by(server, instance, &text));
            kept.newest += 1;
            let number = kept.newest;
            kept.push(OutputLine { number, at, server: server.clone(), instance, to, text });
            number
        };
        self.0.news.send_if_modified(|news| {
            // Two writers may come in another order than their lines.
            news.newest = news.newest.max(newest);
            true
        });
    }

    /// The lines after a number, and since a time, of one server or of all: at most `limit`, the newest.
    pub fn after(
        &self,
        number: u64,
        since: Option<SystemTime>,
        server: Option<&str>,
        limit: usize,
    ) -> OutputPage {
        let kept = self.0.kept.lock();
        let mut page = OutputPage { newest: kept.newest, ..OutputPage::default() };
        let is_wanted = |name: &Name| server.is_none_or(|server| server == name.as_str());
        for (_, lines) in kept.servers.iter().filter(|(name, _)| is_wanted(name)) {
            page.is_cut |= lines.dropped > number;
            let from = lines.lines.partition_point(|line| line.number <= number);
            let new = lines.lines.range(from..).rev();
            let new = new.filter(|line| since.is_none_or(|since| line.at >= since));
            // One more tells that there are more.
            page.lines.extend(new.take(limit.saturating_add(1)).cloned());
        }
        drop(kept);
        page.lines.sort_unstable_by_key(|line| line.number);
        let beyond = page.lines.len().saturating_sub(limit);
        page.is_cut |= beyond > 0;
        page.lines.drain(..beyond);
        page
    }

    /// Looks for a line that contains `text` in what this instance writes from now on. A line is seen when it is
    /// written, so none is missed, also where it is not kept for long.
    pub fn look_for(&self, server: &Name, instance: InstanceId, text: &str) -> Sighting {
        let (sighting, wanted) = sighting::look_for(server, instance, text);
        let mut kept = self.0.kept.lock();
        kept.wanted.retain(Wanted::is_awaited);
        kept.wanted.push(wanted);
        sighting
    }

    /// Waits for lines that come from now on.
    pub fn follow(&self) -> Follower {
        Follower(self.0.news.subscribe())
    }

    /// Ends all waits: no more lines come, because the daemon ends.
    pub fn close(&self) {
        self.0.news.send_modify(|news| news.is_closed = true);
    }
}

impl Default for ServerOutput {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Follower ===

impl Follower {
    /// Waits until there is a line after this number. Returns whether more may come.
    pub async fn wait(&mut self, number: u64) -> bool {
        let news = self.0.wait_for(|news| news.newest > number || news.is_closed).await;
        news.is_ok_and(|news| news.newest > number || !news.is_closed)
    }
}

// === impl Kept ===

impl Kept {
    fn push(&mut self, line: OutputLine) {
        let lines = self.servers.entry(line.server.clone()).or_default();
        let before = lines.bytes;
        lines.push(line);
        self.bytes = self.bytes - before + lines.bytes;
        if self.bytes > BYTES_MAX {
            self.shrink_largest();
        }
    }

    /// Takes a quarter from the server that has most, so that this is not done for each line.
    fn shrink_largest(&mut self) {
        let Some(largest) = self.servers.values_mut().max_by_key(|lines| lines.bytes) else {
            return;
        };
        let before = largest.bytes;
        largest.shrink(before / 4 * 3);
        self.bytes = self.bytes - before + largest.bytes;
    }
}

// === impl Lines ===

impl Lines {
    fn push(&mut self, line: OutputLine) {
        self.bytes += line.text.len() + LINE_BYTES;
        self.lines.push_back(line);
        if self.lines.len() > LINES_MAX {
            self.drop_oldest();
        }
        self.shrink(SERVER_BYTES_MAX);
    }

    fn shrink(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.lines.pop_front() else { return };
        self.bytes -= oldest.text.len() + LINE_BYTES;
        self.dropped = oldest.number;
    }
}
