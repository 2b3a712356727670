//! Assembles settings from typed values. All values have been checked, so a missing one was
//! reported before.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mainstay_model::public_url::InvalidPublicUrl;
use mainstay_model::settings::{
    Asks, BreakerSpec, EndpointSpec, ExternalSpec, GatewaySettings, Idle, Limits, LimitsSpec,
    Login, NameRule, NotifySpec, NotifyTarget, PagesSpec, PoolSpec, Prefix, ProcessSpec,
    ReloadChoice, RemoteSpec, RevisionChoice, Runtime, ServerSpec, Settings, Sharing, VolumeSpec,
};
use mainstay_model::{ChangeKind, Name, PublicUrl, Redacted};

use crate::import::shapes::is_named;
use crate::keys;
use crate::proxy::proxy_for;
use crate::typed::{Named, Root, Table};

mod checks;
mod probes;
mod supervised;
mod tools;

/// The settings; none where a problem has been noted. `env` names the proxies.
pub(crate) fn assemble(
    root: &Root,
    env: &BTreeMap<String, String>,
    state_dir: PathBuf,
) -> Option<Settings> {
    Some(Settings {
        gateway: gateway(&root.gateway)?,
        servers: root.servers.iter().map(|named| server(named, env)).collect::<Option<_>>()?,
        endpoints: root.endpoints.iter().map(endpoint).collect::<Option<_>>()?,
        services: root.services.iter().map(supervised::service).collect::<Option<_>>()?,
        volumes: root.volumes.iter().map(volume).collect::<Option<_>>()?,
        externals: root.externals.iter().map(external).collect::<Option<_>>()?,
        notify: root
            .notify
            .iter()
            // What can't be used has been noted.
            .filter(|named| named.lacks.is_empty())
            .map(|named| notify(named, env))
            .collect::<Option<_>>()?,
        checks: checks::checks(root)?,
        state_dir,
    })
}

fn gateway(table: &Table) -> Option<GatewaySettings> {
    let listen = table.listen("listen")?;
    Some(GatewaySettings {
        listen,
        listen_localhost: table.is_localhost("listen"),
        http: table.bool("http")?,
        sse: table.bool("sse")?,
        // Port 0 is a new port each time, so two of them are two addresses.
        sse_listen: table
            .listen("sse_listen")
            .filter(|address| *address != listen || address.port() == 0),
        sse_listen_localhost: table.is_localhost("sse_listen"),
        public_url: match table.text("public_url") {
            Some(text) => Some(public_url(text).ok()?),
            None => None,
        },
        allowed_hosts: texts(table, "allowed_hosts"),
        allowed_origins: texts(table, "allowed_origins"),
        trusted_proxies: table
            .list("trusted_proxies")
            .iter()
            .map(|placed| placed.text.parse().ok())
            .collect::<Option<_>>()?,
        names: name_rule(table.word("names")?)?,
        login: match table.word("login")? {
            "none" => Login::None,
            _ => return None,
        },
        limits: limits(table)?,
        reload: match table.word("reload")? {
            "manual" => ReloadChoice::Manual,
            "watch" => ReloadChoice::Watch,
            _ => return None,
        },
    })
}

fn limits(table: &Table) -> Option<Limits> {
    Some(Limits {
        body_bytes_max: table.count("max_body")?,
        message_bytes_max: table.count("max_message")?,
        memory_budget_bytes: table.count("memory_budget"),
        depth_max: table.count("max_depth")?,
        sessions_max: table.count("max_sessions")?,
        connections_max: table.count("max_connections")?,
        session_idle: table.duration("session_idle")?,
        receive: table.duration("receive_timeout")?,
        call: table.duration("call_timeout")?,
        call_max: table.duration("call_timeout_max")?,
        list: table.duration("list_timeout")?,
        drain: table.duration("drain_timeout")?,
    })
}

