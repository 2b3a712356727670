//! Idle sessions: opened, used once, left alone until standard input ends.

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use super::crew;
use crate::client::{Connection, Session, Target};

/// Opening takes no longer; targets that start a process for each session are slow at it.
const OPENING: Duration = Duration::from_secs(120);
/// Deadline for the head of a stream's response.
const STREAM: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(crate) struct HoldPlan {
    /// Sessions to open.
    #[arg(long, default_value_t = 200)]
    sessions: u32,
    /// Keep each session's connection open too.
    #[arg(long)]
    keep_connections: bool,
    /// Keep the session open with a stream for messages outside of calls.
    #[arg(long)]
    open_streams: bool,
}

/// The line printed once all sessions are open.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) held: u32,
}

// === impl HoldPlan ===

impl HoldPlan {
    pub(crate) fn run(&self, target: &Target) -> Result<()> {
        crew::on_thread(async |_| {
            let opened = tokio::time::timeout(OPENING, self.open_all(target)).await;
            let kept = opened.context("opening the sessions takes too long")??;
            println!("{}", serde_json::to_string(&Held { held: self.sessions })?);
            let mut nothing = Vec::new();
            std::io::stdin().read_to_end(&mut nothing)?;
            drop(kept);
            Ok(())
        })?
    }

    async fn open_all(&self, target: &Target) -> Result<Vec<Connection>> {
        let mut kept = Vec::new();
        for number in 0..self.sessions {
            let mut connection =
                Connection::open(target.address).await.context("cannot connect")?;
            let session = Session::open(target, &mut connection).await?;
            let mut call = session.prepare(number, false);
            call.number(number, u64::from(self.sessions));
            let outcome = call.send(&mut connection).await;
            ensure!(outcome == Ok(()), "session {number} does not work: {outcome:?}");
            if self.open_streams {
                let listening = tokio::time::timeout(STREAM, session.listen(&mut connection));
                let status = listening.await.context("a stream does not begin in 5 s")??;
                ensure!(status == 200, "no stream: status {status}");
            }
            if self.keep_connections || self.open_streams {
                kept.push(connection);
            }
        }
        Ok(kept)
    }
}
