//! `mainstay call`: one tool call, the way any client makes it.

use std::io::Read;

use mainstay_admin::client::Notice;
use mainstay_admin::{Client, Conversation};
use serde::Serialize;
use serde_json::value::RawValue;

use self::progress::Progress;
use super::daemon::{self, Tool};
use crate::cli::{CallArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::{Output, Waiting, format};

pub(super) mod arguments;
mod contents;
pub(super) mod parameters;
mod progress;

/// Most bytes read from standard input: the gateway's default limit for a request.
const INPUT_BYTES_MAX: u64 = 4 << 20;

/// The parameters of `tools/call`. Arguments are passed on as typed, long numbers included.
#[derive(Serialize)]
struct Params<'a> {
    name: &'a str,
    arguments: &'a RawValue,
    #[serde(rename = "_meta")]
    meta: Meta,
}

#[derive(Serialize)]
struct Meta {
    #[serde(rename = "progressToken")]
    progress_token: u64,
}

pub(super) fn run(shared: &Shared, args: &CallArgs, out: &Output) -> Result<Exit, Failure> {
    // Wrong arguments are reported before the daemon is asked.
    let given = args.args.as_deref().map(json_object).transpose()?;
    let client = daemon::client(shared)?;
    let result = daemon::block_on(async {
        let waiting = out.waiting(format!("waiting for {}", args.server));
        let opened = Box::pin(daemon::converse(&client, &args.server));
        let mut conversation = daemon::waiting(&client, &args.server, &waiting, opened).await?;
        if out.verbose {
            conversation.hear_messages();
        }
        let result = call(&client, &mut conversation, args, given, (&waiting, out)).await;
        conversation.close().await;
        result
    })?;
    contents::show(&result, args, out)
}

/// Calls the tool and returns the result as JSON text.
async fn call(
    client: &Client,
    conversation: &mut Conversation,
    args: &CallArgs,
    given: Option<Box<RawValue>>,
    (waiting, out): (&Waiting, &Output),
) -> Result<bytes::Bytes, Failure> {
    let listed = Box::pin(daemon::list(conversation));
    let tools = daemon::waiting(client, &args.server, waiting, listed).await?.tools;
    let tool = daemon::find(&tools, &args.server, &args.tool)?;
    let arguments = match given {
        Some(given) => given,
        None => arguments::build(&tool.schema, &args.pairs)
            .map_err(|wrong| misfit(&wrong, args, tool))?,
    };
    for doubt in arguments::doubts(&tool.schema, &args.pairs) {
        out.remark(format!("note: {}", format::harmless(&doubt)));
    }
    let params =
        Params { name: &tool.name, arguments: &arguments, meta: Meta { progress_token: 1 } };
    let params = serde_json::to_string(&params)
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    let progress = Progress::new(&tool.name, waiting, out);
    conversation.set_deadline(daemon::call_deadline(client).await?);
    let mut note = |notice: Notice<'_>| progress.note(&notice);
    Ok(waiting.during(conversation.request("tools/call", Some(&params), &mut note)).await?)
}

fn misfit(wrong: &[String], args: &CallArgs, tool: &Tool) -> Failure {
    let failure = Failure::new(Exit::Usage, wrong.join("\n"));
    let takes = parameters::summary(&tool.schema).join(" ");
    let (server, tool) = (&args.server, &tool.name);
    if takes.is_empty() {
        return failure.hint(format!("{tool} takes no arguments"));
    }
    failure
        .hint(format!("mainstay call {server} {tool} {takes}"))
        .hint(format!("`mainstay tools {server} {tool}` explains the arguments"))
}

/// Reads the JSON object given with `--args`; `-` reads standard input.
fn json_object(text: &str) -> Result<Box<RawValue>, Failure> {
    let mut input = String::new();
    let text = if text == "-" {
        let read = std::io::stdin().lock().take(INPUT_BYTES_MAX + 1).read_to_string(&mut input);
        read.map_err(|error| {
            Failure::new(Exit::Usage, format!("standard input can't be read: {error}"))
        })?;
        if input.len() as u64 > INPUT_BYTES_MAX {
            return Err(Failure::new(Exit::Usage, "the arguments are larger than 4 MiB"));
        }
        input.as_str()
    } else {
        text
    };
    let wrong = |what: String| {
        Failure::new(Exit::Usage, format!("--args {what}"))
            .hint(r#"it is a JSON object, as in --args '{"city": "Oslo"}'"#)
    };
    let value: Box<RawValue> =
        serde_json::from_str(text).map_err(|error| wrong(format!("is not valid JSON: {error}")))?;
    if value.get().starts_with('{') { Ok(value) } else { Err(wrong("is no object".to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::{Exit, json_object};

    #[test]
    fn args_are_an_object_byte_for_byte() {
        for good in ["{}", r#" {"n": 12345678901234567890123, "a":1.0} "#] {
            assert_eq!(json_object(good).unwrap().get(), good.trim());
        }
        for bad in ["", "[]", "1", "{", "{}{}"] {
            assert_eq!(json_object(bad).unwrap_err().exit, Exit::Usage, "{bad}");
        }
    }
}
