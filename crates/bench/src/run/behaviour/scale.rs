//! How the time of a call and of a page of the merged list grows with servers, tools and sessions.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::seen::Seen;
use super::servers;
use crate::client::{Connection, Session, Target};
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
/// How often the whole list is read.
const READINGS: u32 = 20;

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
        let (call, page, pages) = outcome?;
        let text = format!("call {call:.2} ms, page {page:.2} ms of {pages}");
        Ok(Seen::new(self.name, text, Some(page), page <= PAGE_MS_MAX))
    }

    /// Milliseconds of a call and of a page, and the number of pages.
    async fn measure(self, target: &Target) -> Result<(f64, f64, usize)> {
        let mut connection = Connection::open(target.address).await?;
        let mut session = Session::open(target, &mut connection).await?;
        for _ in 1..self.sessions {
            session = Session::open(target, &mut connection).await?;
        }
        let mut page_times = Vec::new();
        let (mut listed, mut pages) = (0, 0);
        for _ in 0..READINGS {
            let mut cursor: Option<String> = None;
            (listed, pages) = (0, 0);
            loop {
                let begun = Instant::now();
                let (status, page) = session.list(&mut connection, cursor.as_deref()).await?;
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
        let mut call_times = Vec::new();
        for _ in 0..CALLS {
            let begun = Instant::now();
            // The server does not know the tool, which costs the daemon as much as if it did.
            let (status, _) = session.call(&mut connection, "s000_00000", "{}").await?;
            call_times.push(begun.elapsed());
            ensure!(status == 200, "a call came with status {status}");
        }
        Ok((median_ms(call_times), median_ms(page_times), pages))
    }
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, |median| median.as_secs_f64() * 1e3)
}
