//! The resolved and validated settings of a daemon.
//!
//! The `config` crate builds them from files, environment variables and flags. An `Option` here has a
//! meaning of its own; defaults are already applied.

pub mod breaker;
pub mod checks;
pub mod limits;
pub mod probe;
pub mod services;
pub mod tools;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

pub use self::breaker::BreakerSpec;
pub use self::checks::{CallCheck, CheckKind, CheckSpec, TargetCheck, ToolsCheck};
pub use self::limits::{Cpus, LimitsSpec};
pub use self::probe::{
    HttpCheck, PagesSpec, PostgresCheck, ProbeCheck, ProbeSpec, ToolCheck, VolumeSpec,
};
pub use self::services::{
    ExternalSpec, OnLostNeed, RestartRule, ServiceKind, ServiceSpec, StopSignal, StopSpec,
};
pub use self::tools::{
    ArgumentLimit, ArgumentPath, CallLimits, Measure, PathStep, TimeLimit, ToolRule, ToolTerms,
    ValidateSpec,
};
use crate::{ChangeKind, Name, Need, Network, PublicUrl, Redacted};

/// All settings of a daemon. Servers and endpoints keep the order of the configuration file, which
/// decides which server keeps its bare name when two names collide.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    pub gateway: GatewaySettings,
    pub servers: Vec<ServerSpec>,
    pub endpoints: Vec<EndpointSpec>,
    /// In the order of the configuration file.
    pub services: Vec<ServiceSpec>,
    pub volumes: Vec<VolumeSpec>,
    pub externals: Vec<ExternalSpec>,
    /// Who is told of changes of servers.
    pub notify: Vec<NotifySpec>,
    /// What `mainstay verify` checks beside what is built in, in the order of the configuration file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckSpec>,
    pub state_dir: PathBuf,
}

/// A `[[notify]]` section: who is told of which changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NotifySpec {
    /// Its place in the file, counted from 1.
    pub number: usize,
    pub target: NotifyTarget,
    pub on: BTreeSet<ChangeKind>,
    /// None: all servers.
    pub servers: Option<BTreeSet<Name>>,
    /// The time limit for one attempt.
    #[serde(serialize_with = "as_millis")]
    pub timeout: Duration,
}

/// How somebody is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NotifyTarget {
    Command(ProcessSpec),
    /// A URL that gets a POST.
    Webhook(RemoteSpec),
}

/// The `[gateway]` section: addresses, access rules and limits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GatewaySettings {
    pub listen: SocketAddr,
    /// Whether `listen` is written as `localhost`, which is `[::1]` as well.
    pub listen_localhost: bool,
    /// Whether clients can use streamable HTTP.
    pub http: bool,
    /// Whether clients can use HTTP+SSE (revision 2024-11-05).
    pub sse: bool,
    /// A separate address for HTTP+SSE. `None` serves it at `listen`.
    pub sse_listen: Option<SocketAddr>,
    /// Whether `sse_listen` is written as `localhost`, which is `[::1]` as well.
    pub sse_listen_localhost: bool,
    /// The URL of the gateway as clients see it through a reverse proxy.
    pub public_url: Option<PublicUrl>,
    /// Allowed values of `Host` besides loopback names, `listen` and the host of `public_url`.
    pub allowed_hosts: Vec<String>,
    /// Allowed values of `Origin` besides loopback origins and that of `public_url`.
    pub allowed_origins: Vec<String>,
    /// Proxies whose forwarding headers the gateway believes. Empty by default.
    pub trusted_proxies: Vec<Network>,
    pub login: Login,
    /// Which names are published unchanged at `/mcp`.
    pub names: NameRule,
    pub limits: Limits,
    pub reload: ReloadChoice,
}

/// When the daemon reads its configuration again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReloadChoice {
    /// When it is told to: `mainstay reload`, or HUP.
    #[default]
    Manual,
    /// Also when the configuration file or a file with a secret changes.
    Watch,
}

/// How clients authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Login {
    None,
}

/// Limits on everything that a client or a server can make grow.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Limits {
    /// The size of a request body, in bytes.
    pub body_bytes_max: usize,
    /// The size of a message from a server, in bytes: one line, one SSE event or one HTTP body.
    pub message_bytes_max: usize,
    /// The bytes that the daemon holds of bodies, answers, streams, lists, questions and names
    /// ([`Budget`](crate::Budget)). `None` is half of the memory limit.
    pub memory_budget_bytes: Option<usize>,
    /// The nesting depth of a message.
    pub depth_max: usize,
    /// The number of sessions of the daemon.
    pub sessions_max: usize,
    /// The number of open client connections of the daemon.
    pub connections_max: usize,
    /// An idle session expires after this time.
    #[serde(serialize_with = "as_millis")]
    pub session_idle: Duration,
    /// The time within which the request headers must arrive, and then again the body.
    #[serde(serialize_with = "as_millis")]
    pub receive: Duration,
    /// The deadline of a call, counted from its start.
    #[serde(serialize_with = "as_millis")]
    pub call: Duration,
    /// The longest deadline that progress can extend a call to, counted from its start.
    #[serde(serialize_with = "as_millis")]
    pub call_max: Duration,
    /// How long a merged list waits for each server.
    #[serde(serialize_with = "as_millis")]
    pub list: Duration,
    /// How long the daemon waits for calls in flight when it stops.
    #[serde(serialize_with = "as_millis")]
    pub drain: Duration,
}

