//! Defaults < file < environment < flags, and where each value came from.

use std::time::Duration;

use mainstay_model::settings::{GatewaySettings, ProbeCheck, Runtime, ServerSpec, StopSignal};

use crate::world::{file, no_file};

#[test]
fn without_anything_the_defaults_of_the_model_hold() {
    let loaded = no_file().loaded();
    assert_eq!(loaded.settings.gateway, GatewaySettings::default());
    assert!(loaded.settings.servers.is_empty());
    assert_eq!((loaded.file, loaded.warnings), (None, vec![]));
}

#[test]
fn a_server_has_the_defaults_of_the_model() {
    let loaded = file("[servers.a]\ncommand = ['npx']").loaded();
    let server = &loaded.settings.servers[0];
    assert_eq!(*server, ServerSpec::new(server.name.clone(), server.runtime.clone()));
}

#[test]
fn a_pool_is_only_kept_where_it_is_written() {
    for (text, expected) in [
        ("", (0, 100)),
        ("pool = {}", (10, 100)),
        ("pool = { max = 4 }", (4, 4)),
        ("pool = { min = 0, max = 4 }", (0, 4)),
    ] {
        let loaded = file(&format!("[servers.a]\ncommand = ['npx']\n{text}")).loaded();
        let pool = &loaded.settings.servers[0].pool;
        assert_eq!((pool.instances_min, pool.instances_max), expected, "{text}");
    }
}

#[test]
fn each_layer_is_stronger_than_the_one_before() {
    let mut world = no_file();
    let listen = |world: &crate::world::World| {
        let loaded = world.loaded();
        let origin = loaded.origins.of("gateway.listen").unwrap().to_string();
        format!("{} from {origin}", loaded.settings.gateway.listen)
    };
    assert_eq!(listen(&world), "127.0.0.1:8000 from default");
    world = file("\n[gateway]\nlisten = '127.0.0.1:1'");
    assert_eq!(listen(&world), "127.0.0.1:1 from mainstay.toml:3");
    world = world.env("MAINSTAY__GATEWAY__LISTEN", "127.0.0.1:2");
    assert_eq!(listen(&world), "127.0.0.1:2 from env MAINSTAY__GATEWAY__LISTEN");
    world = world.flag("--listen", "gateway.listen", "127.0.0.1:3");
    assert_eq!(listen(&world), "127.0.0.1:3 from flag --listen");
}

