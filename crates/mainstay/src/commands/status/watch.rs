//! `mainstay status --watch`: the page again at each change. On a terminal it is drawn in place, at least once a
//! second, and the terminal is as it was afterwards. Elsewhere it is printed at each change of a state.

use std::convert::Infallible;
use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;
use mainstay_admin::api::events::EventRecord;
use mainstay_admin::client::EventsAsked;
use mainstay_admin::{Client, ClientError};
use mainstay_model::status::Health;
use rustix::termios::tcgetwinsize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{Seen, page};
use crate::cli::Shared;
use crate::commands::daemon;
use crate::commands::trouble::Part;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// The longest time between two drawings.
const DRAW: Duration = Duration::from_secs(1);
/// The wait before the stream of events is opened again.
const AGAIN: Duration = Duration::from_secs(1);
/// The rows of a terminal that doesn't say how many it has.
const ROWS: usize = 24;

/// The second screen of the terminal, which is left when this is dropped.
struct Screen {
    /// What was drawn last.
    drawn: String,
}

/// Where the page goes.
enum Show {
    Screen(Screen),
    /// The states that were printed last.
    Lines(Option<States>),
}

/// The states of everything, and nothing that changes with time.
type States = (Health, Vec<(String, String)>);

pub(super) fn run(shared: &Shared, out: &Output) -> Result<Exit, Failure> {
    let client = daemon::client(shared)?;
    daemon::block_on(async {
        let first = Seen::ask(&client).await?;
        let changed = Notify::new();
        tokio::select! {
            ended = show(shared, &client, first, &changed, out) => ended,
            ended = interrupted() => ended.map(|()| Exit::Done),
            never = follow(&client, &changed) => match never {},
        }
    })
}

async fn show(
    shared: &Shared,
    client: &Client,
    first: Seen,
    changed: &Notify,
    out: &Output,
) -> Result<Exit, Failure> {
    let mut show = if out.can_redraw() && !out.json {
        Show::Screen(Screen::open())
    } else {
        Show::Lines(None)
    };
    let mut seen = Ok(first);
    let mut draws = interval(DRAW);
    draws.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        match (&mut show, &seen) {
            // The terminal may have another size by now.
            (Show::Screen(screen), Ok(seen)) => {
                screen.draw(&page(seen, Timestamp::now(), &Output::new(shared)));
            }
            (Show::Screen(screen), Err(error)) => {
                screen.draw(&format!("{error}\n\nCtrl-C ends this."));
            }
            (Show::Lines(last), Ok(seen)) => print_changed(last, seen, out),
            (Show::Lines(_), Err(ClientError::NoDaemon { .. })) => {
                out.remark("the daemon has ended");
                return Ok(Exit::Done);
            }
            // The next answer may be better.
            (Show::Lines(_), Err(_)) => {}
        }
        if !out.is_written() {
            return Ok(Exit::Done);
        }
        tokio::select! {
            _ = draws.tick() => {}
            () = changed.notified() => {}
        }
        seen = Seen::ask(client).await;
    }
}

/// Prints what has changed since the last time.
fn print_changed(last: &mut Option<States>, seen: &Seen, out: &Output) {
    let now = states(seen);
    if last.as_ref() == Some(&now) {
        return;
    }
    if out.json {
        out.json_line(&seen.status);
    } else {
        if last.is_some() {
            out.line("");
        }
        out.line(page(seen, Timestamp::now(), out));
    }
    *last = Some(now);
}

fn states(seen: &Seen) -> States {
    let parts = Part::all(&seen.status).chain(seen.graph.nodes.iter().map(Part::from));
    let states = parts.map(|part| (part.name.to_owned(), part.state.as_str().to_owned()));
    (seen.status.status, states.collect())
}

/// Waits for a signal that ends the command.
async fn interrupted() -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::of(Exit::Failed, &error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

/// Tells of each event. Without the stream the page is still drawn every second.
async fn follow(client: &Client, changed: &Notify) -> Infallible {
    let newest = EventsAsked { limit: Some(1), ..EventsAsked::default() };
    loop {
        let mut tell = |_: EventRecord| {
            changed.notify_one();
            true
        };
        let _ = client.follow_events(&newest, &mut tell).await;
        sleep(AGAIN).await;
    }
}

// === impl Screen ===

impl Screen {
    fn open() -> Self {
        write("\u{1b}[?1049h\u{1b}[?25l");
        Self { drawn: String::new() }
    }

    /// Draws the page from the upper left corner, as far as there are rows.
    fn draw(&mut self, page: &str) {
        let rows = tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_row));
        let frame = frame(page, if rows == 0 { ROWS } else { rows });
        if frame != self.drawn {
            write(&frame);
            self.drawn = frame;
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        write("\u{1b}[?25h\u{1b}[?1049l");
    }
}

/// The control sequences that show a page in so many rows.
fn frame(page: &str, rows: usize) -> String {
    let lines: Vec<_> = page.lines().collect();
    let mut frame = "\u{1b}[H".to_owned();
    let shown = if lines.len() > rows { rows.saturating_sub(1) } else { lines.len() };
    for (at, line) in lines[..shown].iter().enumerate() {
        let end = if at + 1 < rows { "\r\n" } else { "" };
        frame.push_str(&format!("{line}\u{1b}[K{end}"));
    }
    if shown < lines.len() {
        frame.push_str(&format!("… {} more lines\u{1b}[K", lines.len() - shown));
    }
    frame.push_str("\u{1b}[J");
    frame
}

/// Writes to the terminal. One that is gone needs nothing.
fn write(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::frame;

    #[test]
    fn a_page_is_drawn_in_the_rows_that_there_are() {
        assert_eq!(frame("a\nb", 24), "\u{1b}[Ha\u{1b}[K\r\nb\u{1b}[K\r\n\u{1b}[J");
        assert_eq!(frame("a\nb", 2), "\u{1b}[Ha\u{1b}[K\r\nb\u{1b}[K\u{1b}[J");
        let cut = frame("a\nb\nc\nd", 3);
        assert_eq!(cut, "\u{1b}[Ha\u{1b}[K\r\nb\u{1b}[K\r\n… 2 more lines\u{1b}[K\u{1b}[J");
    }
}
