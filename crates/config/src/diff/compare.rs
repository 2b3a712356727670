//! Compares settings field by field. Every structure is destructured, so that a new field does not
//! compile until its change has a stated cost.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_model::settings::{
    BreakerSpec, EndpointSpec, ExternalSpec, GatewaySettings, Limits, LimitsSpec, PoolSpec,
    ProcessSpec, RemoteSpec, Runtime, ServerSpec, ServiceSpec, ToolRule, VolumeSpec,
};
use mainstay_model::{Name, Pattern, Redacted};

use super::plan::{Change, ChangeKind, Effect, SettingChange};

/// The differing keys of one server or endpoint, and the costliest of their effects.
#[derive(Debug, Default)]
pub(super) struct Differing {
    keys: BTreeSet<String>,
    restart: bool,
}

/// Compares named things: which were added, removed or changed.
pub(super) fn shared<T>(
    old: &[T],
    new: &[T],
    name: impl Fn(&T) -> &Name,
    compare: impl Fn(&T, &T) -> Differing,
) -> Vec<Change> {
    let before: BTreeMap<_, _> = old.iter().map(|it| (name(it), it)).collect();
    let now: BTreeSet<_> = new.iter().map(&name).collect();
    let kept_or_added = new.iter().filter_map(|it| {
        let kind = match before.get(name(it)) {
            None => Some(ChangeKind::Added),
            Some(before) => compare(before, it).kind(),
        };
        Some(Change { name: name(it).clone(), kind: kind? })
    });
    let removed = old
        .iter()
        .filter(|it| !now.contains(name(it)))
        .map(|it| Change { name: name(it).clone(), kind: ChangeKind::Removed });
    kept_or_added.chain(removed).collect()
}

/// The new order of servers. None when it is the old order with new servers at its end.
pub(super) fn order(old: &[ServerSpec], new: &[ServerSpec]) -> Option<Vec<Name>> {
    let names = |servers: &[ServerSpec]| -> Vec<Name> {
        servers.iter().map(|server| server.name.clone()).collect()
    };
    let (old, new) = (names(old), names(new));
    let (had, has): (BTreeSet<_>, BTreeSet<_>) = (old.iter().collect(), new.iter().collect());
    let kept = old.iter().filter(|name| has.contains(name));
    let added = new.iter().filter(|name| !had.contains(name));
    let is_same = kept.chain(added).eq(&new);
    (!is_same).then_some(new)
}

pub(super) fn server(old: &ServerSpec, new: &ServerSpec) -> Differing {
    let ServerSpec {
        name: _,
        runtime: started_as,
        sharing,
        required,
        revision,
        asks,
        concurrency,
        idle,
        needs,
        on_lost_need,
        restart,
        stop,
        probe,
        pages,
        pool,
        call_timeout,
        call_timeout_max,
        tools,
        expensive,
        breaker: new_breaker,
        start_deadline,
        fetch_deadline,
        lacks,
    } = new;
    let mut differing = runtime(&old.runtime, started_as);
    differing.restart("missing values", old.lacks != *lacks);
    // Instances depend on who shares them and on the capabilities they were started with.
    differing.restart("sharing", old.sharing != *sharing);
    differing.restart("revision", old.revision != *revision);
    differing.restart("asks", old.asks != *asks);
    // Calls that wait for their turn wait at the pool that has them.
    differing.restart("concurrency", old.concurrency != *concurrency);
    differing.in_place("idle", old.idle != *idle);
    differing.in_place("required", old.required != *required);
    differing.in_place("needs", old.needs != *needs);
    differing.in_place("on_lost_need", old.on_lost_need != *on_lost_need);
    differing.in_place("restart", old.restart != *restart);
    differing.in_place("stop_signal", old.stop.signal != stop.signal);
    differing.in_place("stop_timeout", old.stop.timeout != stop.timeout);
    // A run is probed from its start to its end.
    differing.restart("probe", old.probe != *probe);
    differing.in_place("pages", old.pages != *pages);
    differing.in_place("start_timeout", old.start_deadline != *start_deadline);
    differing.in_place("fetch_timeout", old.fetch_deadline != *fetch_deadline);
    differing.in_place("call_timeout", old.call_timeout != *call_timeout);
    differing.in_place("call_timeout_max", old.call_timeout_max != *call_timeout_max);
    differing.tools(&old.tools, tools);
    let PoolSpec { is_configured: _, instances_min, instances_max, idle_timeout } = pool;
    differing.in_place("pool.min", old.pool.instances_min != *instances_min);
    differing.in_place("pool.max", old.pool.instances_max != *instances_max);
    differing.in_place("pool.idle_timeout", old.pool.idle_timeout != *idle_timeout);
    differing.in_place("expensive", old.expensive != *expensive);
    breaker(&mut differing, old.breaker, *new_breaker);
    differing
}

