//! Secrets work, and are never shown.

use mainstay_config::Loaded;
use mainstay_model::settings::{Lack, NotifyTarget, ProbeCheck, Runtime};
use proptest::prelude::*;

use crate::world::{World, file};

/// In each world this stands where a secret may stand, rightly or wrongly.
const SECRET: &str = "hunter2-hunter2";

fn everything_shown(world: &World) -> String {
    match world.load() {
        Ok(loaded) => shown(&loaded),
        Err(problems) => {
            format!("{problems}{problems:?}{}", serde_json::to_string(&problems).unwrap())
        }
    }
}

fn shown(loaded: &Loaded) -> String {
    let resolved = loaded.origins.resolved();
    let texts = [
        format!("{loaded:?}{resolved}{resolved:?}"),
        serde_json::to_string(&resolved).unwrap(),
        serde_json::to_string(&loaded.settings).unwrap(),
        serde_json::to_string(&loaded.warnings).unwrap(),
        loaded.warnings.iter().map(ToString::to_string).collect(),
    ];
    texts.concat()
}

#[test]
fn secrets_arrive_where_they_are_used() {
    let loaded = file(
        "[servers.a]
        command = ['npx']
        env = { LITERAL = 'l', ENV = 'secret:env:TOKEN', FILE = 'secret:file:/s', MIXED = 'x${TOKEN}$$', HOME = 'secret:file:~/s' }",
    )
    .env("TOKEN", "from-env")
    .secret("/s", "from-file\r\n", false)
    .secret("/home/user/s", "two\nlines\n\n", false)
    .loaded();
    let Runtime::Process(process) = &loaded.settings.servers[0].runtime else {
        panic!("a process")
    };
    let env: Vec<_> = process.env.iter().map(|(key, value)| (&**key, &**value.expose())).collect();
    assert_eq!(
        env,
        [
            ("ENV", "from-env"),
            ("FILE", "from-file"),
            ("HOME", "two\nlines\n"),
            ("LITERAL", "l"),
            ("MIXED", "xfrom-env$"),
        ]
    );
    assert_eq!(loaded.warnings, []);
}

#[test]
fn a_secret_that_others_may_read_is_warned_of() {
    let loaded = file("[servers.a]\ncommand = ['npx']\nenv = { K = 'secret:file:/s' }")
        .secret("/s", "k", true)
        .loaded();
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].to_string().contains("chmod 600 /s"), "{}", loaded.warnings[0]);
}

#[test]
fn what_holds_a_secret_never_shows_it() {
    let s = SECRET;
    for text in [
        // Right, with and without something wrong on the same line.
        format!("[servers.a]\ncommand = ['npx']\nenv = {{ T = '{s}' }}"),
        format!("[servers.a]\ncommand = ['npx']\nenv = {{ T = '{s}', U = 3, V = '${{NO}}' }}"),
        format!(
            "[servers.a]\nurl = 'http://h/'\nheaders = {{ T = '{s}', 'b d' = '{s}', N = '{s}\\u007f' }}"
        ),
        format!("[servers.a]\nurl = 'http://h/'\nheaders = {{ T = \"{s}\\n\" }}"),
        format!("[servers]\na = {{ comand = ['npx'], env = {{ T = '{s}' }} }}"),
        format!("[servers.a]\ncommand = ['npx']\nenv = ['T={s}']"),
        format!("[servers.a]\ncommand = ['npx']\nenv = 'T={s}'"),
        format!("[servers.a]\ncommand = ['npx']\nenv.T = {{ x = '{s}' }}"),
        format!("[servers.a]\ncommand = ['npx']\nenv = {{ T = 'Bearer {s} secret:env:X' }}"),
        format!("[servers.a]\ncommand = ['npx']\nenv = {{ T = 'secret:{s}' }}"),
        format!("[servers.a]\ncommand = ['npx']\nenv = {{ T = '{s}${{' }}"),
        format!("[servers.a]\ncommand = ['npx']\nenv = {{ T = 'x${{{s} x}}' }}"),
        format!("[servers.a]\ncommand = ['npx']\nheaders = {{ T = '{s}' }}"),
        // Under a key that does not exist.
        format!("[servers.a]\ncommand = ['npx']\nenvironment = {{ T = '{s}' }}"),
        format!("[servers.a]\ncommand = ['npx']\ntoken = '{s}'"),
        format!("token = '{s}'"),
        format!("[tokens]\nmine = ['{s}']"),
        // In an address.
        format!("[servers.a]\nurl = 'https://user:{s}@example.org/'"),
        format!("[gateway]\npublic_url = 'https://{s}@example.org/'"),
        format!("[externals.a]\nredis = 'redis://:{s}@h'"),
        format!("[externals.a]\npostgres = 'http://u:{s}@h'"),
        format!("[services.a]\ncommand = ['npx']\nprobe = {{ redis = 'redis://:{s}@h' }}"),
        format!(
            "[services.a]\ncommand = ['npx']\nprobe = {{ postgres = 'postgres://u:{s}@h/d', contains = 'x' }}"
        ),
        format!("[services.a]\ncommand = ['npx']\nprobe = {{ http = 'http://u:{s}@h/' }}"),
        format!("[services.a]\ncommand = ['npx']\nprobe.tcp = 'u:{s}@h:1'\nenv = {{ T = '{s}' }}")
            .replace(&format!("u:{s}@"), ""),
        format!("[services.a]\ncommand = ['npx']\nprobes = {{ redis = 'redis://:{s}@h' }}"),
        format!("[services.a]\ncommand = ['npx']\nprobe = {{ redi = 'redis://:{s}@h' }}"),
        format!(
            "[servers.a]\ncommand = ['npx']\nprobe = {{ tool = 'x', args = {{ key = '{s}', at = 1979-05-27 }} }}"
        ),
        // Where the text is no TOML.
        format!("[servers.a.env]\nT = {s}"),
        format!("[servers.a.env]\nT = '{s}"),
        format!("[servers.a.env]\ncwd = {s}"),
        format!("[servers.a]\nenv = {{ T = '{s}' "),
        format!("[servers.a]\nenv = {{ T = '{s}' }} x"),
        format!("[servers.a.env]\nT = '''\n{s}\\q==\n"),
        format!("[servers.a.env]\nT = \"\"\"\n{s}\\q==\n\"\"\""),
        format!("[servers.a.env]\nT {s}"),
        format!("[servers.a.env]\nT = '{s}'\nT = '{s}'"),
        format!("[servers.a]\nurl = 'https://u:{s}@h"),
    ] {
        let shown = everything_shown(&file(&text));
        assert!(!shown.contains(SECRET), "{text}\nshows it:\n{shown}");
    }
}

