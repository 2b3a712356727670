//! What the system allows the daemon: memory and file descriptors.

use mainstay_admin::memory;
use mainstay_config::{Origin, Origins, Place, Problem, Severity};
use mainstay_model::settings::Limits;
use mainstay_model::{Budget, MemoryKind};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::output::format;

/// File descriptors that are never given to clients, and the least number of connections that is allowed.
const FILES_APART: usize = 64;
const CONNECTIONS_LEAST: usize = 8;

/// The memory budget in bytes: as configured, else a share of the memory limit.
fn memory_budget_bytes(limits: &Limits, memory_limit: u64) -> usize {
    limits.memory_budget_bytes.unwrap_or_else(|| Budget::default_bytes_max(memory_limit))
}

/// The memory budget of a daemon.
pub(crate) fn memory_budget(limits: &Limits) -> Budget {
    Budget::new(memory_budget_bytes(limits, memory::now().limit_bytes))
}

/// Returns the smaller number of connections that the limit on open files or the memory budget allows, and
/// which of the two. `None`: both allow `max_connections`.
fn connections_allowed(
    limits: &Limits,
    files: Option<u64>,
    budget_bytes: usize,
) -> Option<(usize, &'static str)> {
    let by_files = (connections_within(files), "the limit on open files (ulimit -n)");
    let by_memory = (Budget::connections_max(budget_bytes), "the memory budget");
    let least = if by_memory.0 < by_files.0 { by_memory } else { by_files };
    (least.0 < limits.connections_max).then_some(least)
}

/// Warns of sizes that the operator allows and for which the memory budget never has room.
pub(crate) fn beyond_budget(limits: &Limits, origins: &Origins, budget: Budget) -> Vec<Problem> {
    let sizes = [
        ("max_body", limits.body_bytes_max, MemoryKind::Bodies),
        ("max_message", limits.message_bytes_max, MemoryKind::Answers),
    ];
    let problem = |(name, allowed, kind): (&str, usize, MemoryKind)| {
        let key = format!("gateway.{name}");
        let place = match origins.of(&key)?.clone() {
            Origin::Default | Origin::Limit { .. } => return None,
            Origin::File { file, .. } => Place::File { file },
            Origin::Environment { variable } => Place::Environment { variable },
            Origin::Flag { flag } => Place::Flag { flag },
        };
        let room = budget.of(kind).bytes_max;
        let message = format!(
            "{key} is {}, and the memory budget has room for {} of {kind}: one that is larger is always refused",
            format::bytes(allowed as u64),
            format::bytes(room as u64)
        );
        let help = Some(format!("raise gateway.memory_budget, or lower {key}"));
        (allowed > room).then_some(Problem {
            severity: Severity::Warning,
            place,
            key,
            message,
            help,
        })
    };
    sizes.into_iter().filter_map(problem).collect()
}

/// Lowers `max_connections` to what the limit on open files and the memory budget allow. `is_chosen`: the
/// operator has set it, and should know.
pub(super) fn lower_connections(
    limits: &mut Limits,
    is_chosen: bool,
    files: Option<u64>,
    budget: Budget,
) {
    let allowed = connections_allowed(limits, files, budget.whole().bytes_max);
    let Some((allowed, why)) = allowed else { return };
    let configured = std::mem::replace(&mut limits.connections_max, allowed);
    if is_chosen {
        tracing::warn!(
            target: "mainstay", configured, allowed,
            "max_connections is more than {why} allows, and lowered"
        );
    } else {
        tracing::info!(target: "mainstay", allowed, "max_connections is as high as {why} allows");
    }
}

/// Corrects the values that a daemon on this machine, started like this process, would have.
pub(crate) fn show_effective(limits: &Limits, origins: &mut Origins) {
    let memory_limit = memory::now().limit_bytes;
    let budget_bytes = memory_budget_bytes(limits, memory_limit);
    if limits.memory_budget_bytes.is_none() {
        let limit = match memory_limit {
            0 => "default, since the memory limit is unknown".to_owned(),
            known => format!("default, from the memory limit of {}", format::bytes(known)),
        };
        let value = format!("{budget_bytes}B");
        origins.set_by_limit("gateway.memory_budget", value.into(), limit);
    }
    let files = getrlimit(Resource::Nofile).maximum;
    if let Some((allowed, why)) = connections_allowed(limits, files, budget_bytes) {
        origins.set_by_limit("gateway.max_connections", allowed.into(), why.to_owned());
    }
}

/// The number of connections that leave a quarter of the file descriptors, and at least
/// [`FILES_APART`], for servers, files and the operator.
fn connections_within(files: Option<u64>) -> usize {
    let Some(files) = files.and_then(|files| usize::try_from(files).ok()) else {
        return usize::MAX;
    };
    let apart = (files / 4).max(FILES_APART);
    files.saturating_sub(apart).max(CONNECTIONS_LEAST)
}

/// Raises the limit on open files, often 1024: every session can hold a connection. Returns the limit
/// in force; none is no limit.
pub(super) fn raise_file_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit on open files stays as it is");
    }
    getrlimit(Resource::Nofile).current
}

#[cfg(test)]
mod tests {
    use mainstay_model::Budget;
    use mainstay_model::settings::Limits;

    use super::lower_connections;

    #[test]
    fn connections_are_as_many_as_files_and_memory_allow() {
        for (files, budget, allowed) in [
            (None, 4 << 30, 16_384),
            (Some(1 << 20), 4 << 30, 16_384),
            (Some(1024), 4 << 30, 768),
            (Some(200), 4 << 30, 136),
            (Some(64), 4 << 30, 8),
            (None, 150 << 20, 2400),
            (Some(1024), 150 << 20, 768),
        ] {
            let mut limits = Limits::default();
            lower_connections(&mut limits, false, files, Budget::new(budget));
            assert_eq!(limits.connections_max, allowed, "{files:?} {budget}");
        }
        let mut few = Limits { connections_max: 5, ..Limits::default() };
        lower_connections(&mut few, true, Some(1024), Budget::new(16 << 20));
        assert_eq!(few.connections_max, 5);
    }
}