fn breaker(differing: &mut Differing, old: BreakerSpec, new: BreakerSpec) {
    let BreakerSpec { enabled, failures, recovery } = new;
    differing.in_place("breaker.enabled", old.enabled != enabled);
    differing.in_place("breaker.failures", old.failures != failures);
    differing.in_place("breaker.recovery", old.recovery != recovery);
}

/// Compares what an instance is started from. None of it can change while the instance runs.
fn runtime(old: &Runtime, new: &Runtime) -> Differing {
    let mut differing = Differing::default();
    match (old, new) {
        (Runtime::Process(old), Runtime::Process(new)) => return process(old, new),
        (Runtime::Remote(old), Runtime::Remote(RemoteSpec { url, written: _, headers, proxy })) => {
            differing.restart("url", old.url != *url);
            differing.restart("http_proxy", old.proxy != *proxy);
            differing.values("headers", &old.headers, headers);
        }
        (Runtime::Process(_), Runtime::Remote(_)) | (Runtime::Remote(_), Runtime::Process(_)) => {
            differing.restart("command", true);
            differing.restart("url", true);
        }
    }
    differing
}

fn process(old: &ProcessSpec, new: &ProcessSpec) -> Differing {
    let ProcessSpec { command, env, masked, command_secrets, cwd, user, group, limits } = new;
    let mut differing = Differing::default();
    differing.restart("command", old.command != *command);
    differing.restart("cwd", old.cwd != *cwd);
    differing.restart("user", old.user != *user);
    differing.restart("group", old.group != *group);
    resource_limits(&mut differing, old.limits, *limits);
    differing.values("env", &old.env, env);
    // What an instance writes is masked by what it was started with, also where the values are the same.
    let other_env = |name: &String| old.env.get(name) != env.get(name);
    for name in old.masked.symmetric_difference(masked).filter(|name| !other_env(name)) {
        differing.restart(&format!("masking of env.{name}"), true);
    }
    let same_command = old.command == *command;
    let other_secrets = old.command_secrets != *command_secrets;
    differing.restart("masking of command", same_command && other_secrets);
    differing
}

/// An instance is started with its limits: its memory is counted from its first process on.
fn resource_limits(differing: &mut Differing, old: LimitsSpec, new: LimitsSpec) {
    let LimitsSpec { memory_bytes_max, memory_bytes_reserved, cpus_max, processes_max, files_max } =
        new;
    differing.restart("limits.memory", old.memory_bytes_max != memory_bytes_max);
    let reserved = old.memory_bytes_reserved != memory_bytes_reserved;
    differing.restart("limits.memory_reservation", reserved);
    differing.restart("limits.cpus", old.cpus_max != cpus_max);
    differing.restart("limits.processes", old.processes_max != processes_max);
    differing.restart("limits.files", old.files_max != files_max);
}

