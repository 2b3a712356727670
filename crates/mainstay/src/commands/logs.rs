//! `mainstay logs`: what servers wrote.

use jiff::Timestamp;
use mainstay_admin::api::logs::{LogLine, LogStream};
use mainstay_admin::client::LogsAsked;
use mainstay_admin::{Client, ClientError};

use super::{daemon, since};
use crate::cli::{LogsArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, format};

pub(super) fn run(shared: &Shared, args: &LogsArgs, out: &Output) -> Result<Exit, Failure> {
    let since =
        args.since.as_deref().map(|text| since::read(text, Timestamp::now())).transpose()?;
    let asked = LogsAsked { server: args.server.clone(), since };
    let client = daemon::client(shared)?;
    daemon::block_on(async {
        if args.follow {
            let mut print = |line: LogLine| {
                match out.json {
                    true => out.json_line(&line),
                    false => out.line(shown(&line, out)),
                }
                out.is_written()
            };
            if let Err(error) = client.follow_logs(&asked, &mut print).await {
                return Err(no_such(error, args, &client).await);
            }
            if out.is_written() {
                out.remark("the daemon has ended");
            }
            return Ok(Exit::Done);
        }
        let page = match client.logs(&asked).await {
            Ok(page) => page,
            Err(error) => return Err(no_such(error, args, &client).await),
        };
        if out.json {
            out.value(&page);
            return Ok(Exit::Done);
        }
        if page.lines.is_empty() {
            let (who, when) = (args.server.as_deref(), asked.since.map(|_| " since then"));
            let (who, when) = (who.unwrap_or("no server"), when.unwrap_or(" yet"));
            let has_not = if args.server.is_some() { "has not" } else { "has" };
            out.remark(format!("{who} {has_not} written anything{when}"));
        } else if page.cut {
            out.remark("older lines were dropped");
        }
        for line in &page.lines {
            out.line(shown(line, out));
        }
        Ok(Exit::Done)
    })
}

/// A line for people: when it was written and by whom, and what.
fn shown(line: &LogLine, out: &Output) -> String {
    let stray = match line.stream {
        LogStream::Stderr => "",
        LogStream::Stdout => " (stdout)",
    };
    let begin = format!("{} {} i{}{stray}", line.at, line.server, line.instance);
    format!("{}  {}", out.paint(Look::Faint, &begin), format::harmless(&line.text))
}

/// Says which there are, if there is none of that name.
async fn no_such(error: ClientError, args: &LogsArgs, client: &Client) -> Failure {
    if let (ClientError::Problem(problem), Some(name)) = (&error, &args.server)
        && let Some(names) = &problem.servers
    {
        let failure = Failure::new(Exit::Failed, format!("there is no server or service {name:?}"));
        return daemon::unknown_at(client, failure, name, names).await;
    }
    error.into()
}