#[test]
fn what_points_to_a_secret_never_shows_it() {
    for text in [
        "[servers.a]\ncommand = ['npx']\nenv = { T = 'secret:env:T', U = 'secret:file:/s', V = '${T}' }",
        "[servers.a]\nurl = 'http://h/'\nheaders = { T = 'secret:env:T', U = 'secret:file:/s', V = 'Bearer ${T}' }",
        "[externals.a]\nredis = 'secret:env:T'\n[externals.b]\npostgres = 'secret:file:/s'",
        "[services.a]\ncommand = ['npx']\nenv = { T = 'secret:env:T' }\nprobe = { http = 'http://h/?k=${T}' }",
        "[services.a]\ncommand = ['npx']\nprobe = { http = 'secret:env:T' }",
        "[services.a]\ncommand = ['npx']\nprobe = { postgres = 'postgres://u:${T}@h/d' }",
        "[externals.a]\nredis = 'redis://:${T}@h'\n[externals.b]\nhttp = 'https://h/${T}/x'",
        "[externals.a]\nredis = 'redis://:${T}@h'\nfall = '${T}'",
        "[gateway]\nlisten = '${T}'\nmax_body = '${T}'\nsession_idle = '${T}'\nlogin = '${T}'\nsse_listen = 'secret:env:T'",
        "[servers.a]\nurl = '${T}'\nsharing = '${T}'",
    ] {
        let shown = everything_shown(&file(text).env("T", SECRET).secret("/s", SECRET, true));
        assert!(!shown.contains(SECRET), "{text}\nshows it:\n{shown}");
    }
}

#[test]
fn a_secret_in_a_command_is_masked_where_the_command_is_shown() {
    let words = "'--api-key=${API_KEY}', '${DATABASE_URL}', '${LEVEL}', '${NO_TOKEN:-opensesame}'";
    let loaded = file(&format!(
        "[servers.a]\ncommand = ['npx', {words}]\nprobe.command = ['npx', {words}]
        [services.b]\ncommand = ['npx', {words}]
        [externals.c]\ncommand = ['npx', {words}]
        [[notify]]\ncommand = ['npx', {words}]",
    ))
    .env("API_KEY", SECRET)
    .env("DATABASE_URL", &format!("postgres://u:{SECRET}@h/d"))
    .env("LEVEL", "verbose")
    .loaded();
    let settings = &loaded.settings;
    let Runtime::Process(server) = &settings.servers[0].runtime else { panic!("a process") };
    let probes = [settings.servers[0].probe.as_ref().unwrap(), &settings.externals[0].probe];
    let probes = probes.map(|probe| match &probe.check {
        ProbeCheck::Command(process) => process,
        _ => panic!("a command"),
    });
    let NotifyTarget::Command(notify) = &settings.notify[0].target else { panic!("a command") };
    for process in [server, &settings.services[0].process, probes[0], probes[1], notify] {
        assert_eq!(process.command[1], format!("--api-key={SECRET}"));
        let shown = process.shown_command();
        assert!(shown.ends_with(" --api-key=*** *** verbose ***"), "{shown}");
    }
    let resolved = loaded.origins.resolved();
    let resolved = format!("{resolved}{}", serde_json::to_string(&resolved).unwrap());
    assert!(resolved.contains("--api-key=***"), "{resolved}");
    assert!(!resolved.contains(SECRET) && !resolved.contains("opensesame"), "{resolved}");
}

