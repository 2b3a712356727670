//! `[gateway]`.

use mainstay_model::Network;

use crate::assemble::public_url as url_of;
use crate::notes::Notes;
use crate::typed::{Named, Table};
use crate::units::format_duration;

pub(super) fn check(gateway: &Table, notes: &mut Notes) {
    served(gateway, notes);
    exposed(gateway, "listen", notes);
    if gateway.bool("sse") == Some(true) {
        exposed(gateway, "sse_listen", notes);
    }
    timeouts(gateway, notes);
    public_url(gateway, notes);
    trusted_proxies(gateway, notes);
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

/// Warns of an address that others can reach: without login it opens every server to them.
fn exposed(gateway: &Table, key: &str, notes: &mut Notes) {
    let Some(address) = gateway.listen(key).filter(|address| !address.ip().is_loopback()) else {
        return;
    };
    if gateway.word("login") == Some("none") {
        let message = format!(
            "anyone who can reach {address} can call every tool of every server: `login` is \"none\""
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
    if let Some(error) = gateway.text("public_url").and_then(|text| url_of(text).err()) {
        notes
            .error(gateway.at("public_url"), "gateway.public_url", error.to_string())
            .help("write it as in \"https://tools.example.org/mcp\"".to_owned());
    } else if !gateway.text("public_url").unwrap_or_default().is_empty()
        && !gateway.is_written("trusted_proxies")
    {
        let message = "a proxy in front is not named in `trusted_proxies`: if it runs on this machine and adds \
                       no forwarding header, all its requests count as sent from this machine";
        notes.warning(gateway.at("public_url"), "gateway.public_url", message).help(
            "name the addresses that the proxy connects from, as in `trusted_proxies = [\"127.0.0.1\", \
             \"::1\"]`, and let it add `X-Forwarded-For`"
                .to_owned(),
        );
    }
}

/// Refuses a trusted proxy range that covers everybody: its forwarded headers would be worth
/// nothing.
fn trusted_proxies(gateway: &Table, notes: &mut Notes) {
    for placed in gateway.list("trusted_proxies") {
        if placed.text.parse::<Network>().is_ok_and(|network| network.is_everything()) {
            let message = "every address is trusted to say where a request comes from";
            notes
                .warning(&placed.at, "gateway.trusted_proxies", message)
                .help("name the addresses that the proxy itself connects from".to_owned());
        }
    }
}

/// Names that clients can't reach at the public URL, since something else lies there.
pub(super) fn shadowed(gateway: &Table, named: &[&Named], notes: &mut Notes) {
    let Some(url) = gateway.text("public_url").and_then(|text| url_of(text).ok()) else { return };
    for one in named {
        let public = url.public_path(&format!("/mcp/{}", one.name));
        let own = url.own_path(&public).unwrap_or_default();
        if own != format!("/mcp/{}", one.name) {
            let message = format!(
                "`{}` can't be reached at `public_url`: there {public} stands for {own}",
                one.name
            );
            notes.warning(&one.at, &one.path, message).help("give it another name".to_owned());
        } else if url.path() == own {
            let message = format!("`public_url` ends like the address of `{}` itself", one.name);
            notes.warning(&one.at, &one.path, message).help(
                "a proxy must remove the path before it forwards a request; or give it another name"
                    .to_owned(),
            );
        }
    }
}