fn server(server: &Named, env: &BTreeMap<String, String>) -> Option<ServerSpec> {
    let table = &server.table;
    Some(ServerSpec {
        name: server.valid.clone()?,
        runtime: runtime(table, env)?,
        sharing: match table.word("sharing")? {
            "user" => Sharing::User,
            "shared" => Sharing::Shared,
            "session" => Sharing::Session,
            "call" => Sharing::Call,
            _ => return None,
        },
        required: table.bool("required")?,
        revision: match table.word("revision")? {
            "auto" => RevisionChoice::Auto,
            "legacy" => RevisionChoice::Legacy,
            "modern" => RevisionChoice::Modern,
            date => RevisionChoice::Date(keys::published_revision(date)?),
        },
        asks: match table.word("asks")? {
            "auto" => Asks::Auto,
            "never" => Asks::Never,
            "always" => Asks::Always,
            _ => return None,
        },
        concurrency: table.count("concurrency")?,
        idle: idle(table)?,
        needs: supervised::needs(table),
        on_lost_need: supervised::on_lost_need(table)?,
        restart: supervised::restart(table)?,
        stop: supervised::stop(table)?,
        probe: match table.table("probe") {
            Some(probe) => probes::probe(probe, process(table).as_ref()),
            None => None,
        },
        pages: pages(table, table.keyed_url("url").map(|(url, _)| url.expose().as_str())),
        pool: match table.table("pool") {
            Some(written) => pool(written, idle(table)?)?,
            None => PoolSpec::default(),
        },
        call_timeout: table.duration("call_timeout"),
        call_timeout_max: table.duration("call_timeout_max"),
        tools: tools::tools(table)?,
        expensive: table.bool("expensive")?,
        breaker: breaker(table, table.bool("expensive")?)?,
        start_deadline: table.duration("start_timeout")?,
        fetch_deadline: table.duration("fetch_timeout")?,
        lacks: server.lacks.clone(),
    })
}

fn runtime(table: &Table, env: &BTreeMap<String, String>) -> Option<Runtime> {
    if let Some((url, written)) = table.keyed_url("url") {
        let proxy = table.bool("http_proxy")?.then(|| proxy_for(url.expose(), env)).flatten();
        return Some(Runtime::Remote(RemoteSpec {
            url: url.clone(),
            written: written.to_owned(),
            headers: table.secrets("headers")?.clone(),
            proxy,
        }));
    }
    process(table).map(Runtime::Process)
}

/// The program of a server or a service.
pub(super) fn process(table: &Table) -> Option<ProcessSpec> {
    let command = texts(table, "command");
    let variables = table.secrets("env")?.clone();
    let is_masked = |(name, value): &(&String, &Redacted<String>)| {
        is_named(name, value.expose()) || table.is_reference("env", name)
    };
    let masked = variables.iter().filter(is_masked).map(|(name, _)| name.clone()).collect();
    (!command.is_empty()).then(|| ProcessSpec {
        command,
        env: variables,
        masked,
        command_secrets: command_secrets(table),
        cwd: table.path("cwd").map(ToOwned::to_owned),
        user: table.text("user").map(ToOwned::to_owned),
        group: table.text("group").map(ToOwned::to_owned),
        limits: table.table("limits").map(resource_limits).unwrap_or_default(),
    })
}

fn resource_limits(table: &Table) -> LimitsSpec {
    let count = |key| table.count(key).map(|count| count as u64);
    LimitsSpec {
        memory_bytes_max: count("memory"),
        memory_bytes_reserved: count("memory_reservation"),
        cpus_max: table.cpus("cpus"),
        processes_max: count("processes"),
        files_max: count("files"),
    }
}

fn idle(server: &Table) -> Option<Idle> {
    match server.word("idle")? {
        "keep" => Some(Idle::Keep),
        "stop" => Some(Idle::Stop),
        _ => None,
    }
}

fn pool(table: &Table, idle: Idle) -> Option<PoolSpec> {
    let instances_max = table.count("max")?;
    let instances_min = match idle {
        // Instances that are kept warm would never be idle.
        Idle::Stop if !table.is_written("min") => 0,
        // A written `min` is never above; the default gives way to a small `max`.
        _ => table.count("min")?.min(instances_max),
    };
    Some(PoolSpec {
        is_configured: true,
        instances_min,
        instances_max,
        idle_timeout: table.duration("idle_timeout")?,
    })
}

/// The breaker of a server, service or external. What is written wins over the defaults of expensive servers.
fn breaker(owner: &Table, is_expensive: bool) -> Option<BreakerSpec> {
    let default = if is_expensive { BreakerSpec::EXPENSIVE } else { BreakerSpec::default() };
    let Some(table) = owner.table("breaker") else { return Some(default) };
    Some(BreakerSpec {
        enabled: table.bool("enabled")?,
        failures: match table.count("failures") {
            Some(failures) => u32::try_from(failures).ok()?,
            None => default.failures,
        },
        recovery: table.duration("recovery").unwrap_or(default.recovery),
    })
}