#[test]
fn a_wrong_address_behind_a_reference_fails_its_owner_only() {
    let loaded = file(
        "[externals.a]\nhttp = 'secret:env:WRONG'\n[externals.b]\nredis = 'redis://${WRONG}/'
        [services.c]\ncommand = ['npx']\nprobe.http = 'secret:file:/s'
        [servers.d]\nurl = '${WRONG}'\n[servers.e]\ncommand = ['npx']",
    )
    .env("WRONG", "hunter2 hunter2")
    .secret("/s", "ftp://hunter2/", false)
    .loaded();
    let settings = &loaded.settings;
    let all = [
        (&settings.externals[0].lacks, "secret:env:WRONG", "is not an address: "),
        (&settings.externals[1].lacks, "${WRONG}", "is not an address: "),
        (&settings.services[0].lacks, "secret:file:/s", "does not begin with http://"),
        (&settings.servers[0].lacks, "${WRONG}", "is not an address: "),
    ];
    for (lacks, named, why) in all {
        let [Lack::Value { reference, fault }] = &lacks[..] else { panic!("{named}: {lacks:?}") };
        assert_eq!(reference, named);
        assert!(fault.starts_with(why) && !fault.contains("hunter2"), "{fault}");
    }
    assert!(settings.servers[1].lacks.is_empty());
    let warned = loaded.warnings.iter().map(ToString::to_string).collect::<String>();
    assert!(warned.contains("so external `a` counts as failed"), "{warned}");
    assert!(!shown(&loaded).contains("hunter2"));
}

#[test]
fn a_reference_may_bring_a_login_to_the_probe_http() {
    let text = "[externals.a]\nhttp = 'secret:env:U'\n[externals.b]\nhttp = 'secret:file:/s'";
    let url = format!("http://u:{SECRET}@h/");
    let loaded = file(text).env("U", &url).secret("/s", &url, false).loaded();
    assert!(loaded.settings.externals.iter().all(|external| external.lacks.is_empty()));
    assert!(!shown(&loaded).contains(SECRET));
    file("[externals.a]\nhttp = 'http://u:p@h/'").fails_with("as \"secret:env:NAME\"");
}

#[test]
fn variables_that_hold_secrets_never_show_them() {
    for name in [
        "MAINSTAY__SERVERS__A__ENV__T",
        "MAINSTAY__SERVERS__A__HEADERS__T",
        "MAINSTAY__SERVERS__A__ENVV__T",
        "MAINSTAY__SERVERS__A__ENV",
        "MAINSTAY__TOKEN",
        "MAINSTAY__EXTERNALS__A__REDIS",
    ] {
        let world = file("[servers.a]\ncommand = ['npx']").env(name, &format!("{SECRET}${{NO}}"));
        assert!(!everything_shown(&world).contains(SECRET), "{name}");
        let world = file("[servers.a]\ncommand = ['npx']").env(name, SECRET);
        assert!(!everything_shown(&world).contains(SECRET), "{name}");
    }
}

/// A right file; each line of it holds the secret or stands near it.
const RIGHT: &str = r#"[servers.a]
command = ["npx", "server"]
env = { TOKEN = "hunter2-hunter2", LEVEL = "info" }
sharing = "user"

[servers.b]
url = "https://h.example/mcp"
required = true
headers = { Authorization = "Bearer hunter2-hunter2", X-Other = '''hunter2-hunter2''' }

[servers.c]
command = ["npx"]
[servers.c.env]
TOKEN = "hunter2-hunter2"
LONG = """
hunter2-hunter2
"""
[externals.d]
redis = "redis://:hunter2-hunter2@h.example"
"#;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Slips of the hand, anywhere but in the secret itself.
    #[test]
    fn slips_near_a_secret_do_not_show_it(
        slips in prop::collection::vec((any::<prop::sample::Index>(), 0..3_usize, r#"[\[\]{}="'\n,. #a$\\]{0,2}"#), 1..4)
    ) {
        let mut text = RIGHT.to_owned();
        for (place, removed, added) in slips {
            let at = place.index(text.len());
            let range = at..(at + removed).min(text.len());
            let mut next = text.clone();
            next.replace_range(range, &added);
            // A slip inside of the secret makes another one, which this could not find.
            if next.matches(SECRET).count() == RIGHT.matches(SECRET).count() {
                text = next;
            }
        }
        let shown = everything_shown(&file(&text));
        prop_assert!(!shown.contains(SECRET), "{text}\nshows it:\n{shown}");
    }
}