/// A configured server: its name and how to run it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServerSpec {
    pub name: Name,
    pub runtime: Runtime,
    pub sharing: Sharing,
    /// Whether the daemon is ready only when this server is.
    pub required: bool,
    pub revision: RevisionChoice,
    pub asks: Asks,
    /// The number of calls at the same time, over all instances. 0: no limit.
    pub concurrency: usize,
    pub idle: Idle,
    pub needs: Vec<Need>,
    pub on_lost_need: OnLostNeed,
    /// When an instance that ended is started again. Not for remote servers.
    pub restart: RestartRule,
    /// How its process is asked to end, after its input was closed.
    pub stop: StopSpec,
    /// What must pass beside the handshake and the lists before the server is ready.
    pub probe: Option<ProbeSpec>,
    /// The pages that are passed through at `/pages/NAME/`.
    pub pages: Option<PagesSpec>,
    pub pool: PoolSpec,
    /// The deadline of its calls. `None`: the gateway's.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_optional_millis")]
    pub call_timeout: Option<Duration>,
    /// The longest deadline that progress can extend its calls to. `None`: the gateway's.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_optional_millis")]
    pub call_timeout_max: Option<Duration>,
    /// Rules for its tools, in the order of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolRule>,
    /// Whether its calls are expensive: its breaker opens earlier then.
    pub expensive: bool,
    pub breaker: BreakerSpec,
    /// The time limit for one start: process, handshake and first lists.
    #[serde(serialize_with = "as_millis")]
    pub start_deadline: Duration,
    /// The time limit for fetching the package that a package runner starts.
    #[serde(serialize_with = "as_millis")]
    pub fetch_deadline: Duration,
    /// What its configuration refers to and the daemon does not have. The server can't be started
    /// while there is anything here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<Lack>,
}

/// A value that the configuration of a server refers to, and that the daemon does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lack {
    /// A variable of the environment that is not set.
    Variable(String),
    /// A file with a secret that can't be read.
    Secret { file: PathBuf, error: String },
    /// A value that is there, and can't be used.
    Value {
        /// What refers to it, such as `secret:env:NAME`.
        reference: String,
        /// Why, as the rest of a sentence. Without the value.
        fault: String,
    },
}

/// How instances of a server are started.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Runtime {
    Process(ProcessSpec),
    Remote(RemoteSpec),
}

/// A command of this machine, started without a shell.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ProcessSpec {
    /// The program and its arguments; never empty.
    pub command: Vec<String>,
    pub env: BTreeMap<String, Redacted<String>>,
    /// The variables of `env` whose values are masked in output of the server that is kept.
    #[serde(skip)]
    pub masked: BTreeSet<String>,
    /// Secret values that stand in `command`, because it refers to their variables. They are masked wherever the
    /// command is shown, and in output that is kept.
    #[serde(skip)]
    pub command_secrets: Vec<Redacted<String>>,
    pub cwd: Option<PathBuf>,
    /// The user to run as, by name or id. `None` runs as the daemon's user.
    pub user: Option<String>,
    /// The group to run as, by name or id. `None` uses the group of `user`, or else the daemon's group.
    pub group: Option<String>,
    /// What each instance may use.
    pub limits: LimitsSpec,
}

/// A remote server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RemoteSpec {
    /// The URL: scheme `http` or `https`, with a host. It may hold keys.
    pub url: Redacted<String>,
    /// The URL as it is written in the configuration, without references replaced. Shown to the operator.
    pub written: String,
    pub headers: BTreeMap<String, Redacted<String>>,
    /// The proxy that the environment names for it. `None` connects directly.
    pub proxy: Option<ProxySpec>,
}

/// An HTTP proxy that the environment names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProxySpec {
    /// `http://HOST:PORT`, without credentials. Empty if the variable names no such address.
    pub url: String,
    /// `USER:PASSWORD`
    pub credentials: Option<Redacted<String>>,
    /// The variable that names the proxy.
    pub variable: String,
}

/// Which calls share an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    /// All sessions of one user.
    User,
    /// All sessions of all users.
    Shared,
    /// The calls of one session.
    Session,
    /// Nothing: each call has its own instance.
    Call,
}

/// Which era or revision of the protocol to speak to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RevisionChoice {
    Auto,
    Legacy,
    Modern,
    /// The published revision of this date.
    #[serde(untagged)]
    Date(&'static str),
}

