//! Answers that are not valid JSON-RPC, but name their request.

use super::call::Call;

/// Answers in the way that the argument `how` names.
pub(super) async fn answer(call: Call) {
    let id = call.id.get();
    let echo = call.arguments.to_string();
    let ok = format!(r#""result":{{"content":[],"structuredContent":{{"echo":{echo}}}}}"#);
    let failed = r#""error":{"code":-32000,"message":"it broke"}"#;
    let start = format!(r#"{{"jsonrpc":"2.0","id":{id}"#);
    let number = |text: &str| format!(r#"{start},"result":{{"content":[],"x":{text}}}}}"#);
    let text = match call.arguments["how"].as_str().unwrap_or_default() {
        "id-string" => format!(r#"{{"jsonrpc":"2.0","id":"{id}",{ok}}}"#),
        "id-float" => format!(r#"{{"jsonrpc":"2.0","id":{id}.0,{ok}}}"#),
        "id-exponent" => format!(r#"{{"jsonrpc":"2.0","id":{id}e0,{ok}}}"#),
        "bom" => format!("\u{feff}{start},{ok}}}"),
        "id-other" => format!(r#"{{"jsonrpc":"2.0","id":987654321,{ok}}}"#),
        "id-other-word" => format!(r#"{{"jsonrpc":"2.0","id":"server",{ok}}}"#),
        "id-other-cut" => r#"{"jsonrpc":"2.0","id":987654321,"result":{"content":["#.to_owned(),
        "error-id-null" => format!(r#"{{"jsonrpc":"2.0","id":null,{failed}}}"#),
        "error-id-word" => format!(r#"{{"jsonrpc":"2.0","id":"server-error",{failed}}}"#),
        "error-null" => format!(r#"{start},{ok},"error":null}}"#),
        "result-null" => format!(r#"{start},"result":null,{failed}}}"#),
        "no-jsonrpc" => format!(r#"{{"id":{id},{ok}}}"#),
        "jsonrpc-1" => format!(r#"{{"jsonrpc":"1.0","id":{id},{ok}}}"#),
        "nan" => number("NaN"),
        "infinity" => number("-Infinity"),
        "single-quotes" => number("'text'"),
        "suffix" => format!("{start},{ok}}} took 3 ms"),
        "cut" => format!(r#"{start},"result":{{"content":[{{"type":"text","text":"cut o"#),
        "both" => format!("{start},{ok},{failed}}}"),
        "neither" => format!("{start}}}"),
        "error-text" => format!(r#"{start},"error":"it broke"}}"#),
        "error-no-message" => format!(r#"{start},"error":{{"code":7}}}}"#),
        "latin1" => {
            let mut bytes = number(r#""caf_""#).into_bytes();
            bytes.iter_mut().filter(|byte| **byte == b'_').for_each(|byte| *byte = 0xe9);
            return call.ways.exchange.send(bytes).await;
        }
        other => panic!("no answer is called {other:?}"),
    };
    call.ways.exchange.send(text).await;
}
