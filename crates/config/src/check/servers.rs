//! `[servers.NAME]`.

use super::exactly_one::exactly_one;
use super::{Machine, pages, probes, programs, tools};
use crate::notes::Notes;
use crate::typed::{Named, Table};

pub(super) fn check(server: &Named, machine: Machine<'_>, notes: &mut Notes) {
    // `image` is refused where it is read; that nothing else is written is no second mistake.
    if !server.table.is_written("image") {
        exactly_one(server, "server", &["command", "url"], notes);
    }
    keys_for_the_other(server, notes);
    programs::check(server, "server", machine, notes);
    probes::check(server, "server", machine, notes);
    let is_remote = server.table.is_written("url");
    pages::check(server, "server", "a server with `url`", is_remote, notes);
    tools::check(server, notes);
    if let Some(pool) = server.table.table("pool") {
        pool_bounds(pool, &server.path, notes);
    }
}

/// Keys of servers that Mainstay starts.
const OF_PROGRAMS: [&str; 9] = [
    "env",
    "cwd",
    "user",
    "group",
    "limits",
    "fetch_timeout",
    "restart",
    "stop_signal",
    "stop_timeout",
];

/// Reports keys of the other kind of server. An error, because the user relies on them.
fn keys_for_the_other(server: &Named, notes: &mut Notes) {
    let table = &server.table;
    let wrong: &[&str] = match (table.is_written("command"), table.is_written("url")) {
        (true, false) => &["headers", "http_proxy"],
        (false, true) => &OF_PROGRAMS,
        _ => &[],
    };
    let (has, other) =
        if table.is_written("url") { ("url", "command") } else { ("command", "url") };
    for key in wrong.iter().filter(|key| table.is_written(key)) {
        let message = format!("`{key}` does not apply to a server with `{has}`");
        notes
            .error(table.at(key), &format!("{}.{key}", server.path), message)
            .help(format!("use it with `{other}`"));
    }
}

fn pool_bounds(pool: &Table, path: &str, notes: &mut Notes) {
    if let (Some(min), Some(max)) = (pool.count("min"), pool.count("max"))
        && min > max
        && pool.is_written("min")
    {
        let message = format!("`min` is {min}, more than `max`, which is {max}");
        notes.error(pool.at("min"), &format!("{path}.pool.min"), message);
    }
}

/// Warns of a key that has less effect than it promises.
pub(super) fn without_effect(servers: &[Named], notes: &mut Notes) {
    let pools = servers.iter().filter_map(|server| Some((server, server.table.table("pool")?)));
    if let Some((server, pool)) = pools.into_iter().find(|(_, pool)| pool.is_written("min")) {
        let message = "`min` only keeps idle instances; this version starts none ahead of demand";
        let path = format!("{}.pool.min", server.path);
        notes
            .warning(pool.at("min"), &path, message)
            .help("instances start with the first calls that need them".to_owned());
    }
}
