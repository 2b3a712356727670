//! Lists at the address of one server, with the server's own pages.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Scene;

/// Returns all pages of a list and their number.
async fn pages(
    client: &mainstay_testkit::Client,
    method: &str,
    member: &str,
) -> (Vec<Value>, usize) {
    let (mut items, mut count, mut params) = (Vec::new(), 0, json!({}));
    loop {
        let page = client.request(method, params).await.unwrap();
        items.extend(page[member].as_array().unwrap().iter().cloned());
        count += 1;
        match &page["nextCursor"] {
            Value::Null => return (items, count),
            cursor => params = json!({"cursor": cursor}),
        }
    }
}

#[tokio::test]
async fn pages_are_walked_to_the_end() {
    let scene = Scene::with("", &["--tools=100", "--pages=7"]).await;
    for name in ["near", "far"] {
        let client = scene.client(name).await;
        let (tools, count) = pages(&client, "tools/list", "tools").await;
        let names: BTreeSet<_> = tools.iter().map(|tool| tool["name"].to_string()).collect();
        assert_eq!(names.len(), tools.len(), "{name}: nothing twice");
        assert!(names.contains("\"echo\"") && names.contains("\"extra_00099\""), "{name}");
        // The address of a server shows the server's whole list, in one page or many.
        assert!(count == 1 || count == tools.len().div_ceil(7), "{name}: {count}");
        let expected = [
            ("resources/list", "resources", 3),
            ("prompts/list", "prompts", 1),
            ("resources/templates/list", "resourceTemplates", 1),
        ];
        for (method, member, many) in expected {
            assert_eq!(pages(&client, method, member).await.0.len(), many, "{name} {method}");
        }
    }
    let (tools, _) = pages(&scene.client("").await, "tools/list", "tools").await;
    let names: BTreeSet<_> = tools.iter().map(|tool| tool["name"].to_string()).collect();
    assert!(names.contains("\"extra_00099\"") && names.contains("\"far_extra_00099\""));
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_wrong_cursor_is_an_error_and_nothing_else() {
    let scene = Scene::start().await;
    let merged = scene.client("").await;
    let wrong = [json!("x"), json!(7), json!("-1"), json!([]), json!("1000"), json!("1-2-3")];
    for cursor in wrong {
        let sent = merged.send("tools/list", json!({"cursor": cursor})).await.unwrap();
        let mut sent = sent;
        let answer = sent.answer().await.unwrap();
        assert_eq!(answer["error"]["code"], -32602, "{cursor}: {answer}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_tool_of_the_merged_list_is_called_by_the_name_it_has_there() {
    let scene = Scene::start().await;
    let client = scene.client("").await;
    let (tools, _) = pages(&client, "tools/list", "tools").await;
    for (published, server) in [("stats", "near"), ("far_stats", "far")] {
        assert!(tools.iter().any(|tool| tool["name"] == published), "{published}");
        let before = scene.count(server, "tool stats").await;
        client.call(published, json!({})).await.unwrap();
        // Each request for a page counts as a call.
        assert_eq!(scene.count(server, "tool stats").await, before + 2, "{published}");
    }
    let mut unknown = client.send("tools/call", json!({"name": "near_echo"})).await.unwrap();
    let unknown = unknown.answer().await.unwrap();
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    scene.undisturbed().await;
}