/// Whether a server asks its clients questions: elicitation, sampling or roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Asks {
    /// The server may ask. Mainstay detects whether its lists depend on client capabilities.
    Auto,
    /// The server never asks. All clients share its instances, whatever they declare.
    Never,
    /// The server may ask, and its lists depend on client capabilities.
    Always,
}

/// What happens to a server that nobody uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Idle {
    /// It runs. A process that ends itself without an error is restarted once; after that it starts when it
    /// is wanted.
    Keep,
    /// It is stopped after [`PoolSpec::idle_timeout`] and starts when it is wanted.
    Stop,
}

/// The size of a server's pool.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PoolSpec {
    /// Whether the configuration has a table for the pool.
    #[serde(skip)]
    pub is_configured: bool,
    /// The number of idle instances to keep; 0 if no pool is configured.
    pub instances_min: usize,
    pub instances_max: usize,
    #[serde(serialize_with = "as_millis")]
    pub idle_timeout: Duration,
}

/// An endpoint that serves a named group of servers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndpointSpec {
    pub name: Name,
    pub servers: Vec<Name>,
    pub prefix: Prefix,
    pub names: NameRule,
}

/// When Mainstay prefixes the names of tools and prompts with the server's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Prefix {
    /// Only when names collide. The first server in the file keeps the bare name.
    Auto,
    Always,
    Never,
}

/// Which names of tools and prompts merged endpoints publish unchanged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameRule {
    /// Characters that the specification does not allow in names of tools become `_`.
    #[default]
    Spec,
    /// Names match `[a-zA-Z0-9_-]{1,64}`, as most model APIs require.
    Strict,
    /// All names, whatever their characters and length.
    AsIs,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 4 << 20,
            // Larger than the limit for clients: real servers return results of tens of megabytes.
            message_bytes_max: 64 << 20,
            memory_budget_bytes: None,
            depth_max: 128,
            sessions_max: 10_000,
            connections_max: 16_384,
            session_idle: Duration::from_secs(3600),
            receive: Duration::from_secs(30),
            call: Duration::from_secs(30),
            call_max: Duration::from_secs(300),
            list: Duration::from_secs(3),
            drain: Duration::from_secs(30),
        }
    }
}

// === impl GatewaySettings ===

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            listen_localhost: false,
            http: true,
            sse: true,
            sse_listen: None,
            sse_listen_localhost: false,
            public_url: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            login: Login::None,
            names: NameRule::Spec,
            limits: Limits::default(),
            reload: ReloadChoice::default(),
        }
    }
}

// === impl ProcessSpec ===

impl ProcessSpec {
    /// The command in one line, with `***` in place of the secrets in it.
    pub fn shown_command(&self) -> String {
        without_secrets(&self.command.join(" "), &self.command_secrets)
    }
}

/// Shorter secrets are not masked: they are words that may stand anywhere.
const SECRET_BYTES_MIN: usize = 4;

/// The text with `***` in place of each secret.
pub fn without_secrets(text: &str, secrets: &[Redacted<String>]) -> String {
    let mut secrets: Vec<_> = secrets.iter().map(Redacted::expose).collect();
    // Longer ones first, which may contain others.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let long = secrets.into_iter().filter(|secret| secret.len() >= SECRET_BYTES_MIN);
    long.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
}

// === impl RemoteSpec ===

impl RemoteSpec {
    /// A server at `url`, reached directly and without headers.
    pub fn new(url: impl Into<String>) -> Self {
        let written = url.into();
        let url = Redacted::new(written.clone());
        Self { url, written, headers: BTreeMap::new(), proxy: None }
    }
}

// === impl PoolSpec ===

impl Default for PoolSpec {
    fn default() -> Self {
        Self {
            is_configured: false,
            instances_min: 0,
            instances_max: 100,
            idle_timeout: Duration::from_millis(900_000),
        }
    }
}

// === impl ServerSpec ===

impl ServerSpec {
    /// A server with default settings.
    pub fn new(name: Name, runtime: Runtime) -> Self {
        Self {
            name,
            runtime,
            sharing: Sharing::User,
            required: false,
            revision: RevisionChoice::Auto,
            asks: Asks::Auto,
            concurrency: 0,
            idle: Idle::Keep,
            needs: Vec::new(),
            on_lost_need: OnLostNeed::Keep,
            restart: RestartRule::Always,
            stop: StopSpec::default(),
            probe: None,
            pages: None,
            pool: PoolSpec::default(),
            call_timeout: None,
            call_timeout_max: None,
            tools: Vec::new(),
            expensive: false,
            breaker: BreakerSpec::default(),
            start_deadline: Duration::from_secs(120),
            fetch_deadline: Duration::from_secs(180),
            lacks: Vec::new(),
        }
    }
}

pub(crate) fn as_millis<S: serde::Serializer>(
    duration: &Duration,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format!("{}ms", duration.as_millis()))
}

pub(crate) fn as_optional_millis<S: serde::Serializer>(
    duration: &Option<Duration>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => as_millis(duration, to),
        None => to.serialize_none(),
    }
}
