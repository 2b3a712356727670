//! Ids and progress tokens in another spelling than the client's.

use serde_json::value::RawValue;

use super::flags::Flags;
use super::message::Incoming;

/// Respells the id of a request, or the id that a cancellation names, so that everything that is sent about
/// the request has the new spelling.
pub(super) fn respell(flags: &Flags, mut incoming: Incoming) -> Incoming {
    let Some(how) = flags.text("ids") else { return incoming };
    if incoming.method.is_some() {
        incoming.id = incoming.id.map(|id| in_spelling(how, &id));
    }
    incoming
}

/// The text of a number in another spelling.
pub(super) fn in_spelling(how: &str, number: &RawValue) -> Box<RawValue> {
    let text = number.get();
    let spelt = match how {
        _ if text.starts_with('"') => text.to_owned(),
        "string" => format!("\"{text}\""),
        "float" => format!("{text}.0"),
        "exponent" => format!("{text}e0"),
        _ => text.to_owned(),
    };
    RawValue::from_string(spelt).unwrap_or_else(|_| number.to_owned())
}
