//! How the time of a call, of a page of the merged list and of a notification outside of calls grows with
//! servers, tools and sessions.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::seen::Seen;
use super::servers;
use crate::client::{Connection, Session, Target};
use crate::mcp;
use crate::run::peers::Programs;

/// A daemon of some size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) name: &'static str,
    pub(super) servers: u32,
    /// Of all servers together.
    pub(super) tools: usize,
    pub(super) sessions: u32,
}

/// Milliseconds that a page may take, of any list.
const PAGE_MS_MAX: f64 = 2.0;
const CALLS: u32 = 1000;
/// The list is read from its beginning until it was so many pages.
const PAGES: usize = 400;
/// Time for the start of the servers to be over.
const SETTLING: Duration = Duration::from_secs(2);
/// A tool of the first server.
const TOOL: &str = "s000_00000";
/// Notifications that are sent at once, and how often.
const ANNOUNCED: usize = 2000;
const ANNOUNCEMENTS: u32 = 5;
/// Longest wait for them.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(10);

/// Median times.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// Milliseconds of a call.
    call: f64,
    /// Milliseconds of a page.
    page: f64,
    pages: usize,
    /// Microseconds of a notification.
    notification: f64,
}

// === impl Scale ===

impl Scale {
    /// Median times, one request at a time, in the last of the sessions.
    pub(super) async fn observe(self, programs: &Programs) -> Result<Seen> {
        let tools = self.tools / self.servers as usize;
        let started = servers::start(programs, self.servers, tools).await?;
        let target =
            Target { address: started.address, path: "/mcp".to_owned(), prefix: String::new() };
        let outcome = self.measure(&target).await;
        started.daemon.stop().await;
        let Times { call, page, pages, notification } = outcome?;
        let text = format!(
            "call {call:.2} ms, page {page:.2} ms of {pages}, notification {notification:.1} µs"
        );
        Ok(Seen::new(self.name, text, Some(page), page <= PAGE_MS_MAX))
    }

    async fn measure(self, target: &Target) -> Result<Times> {
        tokio::time::sleep(SETTLING).await;
        let mut connection = Connection::open(target.address).await?;
        let mut session = Session::open(target, &mut connection).await?;
        for _ in 1..self.sessions {
            session = Session::open(target, &mut connection).await?;
        }
        let (page, pages) = self.read_lists(&session, &mut connection).await?;
        let mut call_times = Vec::new();
        for _ in 0..CALLS {
            let begun = Instant::now();
            // The server does not know the tool, which costs the daemon as much as if it did.
            let (status, _) = session.call(&mut connection, TOOL, "{}").await?;
            call_times.push(begun.elapsed());
            ensure!(status == 200, "a call came with status {status}");
        }
        let notification = announce(&session, &mut connection, target).await?;
        Ok(Times { call: median_ms(call_times), page, pages, notification })
    }

    /// Milliseconds of a page, and the number of pages.
    async fn read_lists(
        self,
        session: &Session,
        connection: &mut Connection,
    ) -> Result<(f64, usize)> {
        let mut page_times = Vec::new();
        let (mut listed, mut pages) = (0, 0);
        while page_times.len() < PAGES {
            let mut cursor: Option<String> = None;
            (listed, pages) = (0, 0);
            loop {
                let begun = Instant::now();
                let (status, page) = session.list(connection, cursor.as_deref()).await?;
                page_times.push(begun.elapsed());
                ensure!(status == 200, "a page came with status {status}");
                let page: serde_json::Value = serde_json::from_str(&page)?;
                listed += page["result"]["tools"].as_array().map_or(0, Vec::len);
                pages += 1;
                cursor = page["result"]["nextCursor"].as_str().map(str::to_owned);
                if cursor.is_none() {
                    break;
                }
            }
        }
        ensure!(listed == self.tools, "{listed} of {} tools are listed", self.tools);
        Ok((median_ms(page_times), pages))
    }
}

/// Microseconds of a notification outside of calls, from the first of many to the last. One session has a
/// stream for them.
async fn announce(session: &Session, connection: &mut Connection, target: &Target) -> Result<f64> {
    let mut stream = Connection::open(target.address).await?;
    let status = session.listen(&mut stream).await?;
    ensure!(status == 200, "the stream came with status {status}");
    let arguments = format!(r#"{{"count":{ANNOUNCED}}}"#);
    let mut times = Vec::new();
    for _ in 0..ANNOUNCEMENTS {
        session.call(connection, TOOL, &arguments).await?;
        let text = mcp::ANNOUNCEMENT.as_bytes();
        tokio::time::timeout(ANNOUNCED_WITHIN, stream.read_texts(text, 1)).await??;
        let begun = Instant::now();
        let rest = stream.read_texts(text, ANNOUNCED - 1);
        tokio::time::timeout(ANNOUNCED_WITHIN, rest).await??;
        times.push(begun.elapsed() / (ANNOUNCED as u32 - 1));
    }
    Ok(median_ms(times) * 1e3)
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, |median| median.as_secs_f64() * 1e3)
}
