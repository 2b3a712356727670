//! `mainstay events`: what changed.

use jiff::Timestamp;
use mainstay_admin::api::events::{EventPage, EventRecord};
use mainstay_admin::client::EventsAsked;
use mainstay_admin::{Client, ClientError};

use super::{daemon, since};
use crate::cli::{EventsArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, format};

/// Events that are shown unless a time is given.
const SHOWN: usize = 100;
/// Most pages of one run. The daemon keeps fewer events than they hold.
const PAGES_MAX: usize = 100;
/// The width of the longest word for a change.
const CHANGE_WIDTH: usize = "breaker-trial".len();
/// The width of a time in seconds.
const TIME_WIDTH: usize = "2026-01-31T12:00:00Z".len();
/// Blanks between columns.
const GAP: &str = "  ";
/// Fewest columns of a terminal that a reason keeps.
const REASON_MIN: usize = 20;
/// What is shown as the name of the daemon. No server can have it.
const DAEMON: &str = "(daemon)";

/// Prints events line by line, in columns that grow with the longest name so far.
struct Lines<'a> {
    out: &'a Output,
    name_width: usize,
}

pub(super) fn run(shared: &Shared, args: &EventsArgs, out: &Output) -> Result<Exit, Failure> {
    let since =
        args.since.as_deref().map(|text| since::read(text, Timestamp::now())).transpose()?;
    let asked = EventsAsked {
        name: args.name.clone(),
        since,
        after: since.map(|_| 0),
        limit: since.is_none().then_some(SHOWN),
    };
    let client = daemon::client(shared)?;
    let mut lines = Lines { out, name_width: 0 };
    daemon::block_on(async {
        if args.follow {
            let mut print = |event: EventRecord| {
                match out.json {
                    true => out.json_line(&event),
                    false => lines.print(&event),
                }
                out.is_written()
            };
            if let Err(error) = client.follow_events(&asked, &mut print).await {
                return Err(no_such(error, args, &client).await);
            }
            if out.is_written() {
                out.remark("the daemon has ended");
            }
            return Ok(Exit::Done);
        }
        let page = match all(&client, asked).await {
            Ok(page) => page,
            Err(error) => return Err(no_such(error, args, &client).await),
        };
        if out.json {
            out.value(&page);
            return Ok(Exit::Done);
        }
        if page.events.is_empty() {
            out.remark("no event is kept");
        } else if page.cut {
            out.remark(format!("these are the newest {SHOWN}; --since 7d shows older ones"));
        }
        lines.name_width = page.events.iter().map(|event| name(event).len()).max().unwrap_or(0);
        page.events.iter().for_each(|event| lines.print(event));
        Ok(Exit::Done)
    })
}

/// All pages that are asked for.
async fn all(client: &Client, mut asked: EventsAsked) -> Result<EventPage, ClientError> {
    let mut all = EventPage::default();
    for _ in 0..PAGES_MAX {
        let page = client.events(&asked).await?;
        all.events.extend(page.events);
        let last = all.events.last().map(|event| event.id);
        // Without a number, what is cut off is older.
        if asked.after.is_none() || !page.cut || last.is_none() {
            all.cut = page.cut;
            break;
        }
        asked.after = last;
    }
    Ok(all)
}

// === impl Lines ===

impl Lines<'_> {
    fn print(&mut self, event: &EventRecord) {
        let out = self.out;
        let (name, change) = (format::harmless(name(event)), format::harmless(&event.event));
        self.name_width = self.name_width.max(name.len());
        let width = self.name_width;
        let blanks = " ".repeat(CHANGE_WIDTH.saturating_sub(change.len()));
        let before = TIME_WIDTH + width + CHANGE_WIDTH + 3 * GAP.len();
        let room = out.columns().map(|columns| columns.saturating_sub(before).max(REASON_MIN));
        let reason = event.reason.as_deref().unwrap_or_default();
        let reason = match out.verbose {
            true => indented(reason),
            false => format::headline(reason, room.unwrap_or(usize::MAX)),
        };
        let at = out.paint(Look::Faint, &seconds(&event.at));
        let change = out.paint(look(event), &change);
        let line = format!("{at}{GAP}{name:<width$}{GAP}{change}{blanks}{GAP}{reason}");
        out.line(line.trim_end());
    }
}

/// A time without the parts of a second.
fn seconds(at: &str) -> String {
    at.parse::<Timestamp>().map_or_else(|_| at.to_owned(), |at| format!("{at:.0}"))
}

/// All lines of a reason, the ones after the first below it.
fn indented(reason: &str) -> String {
    reason.lines().map(format::harmless).collect::<Vec<_>>().join("\n    ")
}

fn name(event: &EventRecord) -> &str {
    event.name.as_deref().unwrap_or(DAEMON)
}

fn look(event: &EventRecord) -> Look {
    match event.event.as_str() {
        "ready" | "back" | "started" | "reloaded" => Look::Good,
        "crash-loop" | "failed" | "not-reloaded" => Look::Bad,
        "not-ready" | "degraded" | "draining" => Look::Doubtful,
        _ => Look::Faint,
    }
}

/// Says which there are, if there is and was none of that name.
async fn no_such(error: ClientError, args: &EventsArgs, client: &Client) -> Failure {
    if let (ClientError::Problem(problem), Some(name)) = (&error, &args.name)
        && let Some(names) = &problem.servers
    {
        let failure =
            Failure::new(Exit::Failed, format!("there is no server, service or external {name:?}"));
        return daemon::unknown_at(client, failure, name, names).await;
    }
    error.into()
}
