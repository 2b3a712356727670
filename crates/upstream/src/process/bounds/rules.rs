//! Decides what keeps each limit.

use mainstay_model::resource::{LimitKind, LimitStatus, LimitedBy};
use mainstay_model::settings::LimitsSpec;

use crate::process::cgroup::GroupVersion;

/// A configured limit, and what keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LimitRule {
    pub(super) kind: LimitKind,
    pub(super) max: u64,
    by: Option<LimitedBy>,
    /// Why it is not in force, or what it does not do.
    note: Option<String>,
    /// Whether the note is about less than was asked for, and not how the limit always is.
    is_short: bool,
}

/// Decides for each configured limit. `in_group`: whether a control group keeps one, or why not. `own_user`: the
/// user of the process, if that is another one than the daemon's and not root.
pub(super) fn decide(
    spec: &LimitsSpec,
    in_group: impl Fn(LimitKind) -> Result<GroupVersion, String>,
    own_user: Option<&str>,
) -> Vec<LimitRule> {
    let LimitsSpec { memory_bytes_max, memory_bytes_reserved, cpus_max, processes_max, files_max } =
        *spec;
    let wanted = [
        (LimitKind::Memory, memory_bytes_max),
        (LimitKind::MemoryReservation, memory_bytes_reserved),
        (LimitKind::Cpus, cpus_max.map(|cpus| u64::from(cpus.thousandths()))),
        (LimitKind::Processes, processes_max),
        (LimitKind::Files, files_max),
    ];
    let wanted = wanted.into_iter().filter_map(|(kind, max)| Some((kind, max?)));
    wanted
        .map(|(kind, max)| match kind {
            LimitKind::Files => always(kind, max, LimitedBy::Rlimit, "of each process by itself"),
            _ => match in_group(kind) {
                Ok(version) => by_group(kind, max, version),
                Err(why) => last_resort(kind, max, &why, own_user),
            },
        })
        .collect()
}

fn by_group(kind: LimitKind, max: u64, version: GroupVersion) -> LimitRule {
    let note = match (kind, version) {
        (LimitKind::MemoryReservation, GroupVersion::V1) => Some(
            "when memory is short, what it has beyond this is taken first; what it has below is not protected",
        ),
        (LimitKind::MemoryReservation, GroupVersion::V2) => Some(
            "protected from what else the daemon runs, and from others as far as the daemon itself is",
        ),
        _ => None,
    };
    let by = version.limited_by();
    LimitRule { kind, max, by: Some(by), note: note.map(str::to_owned), is_short: false }
}

/// What a process can do without a group.
fn last_resort(kind: LimitKind, max: u64, why: &str, own_user: Option<&str>) -> LimitRule {
    let (by, note) = match (kind, own_user) {
        (LimitKind::Memory, _) => (
            Some(LimitedBy::Rlimit),
            format!("bounds the data of each process by itself, and not of all together ({why})"),
        ),
        (LimitKind::Processes, Some(user)) => {
            (Some(LimitedBy::Rlimit), format!("counts all processes of user {user} ({why})"))
        }
        (LimitKind::Processes, None) => (
            None,
            format!(
                "is not in force: without a `user` of its own, the processes of others would count ({why})"
            ),
        ),
        (LimitKind::MemoryReservation | LimitKind::Cpus | LimitKind::Files, _) => {
            (None, format!("is not in force: {why}"))
        }
    };
    LimitRule { kind, max, by, note: Some(note), is_short: true }
}

fn always(kind: LimitKind, max: u64, by: LimitedBy, note: &str) -> LimitRule {
    LimitRule { kind, max, by: Some(by), note: Some(note.to_owned()), is_short: false }
}

// === impl LimitRule ===

impl LimitRule {
    pub(super) fn is_of_group(&self) -> bool {
        matches!(self.by, Some(LimitedBy::CgroupV1 | LimitedBy::CgroupV2))
    }

    pub(super) fn is_rlimit(&self) -> bool {
        self.by == Some(LimitedBy::Rlimit)
    }

    /// What it does not do although it was asked for.
    pub(super) fn shortfall(&self) -> Option<&str> {
        self.note.as_deref().filter(|_| self.is_short)
    }

    pub(super) fn status(&self, used: Option<u64>, hits: u64) -> LimitStatus {
        let Self { kind, max, by, note, is_short: _ } = self.clone();
        LimitStatus { kind, max, used, hits, by, note }
    }
}

#[cfg(test)]
mod tests {
    use mainstay_model::settings::Cpus;

    use super::*;

    const ALL: LimitsSpec = LimitsSpec {
        memory_bytes_max: Some(4 << 30),
        memory_bytes_reserved: Some(2 << 30),
        cpus_max: Some(Cpus::from_thousandths(2000)),
        processes_max: Some(64),
        files_max: Some(1024),
    };

    fn kept(rules: &[LimitRule]) -> Vec<Option<&'static str>> {
        rules.iter().map(|rule| rule.by.map(LimitedBy::as_str)).collect()
    }

    #[test]
    fn a_group_keeps_everything_but_files() {
        for (version, word) in [(GroupVersion::V1, "cgroup v1"), (GroupVersion::V2, "cgroup v2")] {
            let rules = decide(&ALL, |_| Ok(version), None);
            let group = Some(word);
            assert_eq!(kept(&rules), [group, group, group, group, Some("rlimit")]);
            assert!(rules.iter().all(|rule| rule.shortfall().is_none()), "{rules:?}");
        }
    }

    #[test]
    fn without_groups_each_limit_says_what_is_left_of_it() {
        let none = |_| Err("no control groups are mounted".to_owned());
        let rules = decide(&ALL, none, None);
        let rlimit = Some("rlimit");
        assert_eq!(kept(&rules), [rlimit, None, None, None, rlimit]);
        let short: Vec<_> = rules.iter().filter_map(LimitRule::shortfall).collect();
        assert_eq!(short.len(), 4);
        assert!(short.iter().all(|note| note.contains("no control groups are mounted")));
        assert!(short[0].contains("each process by itself"), "{short:?}");
        let rules = decide(&ALL, none, Some("nobody"));
        assert_eq!(kept(&rules), [rlimit, None, None, rlimit, rlimit]);
        assert!(rules[3].shortfall().unwrap().contains("all processes of user nobody"));
    }

    #[test]
    fn one_missing_controller_costs_its_own_limits_only() {
        let no_pids = |kind| match kind {
            LimitKind::Processes => Err("no `pids` controller".to_owned()),
            _ => Ok(GroupVersion::V1),
        };
        let rules = decide(&ALL, no_pids, None);
        let v1 = Some("cgroup v1");
        assert_eq!(kept(&rules), [v1, v1, v1, None, Some("rlimit")]);
    }

    #[test]
    fn what_is_not_configured_has_no_rule() {
        assert_eq!(decide(&LimitsSpec::default(), |_| Ok(GroupVersion::V2), None), []);
    }
}
