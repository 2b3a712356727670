//! Ways to refuse `initialize` in a revision that the server does not support.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::flags::Flags;
use super::message::{self, Incoming, Outlet};

/// A refusal: the one revision that is supported, and how all others are refused.
pub(super) struct Refusal<'a> {
    only: &'a str,
    pub(super) how: &'a str,
}

/// How the flags refuse the revision `asked`, if they do.
pub(super) fn refusal<'a>(flags: &'a Flags, asked: &str) -> Option<Refusal<'a>> {
    let only = flags.text("only-revision").filter(|only| *only != asked)?;
    Some(Refusal { only, how: flags.text("refuses").unwrap_or("supported") })
}

/// How the flags refuse a message over HTTP, if the message is an `initialize` that they do.
pub(super) fn refusal_of<'a>(flags: &'a Flags, message: &Incoming) -> Option<&'a str> {
    if message.method.as_deref() != Some("initialize") {
        return None;
    }
    let params = message.params();
    refusal(flags, params["protocolVersion"].as_str()?).map(|refusal| refusal.how)
}

/// Refuses over the exchange of the request.
pub(super) async fn refuse(refusal: Refusal<'_>, id: &RawValue, asked: &str, out: &Outlet) {
    let data = json!({"supported": [refusal.only], "requested": asked});
    let error = match refusal.how {
        "words" => message::error(id, -32603, "Cannot read properties of undefined", &Value::Null),
        "exit" => std::process::exit(6),
        "close" => return close_output(),
        _ => message::error(id, -32602, "Unsupported protocol version", &data),
    };
    out.send(error).await;
}

/// Closes standard output, and goes on.
fn close_output() {
    if let Ok(nothing) = std::fs::File::create("/dev/null") {
        // Failure leaves it open, and the test fails.
        let _ = rustix::stdio::dup2_stdout(nothing);
    }
}
