//! Many servers behind one address: all of their items are there, under stable names.

use mainstay_testkit::{Client, Daemon};
use serde_json::{Value, json};

use super::{Site, ask, assert_echo, counts, daemon, in_state, misbehave};

/// Two servers with the same items, one of each kind.
async fn twins() -> (Daemon, Site, Client) {
    let site = Site::start(&["--name=second"]);
    let daemon = daemon()
        .command_server("one", &misbehave(&["--name=first"]))
        .url_server("two", &site.url())
        .start()
        .await
        .unwrap();
    in_state(&daemon, "one", "ready").await;
    in_state(&daemon, "two", "ready").await;
    let client = Client::connect(&format!("{}/mcp", daemon.base())).await.unwrap();
    (daemon, site, client)
}

#[tokio::test]
async fn tools_and_prompts_find_their_server() {
    let (_daemon, site, client) = twins().await;
    assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
    assert_echo(&ask(&client, "two_echo", json!({"n": 2})).await, &json!({"n": 2}));
    for (name, says) in [("say", "Say this"), ("two_say", "Say this")] {
        let params = json!({"name": name, "arguments": {"what": "this"}});
        let prompt = client.request("prompts/get", params).await.unwrap();
        assert_eq!(prompt["messages"][0]["content"]["text"], says);
        let reference = json!({"type": "ref/prompt", "name": name});
        let params = json!({"ref": reference, "argument": {"name": "what", "value": "o"}});
        let completed = client.request("completion/complete", params).await.unwrap();
        assert_eq!(completed["completion"]["values"], json!(["one", "two"]));
    }
    let (first, second) = (counts(&client, "stats").await, site.counts().await);
    for what in ["tool echo", "prompts/get", "completion/complete"] {
        assert_eq!((&first[what], &second[what]), (&json!(1), &json!(1)), "{what}");
    }
}

#[tokio::test]
async fn colliding_resources_and_templates_find_their_server() {
    let (_daemon, site, client) = twins().await;
    let listed = client.request("resources/list", json!({})).await.unwrap();
    let uris: Vec<_> =
        listed["resources"].as_array().unwrap().iter().map(|one| &one["uri"]).collect();
    assert_eq!(uris[..4], ["mis://one", "mis://two", "mis://three", "mainstay://two/mis://one"]);
    let listed = client.request("resources/templates/list", json!({})).await.unwrap();
    assert_eq!(listed["resourceTemplates"][1]["uriTemplate"], "mainstay://two/mis://number/{n}");
    for (uri, own) in [
        ("mis://one", "mis://one"),
        ("mainstay://two/mis://one", "mis://one"),
        ("mis://number/7", "mis://number/7"),
        ("mainstay://two/mis://number/8", "mis://number/8"),
    ] {
        let read = client.request("resources/read", json!({"uri": uri})).await.unwrap();
        // Clients find their items under the names that they asked for.
        assert_eq!(read["contents"][0]["uri"], uri);
        assert_eq!(read["contents"][0]["text"], format!("contents of {own}"));
    }
    let template = json!({"type": "ref/resource", "uri": "mainstay://two/mis://number/{n}"});
    let params = json!({"ref": template, "argument": {"name": "n", "value": "1"}});
    client.request("completion/complete", params).await.unwrap();
    let (first, second) = (counts(&client, "stats").await, site.counts().await);
    assert_eq!((&first["resources/read"], &second["resources/read"]), (&json!(2), &json!(2)));
    assert_eq!(
        (&first["completion/complete"], &second["completion/complete"]),
        (&Value::Null, &json!(1))
    );
}

#[tokio::test]
async fn updates_of_colliding_resources_come_under_the_name_subscribed_to() {
    let (_daemon, site, client) = twins().await;
    let mut stream = client.listen(None).await.unwrap();
    let uri = "mainstay://two/mis://two";
    client.request("resources/subscribe", json!({"uri": uri})).await.unwrap();
    assert_eq!(site.counts().await["resources/subscribe"], 1);
    // The first server has a resource of the same name, without a subscriber.
    client.call("touch", json!({"uri": "mis://two"})).await.unwrap();
    client.call("two_touch", json!({"uri": "mis://two"})).await.unwrap();
    let message = loop {
        let message = stream.message().await.unwrap().unwrap();
        if message["method"] == "notifications/resources/updated" {
            break message;
        }
    };
    assert_eq!(message["params"]["uri"], uri);
    client.request("resources/unsubscribe", json!({"uri": uri})).await.unwrap();
    assert_eq!(site.counts().await["resources/unsubscribe"], 1);
}

#[tokio::test]
async fn what_is_unknown_is_said_to_be() {
    let daemon = daemon()
        .command_server("good", &misbehave(&[]))
        .command_server("bad", &misbehave(&["--revision=1999-01-01"]))
        .start()
        .await
        .unwrap();
    in_state(&daemon, "good", "ready").await;
    in_state(&daemon, "bad", "failed").await;
    let client = Client::connect(&format!("{}/mcp", daemon.base())).await.unwrap();
    let answer = ask(&client, "nothing", json!({})).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("nothing") && message.contains("bad (failed)"), "{message}");
    for (method, params) in [
        ("prompts/get", json!({"name": "nothing"})),
        ("tools/call", json!({})),
        ("tools/call", json!({"name": 7})),
        ("resources/read", json!({})),
        ("tools/list", json!({"cursor": "elsewhere"})),
    ] {
        let mut exchange = client.send(method, params).await.unwrap();
        let answer = exchange.answer().await.unwrap();
        assert_eq!(answer["error"]["code"], -32602, "{method}: {answer}");
    }
    let mut exchange = client.send("misbehave/unknown", json!({})).await.unwrap();
    assert_eq!(exchange.answer().await.unwrap()["error"]["code"], -32601);
}

#[tokio::test]
async fn a_group_has_its_servers_and_no_others() {
    let daemon = daemon()
        .command_server("a", &misbehave(&[]))
        .command_server("b", &misbehave(&[]))
        .command_server("c", &misbehave(&[]))
        .config("[endpoints.always]\nservers = [\"a\", \"b\"]\nprefix = \"always\"")
        .config("[endpoints.never]\nservers = [\"b\", \"c\"]\nprefix = \"never\"")
        .config("[endpoints.auto]\nservers = [\"c\", \"a\"]")
        .start()
        .await
        .unwrap();
    for name in ["a", "b", "c"] {
        in_state(&daemon, name, "ready").await;
    }
    for (group, echoes) in [
        ("always", &["a_echo", "b_echo"][..]),
        ("never", &["echo"]),
        // The order of the group, not of the servers.
        ("auto", &["echo", "a_echo"]),
    ] {
        let client = daemon.client(group).await.unwrap();
        let listed = client.request("tools/list", json!({})).await.unwrap();
        let tools = listed["tools"].as_array().unwrap();
        let names = tools.iter().filter_map(|tool| tool["name"].as_str());
        let found: Vec<_> = names.filter(|name| name.ends_with("echo")).collect();
        assert_eq!(found, echoes, "{group}");
        for name in echoes {
            assert_echo(&ask(&client, name, json!({"n": name})).await, &json!({"n": name}));
        }
    }
    let seen = |name| {
        let daemon = &daemon;
        async move { counts(&daemon.client(name).await.unwrap(), "stats").await["tool echo"].clone() }
    };
    assert_eq!([seen("a").await, seen("b").await, seen("c").await], [2, 2, 1]);
}
