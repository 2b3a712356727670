//! The eleven of S4, and what each needs.

use std::collections::BTreeSet;

/// A server or service of the stack.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) is_server: bool,
    /// What it needs among the eleven.
    pub(super) needs: &'static [&'static str],
    /// Each is a part of the command line of its process, and of no other.
    pub(super) commands: &'static [&'static str],
}

pub(super) const MEMBERS: [Member; 11] = [
    service("postgres", &[], &["/postgres -D"]),
    service("redis", &[], &["redis-server"]),
    service("qdrant", &[], &["stand_ins qdrant "]),
    service("llama-cpp", &[], &["stand_ins llama-cpp "]),
    service("embeddings-service", &[], &["stand_ins embeddings ", "/embeddings-service --model"]),
    server("aidb", &["postgres", "redis", "qdrant"], &["stand_ins aidb "]),
    server(
        "hybrid-coordinator",
        &["postgres", "redis", "qdrant", "embeddings-service"],
        &["stand_ins hybrid-coordinator "],
    ),
    service("open-webui", &["llama-cpp"], &["stand_ins open-webui "]),
    service("mindsdb", &["postgres"], &["stand_ins mindsdb "]),
    service(
        "health-monitor",
        &["postgres", "qdrant", "aidb", "hybrid-coordinator"],
        &["stand_ins health-monitor "],
    ),
    service(
        "ralph-wiggum",
        &["postgres", "redis", "aidb", "hybrid-coordinator"],
        &["stand_ins ralph-wiggum "],
    ),
];

const fn service(
    name: &'static str,
    needs: &'static [&'static str],
    commands: &'static [&'static str],
) -> Member {
    Member { name, is_server: false, needs, commands }
}

const fn server(
    name: &'static str,
    needs: &'static [&'static str],
    commands: &'static [&'static str],
) -> Member {
    Member { name, is_server: true, needs, commands }
}

pub(super) fn of(name: &str) -> &'static Member {
    MEMBERS.iter().find(|member| member.name == name).expect("one of the eleven")
}

/// All that need it, themselves or through others.
pub(super) fn dependants(name: &str) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    for member in &MEMBERS {
        // In the order of the layers, so that one pass is enough.
        if member.needs.iter().any(|need| *need == name || found.contains(need)) {
            found.insert(member.name);
        }
    }
    found
}
