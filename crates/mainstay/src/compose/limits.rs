//! What the system allows the daemon: memory and file descriptors.

use mainstay_admin::memory;
use mainstay_config::{Origin, Origins, Place, Problem, Severity};
use mainstay_model::settings::Limits;
use mainstay_model::{Budget, MemoryKind};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::output::format;

/// Descriptors that are never for clients, and connections that are always allowed.
const FILES_APART: usize = 64;
const CONNECTIONS_LEAST: usize = 8;

/// The memory budget: as configured, else a share of the memory limit.
pub(crate) fn memory_budget(limits: &Limits) -> Budget {
    let default = || Budget::default_bytes_max(memory::now().limit_bytes);
    Budget::new(limits.memory_budget_bytes.unwrap_or_else(default))
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
            Origin::Default => return None,
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

/// Lowers `max_connections` to what the limit on open files and the memory allow. `is_chosen`: the
/// operator has set it, and should know.
pub(super) fn lower_connections(
    limits: &mut Limits,
    is_chosen: bool,
    files: Option<u64>,
    budget: Budget,
) {
    let wanted = limits.connections_max;
    for (most, why) in [
        (connections_within(files), "the limit on open files (ulimit -n)"),
        (Budget::connections_max(budget.whole().bytes_max), "the memory budget"),
    ] {
        if most < limits.connections_max {
            limits.connections_max = most;
            if is_chosen {
                tracing::warn!(
                    target: "mainstay", configured = wanted, allowed = most,
                    "max_connections is more than {why} allows, and lowered"
                );
            } else {
                tracing::info!(
                    target: "mainstay", allowed = most,
                    "max_connections is as high as {why} allows"
                );
            }
        }
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