#[test]
fn variables_take_values_of_every_kind() {
    let loaded = file("[servers.my-files]\ncommand = ['npx']\nrequired = true")
        .env("MAINSTAY__GATEWAY__SSE", "false")
        .env("MAINSTAY__GATEWAY__MAX_SESSIONS", "7")
        .env("MAINSTAY__GATEWAY__MAX_BODY", "1MiB")
        .env("MAINSTAY__GATEWAY__DRAIN_TIMEOUT", "5s")
        .env("MAINSTAY__GATEWAY__ALLOWED_HOSTS", "a.example, b.example")
        .env("MAINSTAY__GATEWAY__ALLOWED_ORIGINS", "['https://a.example']")
        .env("MAINSTAY__SERVERS__MY_FILES__COMMAND", r#"["uvx", "files"]"#)
        .env("MAINSTAY__SERVERS__MY_FILES__SHARING", "call")
        .env("MAINSTAY__SERVERS__MY_FILES__ENV__Some__Name", "x")
        .env("MAINSTAY__SERVERS__MY_FILES__POOL__MAX", "3")
        .env("MAINSTAY__SERVERS__REMOTE__URL", "http://127.0.0.1/${P}")
        .env("MAINSTAY__SERVERS__REMOTE__HEADERS__X_API_KEY", "secret:env:P")
        .env("MAINSTAY__ENDPOINTS__WORK__SERVERS", "remote,my-files")
        .env("P", "mcp")
        .loaded();
    let gateway = &loaded.settings.gateway;
    assert_eq!(
        (gateway.sse, gateway.limits.sessions_max, gateway.limits.body_bytes_max),
        (false, 7, 1 << 20)
    );
    assert_eq!(gateway.limits.drain.as_secs(), 5);
    assert_eq!(gateway.allowed_hosts, ["a.example", "b.example"]);
    assert_eq!(gateway.allowed_origins, ["https://a.example"]);

    let [files, remote] = &loaded.settings.servers[..] else { panic!("two servers") };
    assert_eq!(
        (files.name.as_str(), files.required, files.pool.instances_max),
        ("my-files", true, 3)
    );
    let Runtime::Process(process) = &files.runtime else { panic!("a process") };
    assert_eq!(process.command, ["uvx", "files"]);
    assert_eq!(process.env["Some__Name"].expose(), "x");
    let Runtime::Remote(spec) = &remote.runtime else { panic!("a remote server") };
    assert_eq!((remote.name.as_str(), &**spec.url.expose()), ("remote", "http://127.0.0.1/mcp"));
    assert_eq!(spec.headers["X-API-KEY"].expose(), "mcp");
    assert_eq!(loaded.settings.endpoints[0].servers.len(), 2);
}

#[test]
fn a_header_in_the_environment_replaces_the_one_in_the_file() {
    let loaded =
        file("[servers.a]\nurl = 'http://127.0.0.1/'\nheaders = { X-Key = 'old', Y = 'kept' }")
            .env("MAINSTAY__SERVERS__A__HEADERS__X_KEY", "new")
            .loaded();
    let Runtime::Remote(spec) = &loaded.settings.servers[0].runtime else {
        panic!("a remote server")
    };
    let headers: Vec<_> =
        spec.headers.iter().map(|(key, value)| (&**key, &**value.expose())).collect();
    assert_eq!(headers, [("X-Key", "new"), ("Y", "kept")]);
}

#[test]
fn a_variable_changes_a_rule_for_tools_of_the_file() {
    let text = "[servers.a]\ncommand = ['npx']\n[servers.a.tools.'search_*']\nretry = true\n\
                [servers.a.tools.'*']\n[servers.a.tools.get-it]\n[servers.a.tools.get_it]";
    let settings = file(text)
        .env("MAINSTAY__SERVERS__A__CALL_TIMEOUT", "2m")
        .env("MAINSTAY__SERVERS__A__TOOLS__SEARCH__CALL_TIMEOUT", "10m")
        .env("MAINSTAY__SERVERS__A__TOOLS__SEARCH__VALIDATE__ITEMS", "{ 'ids' = 3 }")
        .loaded()
        .settings;
    let server = &settings.servers[0];
    assert_eq!(server.call_timeout, Some(Duration::from_secs(120)));
    let rule = &server.tools[0];
    assert_eq!((rule.pattern.as_str(), rule.retry), ("search_*", Some(true)));
    assert_eq!(rule.call_timeout, Some(Duration::from_secs(600)));
    assert_eq!(rule.validate.as_ref().unwrap().limits[0].max, 3);
    for (name, says) in [
        ("TOOLS__SERCH__RETRY", "no rule for tools has this name"),
        ("TOOLS__GET_IT__RETRY", "it may be the rule `get-it` or `get_it`"),
        ("TOOLS__SEARCH__RETYR", "did you mean `MAINSTAY__SERVERS__A__TOOLS__SEARCH__RETRY`?"),
        ("TOOLS", "write MAINSTAY__SERVERS__A__TOOLS__PATTERN__KEY"),
    ] {
        file(text).env(&format!("MAINSTAY__SERVERS__A__{name}"), "true").fails_with(says);
    }
}

#[test]
fn a_wrong_variable_is_named_with_what_was_meant() {
    for (name, value, message, help) in [
        (
            "MAINSTAY__GATEWAY__LISEN",
            "x",
            "no setting",
            "did you mean `MAINSTAY__GATEWAY__LISTEN`?",
        ),
        ("MAINSTAY__GATWAY__LISTEN", "x", "no setting", "did you mean `MAINSTAY__GATEWAY`?"),
        ("MAINSTAY__gateway__listen", "x", "no setting", "did you mean `MAINSTAY__GATEWAY`?"),
        ("MAINSTAY__", "x", "no setting", "GATEWAY, SERVERS"),
        ("MAINSTAY__GATEWAY", "x", "no setting", "LISTEN, HTTP"),
        (
            "MAINSTAY__SERVERS",
            "x",
            "the name of a server is missing",
            "MAINSTAY__SERVERS__NAME__KEY",
        ),
        ("MAINSTAY__SERVERS__A__ENV", "x", "is a table", "MAINSTAY__SERVERS__A__ENV__NAME"),
        ("MAINSTAY__SERVERS__A__POOL", "x", "no setting", "MIN, MAX, IDLE_TIMEOUT"),
        ("MAINSTAY__SERVERS__A__CWD__X", "x", "a single value", "`MAINSTAY__SERVERS__A__CWD`"),
        ("MAINSTAY__SERVERS__A__CWDD", "x", "no setting", "`MAINSTAY__SERVERS__A__CWD`"),
        ("MAINSTAY__GATEWAY__LISTEN", "x", "not an address", "IP:PORT"),
        ("MAINSTAY__GATEWAY__SSE", "yes", "expected true or false", ""),
        ("MAINSTAY__GATEWAY__MAX_SESSIONS", "many", "expected a whole number", ""),
        ("MAINSTAY__SERVERS__A__COMMAND", "npx x", "found one string", r#"["npx", "x"]"#),
    ] {
        let world = file("[servers.a]\ncommand = ['npx']").env(name, value);
        world.fails_with(&format!("environment variable {name}: error: "));
        world.fails_with(message);
        world.fails_with(help);
    }
}

#[test]
fn one_underscore_too_few_is_warned_of() {
    let loaded = no_file().env("MAINSTAY_GATEWAY_LISTEN", "x").env("MAINSTAY_STATE", "/x").loaded();
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(
        loaded.warnings[0].help.as_deref(),
        Some("did you mean `MAINSTAY__GATEWAY__LISTEN`?")
    );
}

#[test]
fn a_wrong_flag_is_named() {
    no_file()
        .flag("--listen", "gateway.listen", "x")
        .fails_with("flag --listen: error: `x` is not an address");
}

#[test]
fn resolved_values_are_json_too() {
    let loaded = file("[gateway]\nsse = false")
        .env("MAINSTAY__GATEWAY__MAX_SESSIONS", "7")
        .flag("--listen", "gateway.listen", "127.0.0.1:3")
        .loaded();
    let values = serde_json::to_value(loaded.origins.resolved()).unwrap();
    for expected in [
        serde_json::json!({ "key": "gateway.listen", "value": "127.0.0.1:3", "from": "flag", "flag": "--listen" }),
        serde_json::json!({ "key": "gateway.sse", "value": false, "from": "file", "file": "mainstay.toml", "line": 2 }),
        serde_json::json!({ "key": "gateway.max_sessions", "value": 7, "from": "environment", "variable": "MAINSTAY__GATEWAY__MAX_SESSIONS" }),
        serde_json::json!({ "key": "gateway.max_body", "value": "4MiB", "from": "default" }),
        serde_json::json!({ "key": "gateway.sse_listen", "value": "", "from": "default" }),
    ] {
        assert!(values.as_array().unwrap().contains(&expected), "{expected} in {values:#}");
    }
}

#[test]
fn a_url_is_shown_as_it_is_written_and_its_proxy_without_credentials() {
    let text = "[servers.plain]\nurl = 'https://a.example/${KEY}/mcp?v=1'\n\
                [servers.secret]\nurl = 'secret:env:WHOLE'\nhttp_proxy = false";
    let loaded = file(text)
        .env("KEY", "opensesame")
        .env("WHOLE", "https://b.example/opensesame")
        .env("HTTPS_PROXY", "http://ann:opensesame@proxy.example:3128")
        .loaded();
    let url = |server: &ServerSpec| match &server.runtime {
        Runtime::Remote(spec) => spec.url.expose().clone(),
        Runtime::Process(_) => panic!("a remote server"),
    };
    let urls: Vec<_> = loaded.settings.servers.iter().map(url).collect();
    assert_eq!(urls, ["https://a.example/opensesame/mcp?v=1", "https://b.example/opensesame"]);
    let resolved = loaded.origins.resolved().to_string();
    let lines: Vec<_> = resolved
        .lines()
        .filter(|line| line.contains("url =") || line.contains("proxy ="))
        .filter_map(|line| line.strip_prefix("servers."))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let expected = [
        "plain.url = \"https://a.example/${KEY}/mcp?v=1\" # mainstay.toml:2",
        "plain.http_proxy = true # default",
        "secret.url = \"secret:env:WHOLE\" # mainstay.toml:4",
        "secret.http_proxy = false # mainstay.toml:5",
        "plain.proxy = \"http://proxy.example:3128\" # env HTTPS_PROXY",
    ];
    assert_eq!(lines, expected);
    assert!(!format!("{loaded:?} {resolved}").contains("opensesame"));
    assert!(!serde_json::to_string(&loaded.settings).unwrap().contains("opensesame"));
}

#[test]
fn variables_reach_services_probes_and_pages() {
    let world =
        file("[services.vector-store]\ncommand = ['npx']\nprobe = { tcp = 'h:1', fall = 2 }")
            .env("MAINSTAY__SERVICES__VECTOR_STORE__STOP_SIGNAL", "sigquit")
            .env("MAINSTAY__SERVICES__VECTOR_STORE__ENV__KEY", "k")
            .env("MAINSTAY__SERVICES__VECTOR_STORE__PROBE__FALL", "5")
            .env("MAINSTAY__SERVICES__VECTOR_STORE__PAGES__PATHS", "/health, /v1/*")
            .env("MAINSTAY__SERVICES__VECTOR_STORE__PAGES__TARGET", "http://127.0.0.1:1")
            .env("MAINSTAY__SERVICES__NEW__COMMAND", "['npx', 'new@1.0.0']")
            .env("MAINSTAY__SERVICES__NEW__PROBE__HTTP", "http://127.0.0.1/")
            .env("MAINSTAY__SERVICES__NEW__PROBE__JSON", "{ status = ['green', 'yellow'] }")
            .env("MAINSTAY__SERVERS__A__COMMAND", "['npx', 'a@1.0.0']")
            .env("MAINSTAY__SERVERS__A__NEEDS", "service:new,external:e")
            .env("MAINSTAY__SERVERS__A__PROBE__TOOL", "check")
            .env("MAINSTAY__SERVERS__A__PROBE__ARGS", r#"{"deep": true}"#)
            .env("MAINSTAY__EXTERNALS__E__REDIS", "redis://h");
    let settings = world.loaded().settings;
    let [store, new] = &settings.services[..] else { panic!("{:?}", settings.services) };
    assert_eq!((store.name.as_str(), store.stop.signal), ("vector-store", StopSignal::Quit));
    assert_eq!(store.probe.as_ref().unwrap().fall, 5);
    assert_eq!(store.pages.as_ref().unwrap().paths, ["/health", "/v1/*"]);
    let ProbeCheck::Http(check) = &new.probe.as_ref().unwrap().check else { panic!("{new:?}") };
    assert_eq!(check.json, [("status".into(), vec![r#""green""#.into(), r#""yellow""#.into()])]);
    let server = &settings.servers[0];
    let needs: Vec<_> = server.needs.iter().map(ToString::to_string).collect();
    assert_eq!(needs, ["service:new", "external:e"]);
    let ProbeCheck::Tool(check) = &server.probe.as_ref().unwrap().check else { panic!() };
    assert_eq!((&*check.tool, &*check.args), ("check", r#"{"deep": true}"#));
    for (name, value, says) in [
        ("SERVICES__A__COMAND", "x", "did you mean `MAINSTAY__SERVICES__A__COMMAND`?"),
        ("SERVICES__A__PROBE__HTPT", "x", "did you mean `MAINSTAY__SERVICES__A__PROBE__HTTP`?"),
        ("SERVICES__NEW__STOP_SIGNAL", "STOP", "`STOP` is not a signal that ends programs"),
        ("SERVICES__NEW__PROBE__JSON", "green", "expected a table such as"),
    ] {
        let world = file("[services.new]\ncommand = ['npx']\nprobe.http = 'http://h/'")
            .env(&format!("MAINSTAY__{name}"), value);
        world.fails_with(says);
    }
}
