//! Faults of single lists: refused, `null`, hanging, or announced as changed all the time.

use std::sync::atomic::Ordering;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::message::{self, Outlet};
use super::server::{Server, Ways};

/// Answers a list request with the fault that a flag selects for it, if there is one. Returns whether the
/// request is done with.
pub(super) async fn answer(server: &Server, method: &str, id: &RawValue, out: &Outlet) -> bool {
    let flags = &server.flags;
    let is_chosen = |name: &str| {
        flags.text(name).is_some_and(|chosen| chosen.split(',').any(|one| one == method))
    };
    if flags.has("die-on-list") && method.ends_with("/list") {
        std::process::exit(10);
    }
    let most = flags.number("faulty-lists").unwrap_or(usize::MAX) as u64;
    let faulty = ["fail-list", "null-list", "hang-list"].into_iter().find(|name| is_chosen(name));
    let Some(fault) = faulty else { return false };
    if server.faulty_lists.fetch_add(1, Ordering::Relaxed) >= most {
        return false;
    }
    match fault {
        "fail-list" => {
            out.send(message::error(id, -32603, "store offline", &Value::Null)).await;
        }
        "null-list" => {
            let nothing = json!({"tools": null, "resources": null, "resourceTemplates": null, "prompts": null});
            out.send(message::answer(id, &nothing.to_string())).await;
        }
        _ => server.count("hanging lists"),
    }
    true
}

/// Announces changes of all lists, which never happen, after a list was answered.
pub(super) async fn announce(server: &Server, params: &Value, ways: &Ways) {
    if !server.flags.has("tells-when-asked") {
        return;
    }
    // Listens announce it in 2026-07-28.
    server.changes.send_modify(|count| *count += 1);
    if params["_meta"]["io.modelcontextprotocol/protocolVersion"].is_null() {
        for list in ["tools", "resources", "prompts"] {
            ways.side.notify(&format!("notifications/{list}/list_changed"), &json!({})).await;
        }
    }
}
