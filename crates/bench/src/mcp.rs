//! Just enough MCP for an echo server: reads the few members that matter, splices the answer.

mod scan;

pub(crate) use scan::{member, unquote};

/// Text of the `big` tool is capped, so that a slip in a request can't eat the machine.
const BIG_BYTES_MAX: usize = 256 << 20;
/// A delay of the `slow` tool, in milliseconds, at most.
const SLOW_MS_MAX: u64 = 600_000;

/// The revisions the echo servers speak; asked for another, they answer with the first.
const REVISIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// The result of `tools/list`.
pub(crate) const TOOLS: &str = r#"{"tools":[{"name":"echo","description":"Answers with its text.","inputSchema":{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}},{"name":"slow","description":"Answers with its text after a while.","inputSchema":{"type":"object","properties":{"ms":{"type":"integer"},"text":{"type":"string"}},"required":["ms"]}},{"name":"big","description":"Answers with as many bytes as asked.","inputSchema":{"type":"object","properties":{"bytes":{"type":"integer"}},"required":["bytes"]}},{"name":"hang","description":"Never answers.","inputSchema":{"type":"object"}},{"name":"crash","description":"Ends the process.","inputSchema":{"type":"object"}}]}"#;

/// The notification that [`many_tools`] send, as often as their argument `count` says, some time after
/// their call.
pub(crate) const ANNOUNCEMENT: &str = r#"{"jsonrpc":"2.0","method":"notifications/bench"}"#;
const ANNOUNCED_MAX: u64 = 100_000;
const ANNOUNCED_AFTER_MS: u64 = 50;

/// What a server does about a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Send this now.
    Now(Vec<u8>),
    /// The answer to `initialize`; on HTTP a session comes with it.
    Welcome(Vec<u8>),
    /// Send this after so many milliseconds.
    Later(u64, Vec<u8>),
    /// Send the first now and the second after so many milliseconds, when the call is over.
    Both(Vec<u8>, u64, Vec<u8>),
    /// A notification or an answer: nothing to send.
    Nothing,
    /// Send nothing.
    Never,
    /// End the process.
    Crash,
}

/// A result of `tools/list` with so many tools of ordinary size, whose names begin with `mark`.
pub(crate) fn many_tools(mark: &str, count: usize) -> String {
    let tool = |number| {
        format!(
            r#"{{"name":"{mark}_{number:05}","description":"Looks something up and answers with what was found, in the words of its source.","inputSchema":{{"type":"object","properties":{{"query":{{"type":"string","description":"What to look for."}},"count":{{"type":"integer"}}}},"required":["query"]}}}}"#
        )
    };
    let tools: Vec<String> = (0..count).map(tool).collect();
    format!(r#"{{"tools":[{}]}}"#, tools.join(","))
}

/// Answers one JSON-RPC message; `tools` is the result of `tools/list`. Text that is none is answered
/// with an error of id `null`.
pub(crate) fn answer(message: &[u8], tools: &str) -> Reply {
    let Some(method) = member(message, "method").map(unquote) else {
        return match member(message, "result").or_else(|| member(message, "error")) {
            Some(_) => Reply::Nothing,
            None => Reply::Now(error(b"null", -32600, "Invalid Request")),
        };
    };
    let Some(id) = member(message, "id") else {
        return Reply::Nothing;
    };
    match method {
        b"tools/call" => call(id, member(message, "params").unwrap_or(b"{}")),
        b"initialize" => {
            let params = member(message, "params").unwrap_or(b"{}");
            // Nobody asks again for many tools before it is told that they changed.
            Reply::Welcome(result(id, &welcome(params, tools != TOOLS)))
        }
        b"tools/list" => Reply::Now(result(id, tools.as_bytes())),
        b"ping" => Reply::Now(result(id, b"{}")),
        _ => Reply::Now(error(id, -32601, "Method not found")),
    }
}

fn call(id: &[u8], params: &[u8]) -> Reply {
    let tool = member(params, "name").map_or(b"".as_slice(), unquote);
    let arguments = member(params, "arguments").unwrap_or(b"{}");
    let text = member(arguments, "text").unwrap_or(b"\"\"");
    match tool {
        b"echo" => Reply::Now(text_result(id, text)),
        b"slow" => Reply::Later(
            number(arguments, "ms").unwrap_or(0).min(SLOW_MS_MAX),
            text_result(id, text),
        ),
        b"big" => {
            let bytes = number(arguments, "bytes").unwrap_or(0) as usize;
            let mut text = vec![b'x'; bytes.min(BIG_BYTES_MAX) + 2];
            *text.first_mut().expect("two bytes at least") = b'"';
            *text.last_mut().expect("two bytes at least") = b'"';
            Reply::Now(text_result(id, &text))
        }
        b"hang" => Reply::Never,
        b"crash" => Reply::Crash,
        _ => match number(arguments, "count") {
            Some(count) => {
                let lines = vec![ANNOUNCEMENT; count.min(ANNOUNCED_MAX) as usize].join("\n");
                Reply::Both(text_result(id, text), ANNOUNCED_AFTER_MS, lines.into_bytes())
            }
            None => Reply::Now(error(id, -32602, "Unknown tool")),
        },
    }
}

fn number(object: &[u8], name: &str) -> Option<u64> {
    std::str::from_utf8(member(object, name)?).ok()?.parse().ok()
}

fn welcome(params: &[u8], announces: bool) -> Vec<u8> {
    let asked = member(params, "protocolVersion").map_or(b"".as_slice(), unquote);
    let revision =
        REVISIONS.iter().find(|revision| revision.as_bytes() == asked).unwrap_or(&REVISIONS[0]);
    format!(
        r#"{{"protocolVersion":"{revision}","capabilities":{{"tools":{{"listChanged":{announces}}}}},"serverInfo":{{"name":"bench-echo","version":"1"}}}}"#
    )
    .into_bytes()
}

fn text_result(id: &[u8], text: &[u8]) -> Vec<u8> {
    let parts: [&[u8]; 5] = [
        br#"{"jsonrpc":"2.0","id":"#,
        id,
        br#","result":{"content":[{"type":"text","text":"#,
        text,
        br#"}],"isError":false}}"#,
    ];
    parts.concat()
}

fn result(id: &[u8], result: &[u8]) -> Vec<u8> {
    let parts: [&[u8]; 5] = [br#"{"jsonrpc":"2.0","id":"#, id, br#","result":"#, result, b"}"];
    parts.concat()
}

fn error(id: &[u8], code: i32, message: &str) -> Vec<u8> {
    let detail = format!(r#","error":{{"code":{code},"message":"{message}"}}}}"#);
    let parts: [&[u8]; 3] = [br#"{"jsonrpc":"2.0","id":"#, id, detail.as_bytes()];
    parts.concat()
}

#[cfg(test)]
mod tests;