pub(super) fn service(old: &ServiceSpec, new: &ServiceSpec) -> Differing {
    let ServiceSpec {
        name: _,
        process: started_as,
        kind,
        required,
        needs,
        on_lost_need,
        restart,
        start_deadline,
        stop,
        probe,
        pages,
        breaker: new_breaker,
        lacks,
    } = new;
    let mut differing = process(&old.process, started_as);
    differing.restart("missing values", old.lacks != *lacks);
    // What runs all the time and what ends are started for different reasons.
    differing.restart("kind", old.kind != *kind);
    differing.in_place("required", old.required != *required);
    differing.in_place("needs", old.needs != *needs);
    differing.in_place("on_lost_need", old.on_lost_need != *on_lost_need);
    differing.in_place("restart", old.restart != *restart);
    differing.in_place("start_timeout", old.start_deadline != *start_deadline);
    differing.in_place("stop_signal", old.stop.signal != stop.signal);
    differing.in_place("stop_timeout", old.stop.timeout != stop.timeout);
    differing.restart("probe", old.probe != *probe);
    differing.in_place("pages", old.pages != *pages);
    breaker(&mut differing, old.breaker, *new_breaker);
    differing
}

pub(super) fn volume(old: &VolumeSpec, new: &VolumeSpec) -> Differing {
    let VolumeSpec { name: _, path } = new;
    let mut differing = Differing::default();
    differing.in_place("path", old.path != *path);
    differing
}

pub(super) fn external(old: &ExternalSpec, new: &ExternalSpec) -> Differing {
    let ExternalSpec { name: _, probe, breaker: new_breaker, lacks } = new;
    let mut differing = Differing::default();
    differing.in_place("probe", old.probe != *probe);
    breaker(&mut differing, old.breaker, *new_breaker);
    differing.in_place("missing values", old.lacks != *lacks);
    differing
}

pub(super) fn endpoint(old: &EndpointSpec, new: &EndpointSpec) -> Differing {
    let EndpointSpec { name: _, servers, prefix, names } = new;
    let mut differing = Differing::default();
    differing.in_place("servers", old.servers != *servers);
    differing.in_place("prefix", old.prefix != *prefix);
    differing.in_place("names", old.names != *names);
    differing
}

/// The settings of the daemon that differ, in the order of their declaration.
pub(super) fn gateway(old: &GatewaySettings, new: &GatewaySettings) -> Vec<SettingChange> {
    let GatewaySettings {
        listen,
        listen_localhost,
        http,
        sse,
        sse_listen,
        sse_listen_localhost,
        public_url,
        allowed_hosts,
        allowed_origins,
        trusted_proxies,
        login,
        names,
        limits,
        reload,
    } = new;
    let Limits {
        body_bytes_max,
        message_bytes_max,
        memory_budget_bytes,
        depth_max,
        sessions_max,
        connections_max,
        session_idle,
        receive,
        call,
        call_max,
        list,
        drain,
    } = limits;
    let was = &old.limits;
    // These need a restart of the daemon: addresses are bound and their endpoints fixed before the
    // first request, and the store and all connections are created with the limits of the start.
    let all = [
        ("listen", true, old.listen != *listen || old.listen_localhost != *listen_localhost),
        ("http", true, old.http != *http),
        ("sse", true, old.sse != *sse),
        (
            "sse_listen",
            true,
            old.sse_listen != *sse_listen || old.sse_listen_localhost != *sse_listen_localhost,
        ),
        ("public_url", false, old.public_url != *public_url),
        ("allowed_hosts", false, old.allowed_hosts != *allowed_hosts),
        ("allowed_origins", false, old.allowed_origins != *allowed_origins),
        ("trusted_proxies", false, old.trusted_proxies != *trusted_proxies),
        ("login", false, old.login != *login),
        ("names", false, old.names != *names),
        ("max_body", false, was.body_bytes_max != *body_bytes_max),
        ("max_message", true, was.message_bytes_max != *message_bytes_max),
        ("memory_budget", true, was.memory_budget_bytes != *memory_budget_bytes),
        ("max_depth", true, was.depth_max != *depth_max),
        ("max_sessions", true, was.sessions_max != *sessions_max),
        ("max_connections", false, was.connections_max != *connections_max),
        ("session_idle", true, was.session_idle != *session_idle),
        ("receive_timeout", false, was.receive != *receive),
        ("call_timeout", false, was.call != *call),
        ("call_timeout_max", false, was.call_max != *call_max),
        ("list_timeout", false, was.list != *list),
        ("drain_timeout", false, was.drain != *drain),
        ("reload", false, old.reload != *reload),
    ];
    let differing = all.into_iter().filter(|(.., differs)| *differs);
    differing
        .map(|(key, needs_daemon_restart, _)| SettingChange {
            key: format!("gateway.{key}"),
            needs_daemon_restart,
        })
        .collect()
}

