//! `mainstay start NAME`, `mainstay stop NAME` and `mainstay restart NAME`: servers and services by hand.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::future::join_all;
use mainstay_admin::api::actions::ActionDone;
use mainstay_admin::api::commands::{NodePrinted, NodesPrinted};
use mainstay_admin::api::status::DaemonStatus;
use mainstay_admin::api::verify::VerifyReport;
use mainstay_admin::{Action, Client};
use mainstay_model::Need;
use tokio::time::sleep;

use super::trouble::Part;
use super::{daemon, running, verify};
use crate::cli::{NodesArgs, RestartArgs, Shared, StopArgs};
use crate::exit::{Exit, Failure};
use crate::output::{Output, Waiting, format};

/// Deadline for an action that waits for calls: as long as `gateway.drain_timeout` may be, and two minutes for the
/// process to end.
const DRAINED_WITHIN: Duration = Duration::from_secs(3600 + 120);
/// How often the daemon is asked for the calls in flight, to show progress.
const ASK: Duration = Duration::from_millis(500);
/// Deadline for that question: progress is not worth a longer wait.
const ASK_WITHIN: Duration = Duration::from_secs(1);

/// What is done to a server or service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Start,
    Stop,
    Restart,
}

/// What was done, and the exit code.
struct Acted {
    nodes: Vec<NodePrinted>,
    exit: Exit,
}

pub(super) fn start(shared: &Shared, args: &NodesArgs, out: &Output) -> Result<Exit, Failure> {
    if args.names.is_empty() {
        return Err(Failure::new(Exit::Usage, "no server or service is named")
            .hint("`mainstay start NAME` starts one that was stopped by hand")
            .hint("`mainstay up` starts the daemon"));
    }
    run(shared, Verb::Start, &args.names, args.dry_run, out)
}

pub(super) fn stop(shared: &Shared, args: &StopArgs, out: &Output) -> Result<Exit, Failure> {
    run(shared, Verb::Stop, &args.names, args.dry_run, out)
}

pub(super) fn restart(shared: &Shared, args: &RestartArgs, out: &Output) -> Result<Exit, Failure> {
    let RestartArgs { nodes: NodesArgs { names, dry_run }, no_verify } = args;
    if names.is_empty() {
        let both = running::restart(shared);
        return Err(Failure::new(Exit::Usage, "no server or service is named")
            .hint(format!("`{both}` restarts the daemon"))
            .hint("`mainstay restart NAME` restarts one server or service"));
    }
    let restarted = act(shared, Verb::Restart, names, *dry_run, out)?;
    if *dry_run || *no_verify || restarted.exit != Exit::Done {
        return Ok(restarted.finish(None, out));
    }
    let client = daemon::client(shared)?;
    let verified = daemon::block_on(verify::after_restart(&client, names, out))?;
    let exit = verify::exit(&verified);
    if !out.json {
        verify::show(&verified, out);
    }
    restarted.finish(Some(verified), out);
    Ok(exit)
}

fn run(
    shared: &Shared,
    verb: Verb,
    names: &[String],
    dry_run: bool,
    out: &Output,
) -> Result<Exit, Failure> {
    Ok(act(shared, verb, names, dry_run, out)?.finish(None, out))
}

/// Does it to all of them at the same time, and says what came of it.
fn act(
    shared: &Shared,
    verb: Verb,
    names: &[String],
    dry_run: bool,
    out: &Output,
) -> Result<Acted, Failure> {
    let client = daemon::client(shared)?;
    let results = daemon::block_on(async {
        check_names(&daemon::status(&client).await?, names)?;
        let acting = client.with_deadline(DRAINED_WITHIN);
        let acts = join_all(names.iter().map(|name| acting.act(verb.action(name), dry_run)));
        let waiting = out.waiting(format!("{} {}", verb.doing(), names.join(", ")));
        let answers = waiting.during(async {
            tokio::select! {
                answers = acts => answers,
                never = watch(&client, verb, names, &waiting) => match never {},
            }
        });
        Ok(answers.await)
    })?;
    let results =
        names.iter().zip(results).map(|(name, answer)| (name, answer.map_err(Failure::from)));
    let results: Vec<_> = results.collect();
    let exit = match results.iter().find_map(|(_, result)| result.as_ref().err()) {
        None => Exit::Done,
        Some(failure) => failure.exit,
    };
    for (_, result) in results.iter().filter(|_| !out.json) {
        match result {
            Ok(done) => verb.say(done, out),
            Err(failure) => {
                out.failure(failure);
            }
        }
    }
    Ok(Acted { nodes: results.into_iter().map(printed).collect(), exit })
}

