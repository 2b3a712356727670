//! What the daemon runs on: resolved, checked, with no `Option` that has no meaning of its own.
//!
//! `config` makes it from text; nobody else reads files or the environment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::{Name, Network, PublicUrl, Redacted};

/// All settings of one daemon. Servers and endpoints keep the order of the file: it decides
/// who keeps a name when two collide.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    pub gateway: GatewaySettings,
    pub servers: Vec<ServerSpec>,
    pub endpoints: Vec<EndpointSpec>,
    pub state_dir: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GatewaySettings {
    pub listen: SocketAddr,
    /// Streamable HTTP.
    pub http: bool,
    /// HTTP+SSE of 2024-11-05.
    pub sse: bool,
    /// An address of its own for HTTP+SSE; none: the same as `listen`.
    pub sse_listen: Option<SocketAddr>,
    /// How clients call the gateway when a proxy is in front, path included.
    pub public_url: Option<PublicUrl>,
    /// Hosts allowed beside loopback names, `listen` and the host of `public_url`.
    pub allowed_hosts: Vec<String>,
    /// Origins allowed beside loopback ones and that of `public_url`.
    pub allowed_origins: Vec<String>,
    /// Whose word counts on where a request came from; nobody's by default.
    pub trusted_proxies: Vec<Network>,
    pub login: Login,
    pub limits: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Login {
    None,
}

/// A bound for everything a client can make grow.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Limits {
    /// A request body, in bytes.
    pub body_bytes_max: usize,
    /// A message from a server, in bytes: one line, one SSE event or one body.
    pub message_bytes_max: usize,
    /// Nesting of a message.
    pub depth_max: usize,
    /// Sessions of the daemon.
    pub sessions_max: usize,
    /// Open connections of the daemon.
    pub connections_max: usize,
    /// A session nobody uses ends after this.
    #[serde(serialize_with = "as_millis")]
    pub session_idle: Duration,
    /// Time for request headers, and again for the body, to arrive.
    #[serde(serialize_with = "as_millis")]
    pub receive: Duration,
    /// Deadline of a call.
    #[serde(serialize_with = "as_millis")]
    pub call: Duration,
    /// Progress extends a call's deadline up to this, counted from its start.
    #[serde(serialize_with = "as_millis")]
    pub call_max: Duration,
    /// How long a merged list waits for a server.
    #[serde(serialize_with = "as_millis")]
    pub list: Duration,
    /// How long calls in flight may finish when the daemon stops.
    #[serde(serialize_with = "as_millis")]
    pub drain: Duration,
}

/// A server as configured: a name and how to run it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServerSpec {
    pub name: Name,
    pub runtime: Runtime,
    pub sharing: Sharing,
    /// The daemon is not ready without it.
    pub required: bool,
    pub revision: RevisionChoice,
    pub asks: Asks,
    pub needs: Vec<String>,
    pub pool: PoolSpec,
    /// Time for one start: process up, handshake, lists.
    #[serde(serialize_with = "as_millis")]
    pub start_deadline: Duration,
    /// Time to fetch what a package runner starts, ahead of its start or during it.
    #[serde(serialize_with = "as_millis")]
    pub fetch_deadline: Duration,
}

/// How instances of a server come to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Runtime {
    Process(ProcessSpec),
    Remote(RemoteSpec),
}

/// A command, started without a shell.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ProcessSpec {
    /// Never empty; the first is the program.
    pub command: Vec<String>,
    pub env: BTreeMap<String, Redacted<String>>,
    pub cwd: Option<PathBuf>,
    /// Whom it runs as, by name or number; none: as the daemon.
    pub user: Option<String>,
    /// Its group, by name or number; none: that of `user`, or else the daemon's.
    pub group: Option<String>,
    /// Files it may have open, soft and hard limit alike; none: what the daemon began with.
    pub files_max: Option<u64>,
}

/// A server reached over streamable HTTP.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RemoteSpec {
    /// `http` or `https`, with a host.
    pub url: String,
    pub headers: BTreeMap<String, Redacted<String>>,
}

/// Who shares an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    /// All sessions of one principal.
    User,
    /// Everybody.
    Shared,
    /// One session.
    Session,
    /// One call.
    Call,
}

/// Which era of the protocol to speak to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RevisionChoice {
    Auto,
    Legacy,
    Modern,
}

/// Whether a server may ask its clients something: for input, for a model's answer, for their roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Asks {
    /// It may; whether its lists depend on what clients declare is found out.
    Auto,
    /// It asks nothing: clients that can be asked share its instances with all others.
    Never,
    /// It may, and its lists depend on what clients declare.
    Always,
}

/// How many instances of a server there may be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PoolSpec {
    /// Kept warm; 0 where no pool is configured.
    pub instances_min: usize,
    pub instances_max: usize,
    #[serde(serialize_with = "as_millis")]
    pub idle_timeout: Duration,
}

/// A named group of servers behind one address.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndpointSpec {
    pub name: Name,
    pub servers: Vec<Name>,
    pub prefix: Prefix,
}

/// When a server's names get its own name in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Prefix {
    /// Only where names collide; the first server in the file keeps the bare name.
    Auto,
    Always,
    Never,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 4 << 20,
            // A server is trusted more than a client: results of tens of megabytes exist.
            message_bytes_max: 64 << 20,
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
            http: true,
            sse: true,
            sse_listen: None,
            public_url: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            login: Login::None,
            limits: Limits::default(),
        }
    }
}

// === impl PoolSpec ===

impl Default for PoolSpec {
    fn default() -> Self {
        Self { instances_min: 0, instances_max: 100, idle_timeout: Duration::from_millis(900_000) }
    }
}

// === impl ServerSpec ===

impl ServerSpec {
    /// A server with every setting at its default.
    pub fn new(name: Name, runtime: Runtime) -> Self {
        Self {
            name,
            runtime,
            sharing: Sharing::User,
            required: false,
            revision: RevisionChoice::Auto,
            asks: Asks::Auto,
            needs: Vec::new(),
            pool: PoolSpec::default(),
            start_deadline: Duration::from_secs(120),
            fetch_deadline: Duration::from_secs(180),
        }
    }
}

fn as_millis<S: serde::Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format!("{}ms", duration.as_millis()))
}
