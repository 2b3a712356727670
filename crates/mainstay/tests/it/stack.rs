//! The example stack, from its one file: eleven servers and services in three layers.
//!
//! The short forms use a stand-in for the embedding model. `cargo xtask proof stack` has the long forms, with the
//! real one.

mod chaos;
mod judge;
mod load;
mod loading;
mod members;
mod one_by_one;
mod order;
mod programs;
mod proof;
mod vectors;

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use mainstay_admin::api::graph::{Graph, Node};
use mainstay_testkit::daemon::Builder;
use mainstay_testkit::process::Process;
use mainstay_testkit::{Client, Daemon};
use serde_json::json;
use tempfile::TempDir;

use crate::shared::PATIENCE;
use members::MEMBERS;

/// The longest time that all may take to be ready: what S4 allows.
const ALL_READY_WITHIN: Duration = Duration::from_secs(180);

/// Variables of the example with a port each.
const PORTS: [&str; 11] = [
    "POSTGRES_PORT",
    "REDIS_PORT",
    "QDRANT_PORT",
    "LLAMA_PORT",
    "EMBEDDINGS_PORT",
    "AIDB_PORT",
    "COORDINATOR_PORT",
    "WEBUI_PORT",
    "MINDSDB_PORT",
    "MONITOR_PORT",
    "RALPH_PORT",
];

/// What runs as the embedding server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Embedding {
    StandIn,
    /// What the file says, fetched and built by its jobs.
    Real,
}

/// How a stack is started.
struct Plan {
    embedding: Embedding,
    /// How much longer loading takes, in seconds.
    embedding_loads_for: u64,
    /// Probes often, so that what is frozen is noticed within seconds.
    probes_often: bool,
    state: Option<PathBuf>,
}

/// A running stack.
struct Stack {
    daemon: Daemon,
    admin: mainstay_admin::Client,
    _database: TempDir,
}

// === impl Plan ===

impl Plan {
    fn of(embedding: Embedding) -> Self {
        Self { embedding, embedding_loads_for: 0, probes_often: false, state: None }
    }

    async fn start(&self) -> Stack {
        let database = tempfile::Builder::new().prefix("mainstay-stack-").tempdir().unwrap();
        let ports = free_ports();
        let mut builder = Daemon::builder(binary())
            .config_file(&example().join("mainstay.toml"))
            .gone_within(Duration::from_secs(30))
            .variable("LLAMA_LOAD_FOR", "1")
            .variable("EMBEDDINGS_LOAD_FOR", &self.embedding_loads_for.to_string());
        if let Some(folder) = &self.state {
            builder = builder.folder(folder);
        }
        for (name, port) in PORTS.iter().zip(&ports) {
            builder = builder.variable(name, &port.to_string());
        }
        builder = with_database(builder, database.path());
        if self.embedding == Embedding::StandIn {
            builder = self.with_stand_in(builder, ports[4]);
        }
        if self.probes_often {
            builder = probing_often(builder);
        }
        let daemon = builder.start().await.unwrap();
        let admin = mainstay_admin::Client::new(&daemon.state(), PATIENCE);
        Stack { daemon, admin, _database: database }
    }

    fn with_stand_in(&self, builder: Builder, port: u16) -> Builder {
        let seconds = self.embedding_loads_for.to_string();
        let command = json!([
            "python3",
            "stand_ins",
            "embeddings",
            "--port",
            port.to_string(),
            "--load-for",
            seconds
        ]);
        let set = |name: &str| format!("MAINSTAY__SERVICES__EMBEDDINGS_{name}__COMMAND");
        builder
            .variable(&set("SERVICE"), &command.to_string())
            .variable(&set("MODEL"), r#"["true"]"#)
            .variable(&set("PROGRAM"), r#"["true"]"#)
    }
}

// === impl Stack ===

impl Stack {
    async fn graph(&self) -> Graph {
        self.admin.graph().await.unwrap()
    }

    async fn node(&self, name: &str) -> Node {
        let graph = self.graph().await;
        graph.nodes.into_iter().find(|node| node.name.as_str() == name).unwrap()
    }

    async fn all_ready(&self) -> Graph {
        self.ready_but(&[]).await
    }

    /// Waits until all are ready, apart from some.
    async fn ready_but(&self, but: &[&str]) -> Graph {
        let deadline = std::time::Instant::now() + ALL_READY_WITHIN;
        loop {
            let graph = self.graph().await;
            let fine = |node: &Node| {
                but.contains(&node.name.as_str()) || matches!(node.state.as_str(), "ready" | "done")
            };
            if graph.nodes.iter().all(fine) {
                return graph;
            }
            assert!(std::time::Instant::now() < deadline, "not ready: {graph:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The process of a member, found by its command line and not by what the daemon says.
    fn process(&mut self, name: &str) -> Option<Process> {
        let parts = members::of(name).commands;
        let is_it = |process: &Process| parts.iter().any(|part| process.command.contains(part));
        self.daemon.children().into_iter().find(is_it)
    }

    async fn get(&self, path: &str) -> (u16, serde_json::Value) {
        let mut reply = Client::new(self.daemon.base()).unwrap().plain("GET", path).await.unwrap();
        let text = reply.text().await.unwrap();
        (reply.status, serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text)))
    }
}

/// The program under test; the proofs name another.
fn binary() -> PathBuf {
    let own = || PathBuf::from(env!("CARGO_BIN_EXE_mainstay"));
    std::env::var_os("MAINSTAY_PROOF_BINARY").map_or_else(own, PathBuf::from)
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/ai-stack").canonicalize().unwrap()
}

/// Free ports of loopback, below those that the system gives to outgoing connections: each is taken again whenever
/// its program is restarted. Tests that run side by side get different ones, in one process or in several.
fn free_ports() -> Vec<u16> {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let first = 12_000 + (std::process::id() % 300) as u16 * 64;
    let mut free = Vec::new();
    while free.len() < PORTS.len() {
        let port = first + TAKEN.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            free.push(port);
        }
    }
    free
}

/// A folder for the files of the database, which belong to a user that is not root.
fn with_database(builder: Builder, folder: &Path) -> Builder {
    let files = folder.join("database");
    std::fs::create_dir(&files).unwrap();
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    let user = if rustix::process::getuid().is_root() {
        let account = std::fs::read_to_string("/etc/passwd").unwrap();
        let account = account
            .lines()
            .find_map(|line| line.strip_prefix("postgres:"))
            .expect("a user postgres");
        let ids: Vec<u32> = account.split(':').filter_map(|field| field.parse().ok()).collect();
        chown(&files, Some(ids[0]), Some(ids[1])).unwrap();
        "postgres".to_owned()
    } else {
        rustix::process::getuid().as_raw().to_string()
    };
    builder
        .variable("POSTGRES_USER", &user)
        .variable("POSTGRES_DATA", &files.join("files").display().to_string())
}

fn probing_often(mut builder: Builder) -> Builder {
    for member in MEMBERS {
        let kind = if member.is_server { "SERVERS" } else { "SERVICES" };
        let name = member.name.to_uppercase().replace('-', "_");
        let settings = [
            ("PROBE__PERIOD", "1s"),
            ("PROBE__WAITING_PERIOD", "250ms"),
            ("PROBE__TIMEOUT", "2500ms"),
            ("PROBE__FALL", "2"),
            ("STOP_TIMEOUT", "1s"),
        ];
        for (key, value) in settings {
            builder = builder.variable(&format!("MAINSTAY__{kind}__{name}__{key}"), value);
        }
    }
    builder
}
