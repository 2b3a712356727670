//! `[gateway]`.

use crate::problem::Notes;
use crate::read::Table;
use crate::units::format_duration;

pub(super) fn check(gateway: &Table, notes: &mut Notes) {
    served(gateway, notes);
    exposed(gateway, "listen", notes);
    if gateway.bool("sse") == Some(true) {
        exposed(gateway, "sse_listen", notes);
    }
    timeouts(gateway, notes);
    public_url(gateway, notes);
}

fn served(gateway: &Table, notes: &mut Notes) {
    let (http, sse) = (gateway.bool("http"), gateway.bool("sse"));
    if http == Some(false) && sse == Some(false) {
        notes
            .error(
                gateway.at("sse"),
                "gateway.sse",
                "`http` and `sse` are both off: no client could connect",
            )
            .help("leave one of them on".to_owned());
    }
    if sse == Some(false) && gateway.listen("sse_listen").is_some() {
        notes.warning(
            gateway.at("sse_listen"),
            "gateway.sse_listen",
            "it has no effect while `sse` is off",
        );
    }
}

/// Without login an address that others can reach opens every server to them.
fn exposed(gateway: &Table, key: &str, notes: &mut Notes) {
    let Some(address) = gateway.listen(key).filter(|address| !address.ip().is_loopback()) else {
        return;
    };
    if gateway.word("login") == Some("none") {
        let message = format!(
            "whoever can reach {address} can call every tool of every server: `login` is \"none\""
        );
        notes.warning(gateway.at(key), &format!("gateway.{key}"), message).help(
            "listen on 127.0.0.1 with a proxy that asks for a login in front, or let a \
         firewall choose who gets through"
                .to_owned(),
        );
    }
}

fn timeouts(gateway: &Table, notes: &mut Notes) {
    let (Some(call), Some(max)) =
        (gateway.duration("call_timeout"), gateway.duration("call_timeout_max"))
    else {
        return;
    };
    if call > max {
        let key =
            if gateway.is_written("call_timeout") { "call_timeout" } else { "call_timeout_max" };
        let message = format!(
            "`call_timeout` is {}, more than `call_timeout_max`, which is {}",
            format_duration(call),
            format_duration(max)
        );
        notes.error(gateway.at(key), &format!("gateway.{key}"), message);
    }
}

fn public_url(gateway: &Table, notes: &mut Notes) {
    let url = gateway.text("public_url").and_then(|text| url::Url::parse(text).ok());
    if url.is_some_and(|url| url.query().is_some() || url.fragment().is_some()) {
        notes
            .error(
                gateway.at("public_url"),
                "gateway.public_url",
                "addresses are built on it, so it can't have a `?` or `#` part",
            )
            .help("write it up to the end of the path".to_owned());
    }
}