/// The settings of a running daemon after a reload: those of `new`, except what only a restart brings into force.
pub fn gateway_in_force(old: &GatewaySettings, new: &GatewaySettings) -> GatewaySettings {
    let mut settings = new.clone();
    settings.listen = old.listen;
    settings.listen_localhost = old.listen_localhost;
    (settings.http, settings.sse) = (old.http, old.sse);
    settings.sse_listen = old.sse_listen;
    settings.sse_listen_localhost = old.sse_listen_localhost;
    settings.limits.message_bytes_max = old.limits.message_bytes_max;
    settings.limits.memory_budget_bytes = old.limits.memory_budget_bytes;
    settings.limits.depth_max = old.limits.depth_max;
    settings.limits.sessions_max = old.limits.sessions_max;
    settings.limits.session_idle = old.limits.session_idle;
    settings
}

// === impl Differing ===

impl Differing {
    fn in_place(&mut self, key: &str, differs: bool) {
        if differs {
            self.keys.insert(key.to_owned());
        }
    }

    fn restart(&mut self, key: &str, differs: bool) {
        self.in_place(key, differs);
        self.restart |= differs;
    }

    /// Values that an instance is started with, each by its own key.
    fn values(
        &mut self,
        table: &str,
        old: &BTreeMap<String, Redacted<String>>,
        new: &BTreeMap<String, Redacted<String>>,
    ) {
        for key in old.keys().chain(new.keys()) {
            self.restart(&format!("{table}.{key}"), old.get(key) != new.get(key));
        }
    }

    /// Rules for tools, by their patterns. Their order matters, too.
    fn tools(&mut self, old: &[ToolRule], new: &[ToolRule]) {
        let patterns = |rules: &[ToolRule]| -> Vec<Pattern> {
            rules.iter().map(|rule| rule.pattern.clone()).collect()
        };
        let (before, now) = (patterns(old), patterns(new));
        let kept = |of: &[Pattern], others: &[Pattern]| -> Vec<Pattern> {
            of.iter().filter(|pattern| others.contains(pattern)).cloned().collect()
        };
        self.in_place("tools", kept(&before, &now) != kept(&now, &before));
        for gone in before.iter().filter(|pattern| !now.contains(pattern)) {
            self.in_place(&format!("tools.{gone}"), true);
        }
        for rule in new {
            let ToolRule { pattern, call_timeout, call_timeout_max, needs, retry, validate } = rule;
            let Some(was) = old.iter().find(|was| was.pattern == *pattern) else {
                self.in_place(&format!("tools.{pattern}"), true);
                continue;
            };
            let key = |key: &str| format!("tools.{pattern}.{key}");
            self.in_place(&key("call_timeout"), was.call_timeout != *call_timeout);
            self.in_place(&key("call_timeout_max"), was.call_timeout_max != *call_timeout_max);
            self.in_place(&key("needs"), was.needs != *needs);
            self.in_place(&key("retry"), was.retry != *retry);
            self.in_place(&key("validate"), was.validate != *validate);
        }
    }

    /// The change that the differing keys make up. None when nothing differs.
    fn kind(self) -> Option<ChangeKind> {
        let effect = if self.restart { Effect::Restart } else { Effect::InPlace };
        let keys: Vec<_> = self.keys.into_iter().collect();
        (!keys.is_empty()).then_some(ChangeKind::Changed { effect, keys })
    }
}
