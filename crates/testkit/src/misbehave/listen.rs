//! Listens of 2026-07-28: a stream of changes that lasts until a side ends it.

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::message::{self, Outlet};
use super::server::Server;

/// Tells of added tools and touched resources until the client leaves or cancels, or the flags want it to end.
pub(super) async fn answer(
    server: &Server,
    id: &RawValue,
    params: &Value,
    out: &Outlet,
    cancelled: CancellationToken,
) {
    if server.flags.has("no-listen") {
        return out.send(message::error(id, -32601, "Method not found", &Value::Null)).await;
    }
    let (mut changes, mut touches) = (server.changes.subscribe(), server.touches.subscribe());
    let wanted = &params["notifications"];
    let wants_uri = |uri: &str| {
        let uris = wanted["resourceSubscriptions"].as_array();
        uris.is_some_and(|uris| uris.iter().any(|wanted| wanted == uri))
    };
    let mark = json!({"io.modelcontextprotocol/subscriptionId": id});
    let honoured = json!({"_meta": mark, "notifications": params["notifications"]});
    out.notify("notifications/subscriptions/acknowledged", &honoured).await;
    let drop_after = server.flags.number("drop-listens");
    let dropped = async {
        match drop_after {
            Some(ms) => tokio::time::sleep(std::time::Duration::from_millis(ms as u64)).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(dropped);
    loop {
        tokio::select! {
            () = cancelled.cancelled() => return server.count("listens cancelled"),
            () = out.closed() => return server.count("listens left"),
            () = &mut dropped => {
                server.count("listens dropped");
                // Over stdio, only this notification ends it.
                return out.notify("notifications/cancelled", &json!({"requestId": id})).await;
            }
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
                let all = server.flags.has("tells-when-asked");
                for list in ["tools", "resources", "prompts"] {
                    let is_wanted = wanted[format!("{list}ListChanged")] == true;
                    if is_wanted && (all || list == "tools") {
                        let method = format!("notifications/{list}/list_changed");
                        out.notify(&method, &json!({"_meta": mark})).await;
                    }
                }
            }
            Ok(uri) = touches.recv() => {
                if wants_uri(&uri) {
                    let params = json!({"_meta": mark, "uri": uri});
                    out.notify("notifications/resources/updated", &params).await;
                }
            }
        }
    }
}
