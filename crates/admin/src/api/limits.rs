//! Resource limits of servers and services.

use mainstay_model::resource::{LimitKind, LimitStatus};
use serde::{Deserialize, Serialize};
use serde_json::Number;
use utoipa::ToSchema;

/// A resource limit of a running process, with all that it has started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Limit {
    /// `memory` and `memory_reservation` in bytes, `cpus`, `processes` with threads, or `files` of each process.
    pub limit: String,
    #[schema(value_type = f64)]
    pub max: Number,
    /// How much is used, read within the last seconds. CPUs: on average over these. Absent where it is not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64, nullable = false)]
    pub used: Option<Number>,
    /// How often the limit was reached since the process started: processes that were killed, processes and threads
    /// that could not be started, tenths of a second in which it had to wait for a CPU.
    pub reached: u64,
    /// What keeps the limit: `cgroup v1` or `cgroup v2`, or `rlimit`, which bounds each process by itself. Absent:
    /// the limit is not in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub limits_by: Option<String>,
    /// For the operator: why the limit is not in force, from when on it is, or what it does not do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub note: Option<String>,
}

// === impl Limit ===

impl From<LimitStatus> for Limit {
    fn from(limit: LimitStatus) -> Self {
        let LimitStatus { kind, max, used, hits, by, note } = limit;
        let number = |value: u64| match kind {
            LimitKind::Cpus => cpus(value),
            _ => value.into(),
        };
        Self {
            limit: kind.as_str().to_owned(),
            max: number(max),
            used: used.map(number),
            reached: hits,
            limits_by: by.map(|by| by.as_str().to_owned()),
            note,
        }
    }
}

/// CPUs from thousandths of them.
fn cpus(thousandths: u64) -> Number {
    if thousandths.is_multiple_of(1000) {
        return (thousandths / 1000).into();
    }
    // No more than some thousands, which a fraction holds exactly enough, and never infinite.
    Number::from_f64(thousandths as f64 / 1000.0).unwrap_or_else(|| 0.into())
}

#[cfg(test)]
mod tests {
    use mainstay_model::resource::LimitedBy;

    use super::{Limit, LimitKind, LimitStatus};

    #[test]
    fn cpus_are_numbers_with_fractions_and_sizes_are_whole() {
        let limit = |kind, max, used| {
            let by = Some(LimitedBy::CgroupV1);
            let limit = LimitStatus { kind, max, used, hits: 3, by, note: None };
            serde_json::to_string(&Limit::from(limit)).unwrap()
        };
        assert_eq!(
            limit(LimitKind::Cpus, 2000, Some(480)),
            r#"{"limit":"cpus","max":2,"used":0.48,"reached":3,"limits_by":"cgroup v1"}"#
        );
        assert_eq!(
            limit(LimitKind::Memory, 4 << 30, Some(1)),
            r#"{"limit":"memory","max":4294967296,"used":1,"reached":3,"limits_by":"cgroup v1"}"#
        );
    }
}
