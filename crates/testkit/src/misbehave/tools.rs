//! The tools: most are faults one can call by name.

mod answers;
mod asking;
mod call;
mod faults;
mod greed;
mod journal;
mod odd;
mod signals;
mod work;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::Value;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use self::call::Call;
use super::message::{self, Incoming};
use super::server::{Server, Ways};
use super::spelling;

/// A tool: its name, its description, its function.
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    run: fn(Call) -> Running,
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

macro_rules! tool {
    ($name:literal, $help:literal, $run:path) => {
        Tool { name: $name, help: $help, run: |call| Box::pin($run(call)) }
    };
}

pub(super) const ALL: &[Tool] = &[
    tool!("echo", "Answers with its arguments, as text and as structure", answers::echo),
    tool!("echo_raw", "Answers with the text of its parameters, byte for byte", answers::echo_raw),
    tool!(
        "lossless",
        "Answers with numbers, keys and spaces that typed parsers change",
        answers::lossless
    ),
    tool!("contents", "Answers with every kind of content", answers::contents),
    tool!("stats", "Says what this server has seen so far, and its process id", answers::stats),
    tool!("huge", "Answers with one text of {bytes} (10 MB); {id_last}", answers::huge),
    tool!("blocks", "Answers with {count} (100) texts of 64 KiB", answers::blocks),
    tool!("deep", "Answers with {depth} (200) lists inside one another", answers::deep),
    tool!("record", "Counts {nonce}, so that stats shows it, and echoes", answers::record),
    tool!(
        "journal",
        "Adds {line} to {file}, which outlives this server, and echoes after {ms} (0)",
        journal::journal
    ),
    tool!("journal_read", "Does the same, and says that it changes nothing", journal::journal),
    tool!("fail", "Reports an error of the tool", answers::fail),
    tool!("refuse", "Answers with the JSON-RPC error {code}, {message}", answers::refuse),
    tool!("slow", "Echoes after {ms} (100)", answers::slow),
    tool!(
        "work",
        "Works for {ms} (100) whatever is cancelled, counts when another such call is in progress, then echoes; \
         {silent}: unless it was cancelled",
        work::work
    ),
    tool!("hang", "Never answers", faults::hang),
    tool!(
        "hang_until_cancelled",
        "Answers only once it is cancelled, which is too late",
        faults::hang_until_cancelled
    ),
    tool!(
        "hang_until_left",
        "Never answers, and counts when nobody waits any more",
        faults::hang_until_left
    ),
    tool!("fork_bomb", "Starts processes that start processes; {nonce}", greed::fork_bomb),
    tool!("hog", "Fills {bytes} (1 GiB) of memory, then echoes", greed::hog),
    tool!("spin", "Echoes, and keeps {threads} (1) busy for {ms} (1000)", greed::spin),
    tool!("crash", "Exits with {code} (1) without an answer", faults::crash),
    tool!("crash_after_answer", "Answers, then exits", faults::crash_after_answer),
    tool!("go_deaf", "Echoes, and never reads its standard input again", faults::go_deaf),
    tool!("close_output", "Closes its standard output, and lives on", faults::close_output),
    tool!("twice", "Answers twice", faults::twice),
    tool!("unknown_id", "Answers something nobody asked, then echoes", faults::unknown_id),
    tool!("wrong_id_type", "Answers with the id as a string, then echoes", faults::wrong_id_type),
    tool!("wrong_type", "Answers with a number where a result belongs", faults::wrong_type),
    tool!("no_result", "Answers with neither result nor error", faults::no_result),
    tool!("odd_answer", "Answers in the way {how}, which few clients can read", odd::answer),
    tool!("garbage", "Sends things that are no messages, then echoes", faults::garbage),
    tool!(
        "flood",
        "Sends {count} (1000) log notifications of {bytes} (few), then echoes",
        signals::flood
    ),
    tool!(
        "progress",
        "Reports {steps} (3) of progress {ms} (10) apart, then echoes",
        signals::progress
    ),
    tool!(
        "progress_unknown",
        "Reports progress for a token nobody gave, then echoes",
        signals::progress_unknown
    ),
    tool!("progress_late", "Echoes, then reports progress", signals::progress_late),
    tool!(
        "progress_backwards",
        "Reports progress that decreases, then echoes",
        signals::progress_backwards
    ),
    tool!(
        "chatter",
        "Echoes, then sends {count} (1000) notifications that belong to no call, or {messages}",
        signals::chatter
    ),
    tool!("change", "Adds a tool and says that the list changed", signals::change),
    tool!("touch", "Says that the resource {uri} was updated", signals::touch),
    tool!(
        "ask_user",
        "Asks the user (elicitation) and echoes the answer; {then_hang}",
        asking::user
    ),
    tool!("ask_model", "Asks the client's model (sampling) and echoes the answer", asking::model),
    tool!(
        "ask_roots",
        "Asks for the client's roots and echoes the answer; {late}: echoes, asks and says how that went, as can other such tools",
        asking::roots
    ),
    tool!("ask_ping", "Pings the client and echoes the answer", asking::ping),
    tool!("ask_unknown", "Asks something no client knows and echoes the answer", asking::unknown),
    tool!(
        "ask_flood",
        "Asks {count} (1000) things of {bytes} (1000) at the same time and echoes once all are answered",
        asking::flood
    ),
    tool!(
        "ask_and_take_back",
        "Asks the user, takes the question back after {ms} (100), then asks for roots and echoes",
        asking::take_back
    ),
    tool!(
        "ask_twice_at_once",
        "Asks two things at the same time and echoes both answers",
        asking::twice
    ),
];

/// Tools that say of themselves that they change nothing.
pub(super) const READS: &[&str] = &["echo", "slow", "stats", "journal_read"];

/// Runs the tool that is asked for; unknown names are errors as servers report them.
pub(super) async fn call(
    server: &Arc<Server>,
    id: &RawValue,
    message: &Incoming,
    ways: Ways,
    cancelled: CancellationToken,
) {
    let params = message.params();
    let name = params["name"].as_str().unwrap_or_default();
    let echoes =
        name.starts_with("extra_") || name.starts_with("added_") || server.flags.has("tools-from");
    let known = ALL.iter().find(|tool| tool.name == if echoes { "echo" } else { name });
    let Some(tool) = known else {
        let refusal = message::error(id, -32602, &format!("Unknown tool: {name}"), &Value::Null);
        return ways.exchange.send(refusal).await;
    };
    server.count(&format!("tool {name}"));
    let token = params["_meta"].get("progressToken").and_then(|token| {
        let raw = RawValue::from_string(token.to_string()).ok()?;
        Some(match server.flags.text("ids") {
            Some(how) => spelling::in_spelling(how, &raw),
            None => raw,
        })
    });
    let call = Call {
        server: server.clone(),
        ways,
        id: id.to_owned(),
        arguments: params["arguments"].clone(),
        raw: message.params.as_deref().map_or("", RawValue::get).to_owned(),
        token,
        cancelled,
        answered: AtomicBool::new(false),
    };
    (tool.run)(call).await;
}
