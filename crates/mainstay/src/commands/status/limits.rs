//! What is shown of resource limits.

use mainstay_admin::api::limits::Limit;
use serde_json::Number;

use super::parts::facts;
use crate::output::{Output, format};

/// The limits of one instance or service, after an empty line and `title`. `None` without limits.
pub(super) fn limits(title: &str, limits: &[Limit], out: &Output) -> Option<String> {
    let lines: Vec<_> = limits.iter().map(|limit| (limit.limit.as_str(), fact(limit))).collect();
    let lines = facts(&lines, out).join("\n");
    (!limits.is_empty()).then(|| format!("\n{title}\n{lines}"))
}

/// `64 of 64, 1234 refused (cgroup v1)`.
fn fact(limit: &Limit) -> String {
    let amount = |number: &Number| match (limit.limit.as_str(), number.as_u64()) {
        ("memory" | "memory_reservation", Some(bytes)) => format::bytes(bytes),
        _ => number.to_string(),
    };
    let max = amount(&limit.max);
    let mut text = match &limit.used {
        Some(used) => format!("{} of {max}", amount(used)),
        None => max,
    };
    if limit.reached > 0 {
        text.push_str(&format!(", {}", reached(&limit.limit, limit.reached)));
    }
    let kept = match (&limit.limits_by, &limit.note) {
        (Some(by), Some(note)) => format!("{by}: {note}"),
        (Some(by), None) => by.clone(),
        (None, Some(note)) => note.clone(),
        (None, None) => "is not in force".to_owned(),
    };
    format!("{text} ({})", format::harmless(&kept))
}

fn reached(limit: &str, times: u64) -> String {
    match limit {
        "memory" => format!("{times} killed"),
        "processes" => format!("{times} refused"),
        _ if times == 1 => "had to wait once".to_owned(),
        _ => format!("had to wait {times} times"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Limit, Output, limits};

    #[test]
    fn each_limit_says_how_much_is_used_and_what_keeps_it() {
        let all: Vec<Limit> = [
            json!({ "limit": "memory", "max": 4_294_967_296_u64, "used": 32_505_856, "reached": 2,
                "limits_by": "cgroup v1" }),
            json!({ "limit": "cpus", "max": 0.5, "used": 0.48, "reached": 12, "limits_by": "cgroup v1" }),
            json!({ "limit": "processes", "max": 64, "used": 64, "reached": 1234,
                "limits_by": "cgroup v1" }),
            json!({ "limit": "files", "max": 1024, "reached": 0, "limits_by": "rlimit",
                "note": "of each process by itself" }),
            json!({ "limit": "memory_reservation", "max": 2_147_483_648_u64, "reached": 0,
                "note": "is not in force: no control groups are mounted" }),
        ]
        .map(|limit: Value| serde_json::from_value(limit).unwrap())
        .into();
        let expected = "
limits of i3
memory              31.0 MiB of 4.0 GiB, 2 killed (cgroup v1)
cpus                0.48 of 0.5, had to wait 12 times (cgroup v1)
processes           64 of 64, 1234 refused (cgroup v1)
files               1024 (rlimit: of each process by itself)
memory_reservation  2.0 GiB (is not in force: no control groups are mounted)";
        assert_eq!(limits("limits of i3", &all, &Output::plain(None)).as_deref(), Some(expected));
        assert_eq!(limits("limits of i3", &[], &Output::plain(None)), None);
        assert_eq!(super::reached("cpus", 1), "had to wait once");
    }
}