/// Checks all names before anything is done to any of them.
fn check_names(status: &DaemonStatus, names: &[String]) -> Result<(), Failure> {
    let known: Vec<_> = Part::all(status).map(|part| part.name.to_owned()).collect();
    for name in names {
        if known.contains(name) {
            continue;
        }
        if status.dependencies.contains_key(name) || status.volumes.contains_key(name) {
            let message = format!("{name} is only watched: Mainstay neither starts nor stops it");
            return Err(Failure::new(Exit::Failed, message));
        }
        let failure = Failure::new(Exit::Failed, format!("there is no server or service {name:?}"));
        return Err(daemon::unknown(failure, name, &known, status));
    }
    Ok(())
}

/// Shows how many calls are still in flight.
async fn watch(client: &Client, verb: Verb, names: &[String], waiting: &Waiting) -> Infallible {
    let client = client.with_deadline(ASK_WITHIN);
    loop {
        sleep(ASK).await;
        if verb == Verb::Start || !waiting.is_on() {
            continue;
        }
        let Ok(status) = client.status().await else { continue };
        let named =
            status.servers.iter().filter(|it| names.iter().any(|name| it.name.as_str() == name));
        let calls = named.map(|server| server.calls).sum::<usize>();
        if calls > 0 {
            let names = names.join(", ");
            waiting.say(format!("{} {names}: calls in flight: {calls}", verb.doing()));
        }
    }
}

fn printed((name, result): (&String, Result<ActionDone, Failure>)) -> NodePrinted {
    let (done, error) = match result {
        Ok(done) => (Some(done), None),
        Err(failure) => (None, Some(failure.message)),
    };
    NodePrinted { name: name.clone(), done, error }
}

// === impl Acted ===

impl Acted {
    /// Prints it for programs, with what came of the checks.
    fn finish(self, verified: Option<VerifyReport>, out: &Output) -> Exit {
        if out.json {
            out.value(&NodesPrinted { nodes: self.nodes, verified });
        }
        self.exit
    }
}

// === impl Verb ===

impl Verb {
    fn action(self, name: &str) -> Action {
        let name = name.to_owned();
        match self {
            Self::Start => Action::StartNode { name },
            Self::Stop => Action::StopNode { name },
            Self::Restart => Action::RestartNode { name },
        }
    }

    fn doing(self) -> &'static str {
        match self {
            Self::Start => "starting",
            Self::Stop => "stopping",
            Self::Restart => "restarting",
        }
    }

    /// Says what was done, or would be, and what that means for others.
    fn say(self, done: &ActionDone, out: &Output) {
        for line in self.lines(done) {
            if done.dry_run { out.sentence(&line) } else { out.done(&line) }
        }
    }

    fn lines(self, done: &ActionDone) -> Vec<String> {
        let mut lines = vec![done.message.clone()];
        if let Some(cut_off) = done.cut_off.filter(|count| *count > 0) {
            let calls = format::count(cut_off, "call");
            lines.push(format!("{calls} did not finish in time, and got an error"));
        }
        let dependants: Vec<_> = done.dependants.iter().map(Need::to_string).collect();
        if !dependants.is_empty() {
            let who = dependants.join(", ");
            lines.push(match (self, done.dry_run) {
                (Self::Stop, false) => {
                    format!("until it is started again, these are degraded or held: {who}")
                }
                (Self::Stop, true) => {
                    format!("until it is started again, these would be degraded or held: {who}")
                }
                (_, _) => format!("these need it: {who}"),
            });
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use mainstay_admin::api::actions::ActionDone;
    use serde_json::json;

    use super::Verb;

    fn done(dry_run: bool) -> ActionDone {
        serde_json::from_value(json!({
            "action": "stop-node", "dry_run": dry_run, "message": "db has stopped", "calls": 3,
            "drain_timeout_ms": 30_000, "cut_off": 1, "dependants": ["server:api", "server:search"],
        }))
        .unwrap()
    }

    #[test]
    fn the_answer_names_what_was_cut_off_and_what_is_held() {
        assert_eq!(
            Verb::Stop.lines(&done(false)),
            [
                "db has stopped",
                "1 call did not finish in time, and got an error",
                "until it is started again, these are degraded or held: server:api, server:search",
            ]
        );
        assert_eq!(
            Verb::Restart.lines(&done(false))[2],
            "these need it: server:api, server:search"
        );
        assert!(Verb::Stop.lines(&done(true))[2].contains("would be degraded or held"));
        let bare = ActionDone { cut_off: Some(0), dependants: Vec::new(), ..done(false) };
        assert_eq!(Verb::Stop.lines(&bare), ["db has stopped"]);
    }
}