fn endpoint(endpoint: &Named) -> Option<EndpointSpec> {
    let servers =
        endpoint.table.list("servers").iter().map(|placed| Name::try_new(&placed.text).ok());
    Some(EndpointSpec {
        name: endpoint.valid.clone()?,
        servers: servers.collect::<Option<_>>()?,
        prefix: match endpoint.table.word("prefix")? {
            "auto" => Prefix::Auto,
            "always" => Prefix::Always,
            "never" => Prefix::Never,
            _ => return None,
        },
        names: name_rule(endpoint.table.word("names")?)?,
    })
}

fn volume(volume: &Named) -> Option<VolumeSpec> {
    Some(VolumeSpec { name: volume.valid.clone()?, path: volume.table.path("path")?.to_owned() })
}

fn external(external: &Named) -> Option<ExternalSpec> {
    Some(ExternalSpec {
        name: external.valid.clone()?,
        probe: probes::probe(&external.table, None)?,
        breaker: breaker(&external.table, false)?,
        lacks: external.lacks.clone(),
    })
}

/// The pages that a server or service declares; `default` is an address of the target that it has.
fn pages(owner: &Table, default: Option<&str>) -> Option<PagesSpec> {
    let table = owner.table("pages")?;
    Some(PagesSpec {
        target: url_origin(table.text("target").or(default)?)?,
        paths: texts(table, "paths"),
        methods: texts(table, "methods"),
    })
}

/// Scheme, host and port of an address, as `http://127.0.0.1:9100`.
fn url_origin(address: &str) -> Option<String> {
    let origin = url::Url::parse(address).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

fn notify(notify: &Named, env: &BTreeMap<String, String>) -> Option<NotifySpec> {
    let table = &notify.table;
    let names = table.list("servers").iter().map(|placed| Name::try_new(&placed.text).ok());
    let word = |text: &str| ChangeKind::TOLD.into_iter().find(|kind| kind.as_str() == text);
    Some(NotifySpec {
        number: notify.name.parse().ok()?,
        target: target(table, env)?,
        on: table.list("on").iter().map(|placed| word(&placed.text)).collect::<Option<_>>()?,
        servers: match table.is_written("servers") {
            true => Some(names.collect::<Option<_>>()?),
            false => None,
        },
        timeout: table.duration("timeout")?,
    })
}

fn target(table: &Table, env: &BTreeMap<String, String>) -> Option<NotifyTarget> {
    if let Some((url, written)) = table.keyed_url("url") {
        return Some(NotifyTarget::Webhook(RemoteSpec {
            url: url.clone(),
            written: written.to_owned(),
            headers: table.secrets("headers")?.clone(),
            proxy: proxy_for(url.expose(), env),
        }));
    }
    let command = texts(table, "command");
    let variables = table.secrets("env")?.clone();
    // Whatever is written for it may be a secret.
    let masked = variables.keys().cloned().collect();
    if command.is_empty() {
        return None;
    }
    Some(NotifyTarget::Command(ProcessSpec {
        command,
        env: variables,
        masked,
        command_secrets: command_secrets(table),
        cwd: None,
        user: None,
        group: None,
        limits: LimitsSpec::default(),
    }))
}

fn name_rule(word: &str) -> Option<NameRule> {
    match word {
        "spec" => Some(NameRule::Spec),
        "strict" => Some(NameRule::Strict),
        "as-is" => Some(NameRule::AsIs),
        _ => None,
    }
}

/// Parses a public URL, with its host spelt as browsers spell it.
pub(crate) fn public_url(text: &str) -> Result<PublicUrl, InvalidPublicUrl> {
    match url::Url::parse(text) {
        Ok(url) => PublicUrl::try_new(url.as_str()),
        Err(_) => PublicUrl::try_new(text),
    }
}

fn command_secrets(table: &Table) -> Vec<Redacted<String>> {
    table.list("command").iter().flat_map(|word| word.secrets.clone()).collect()
}

fn texts(table: &Table, key: &str) -> Vec<String> {
    table.list(key).iter().map(|placed| placed.text.clone()).collect()
}
