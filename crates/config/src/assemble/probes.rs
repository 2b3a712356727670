//! Assembles probes.

use std::time::Duration;

use mainstay_model::settings::{
    HttpCheck, LimitsSpec, PostgresCheck, ProbeCheck, ProbeSpec, ProcessSpec, ToolCheck,
};

use super::{command_secrets, texts};
use crate::typed::Table;

/// The default time limit of a tool call, which may compute.
pub(crate) const TOOL_TIMEOUT: Duration = Duration::from_secs(30);

/// The probe that a table declares. `owner` is the program whose environment its command gets.
pub(super) fn probe(table: &Table, owner: Option<&ProcessSpec>) -> Option<ProbeSpec> {
    let check = check(table, owner)?;
    let count = |key: &str| u32::try_from(table.count(key)?).ok();
    Some(ProbeSpec {
        period: table.duration("period")?,
        waiting_period: table.duration("waiting_period")?,
        timeout: match &check {
            ProbeCheck::Tool(_) if !table.is_written("timeout") => TOOL_TIMEOUT,
            _ => table.duration("timeout")?,
        },
        fall: count("fall")?,
        rise: count("rise")?,
        check,
    })
}

/// What a table checks. `owner` is the program whose environment its command gets.
pub(super) fn check(table: &Table, owner: Option<&ProcessSpec>) -> Option<ProbeCheck> {
    if table.declares("ping") && table.bool("ping") == Some(true) {
        return Some(ProbeCheck::Ping);
    }
    if table.declares("tool")
        && let Some(tool) = table.text("tool")
    {
        return Some(ProbeCheck::Tool(ToolCheck {
            tool: tool.to_owned(),
            args: table.text("args")?.to_owned(),
            contains: table.text("contains").unwrap_or_default().to_owned(),
        }));
    }
    if table.declares("log")
        && let Some(text) = table.text("log")
    {
        return Some(ProbeCheck::Log(text.to_owned()));
    }
    if let Some((url, written)) = table.keyed_url("http") {
        return Some(ProbeCheck::Http(HttpCheck {
            url: url.clone(),
            written: written.to_owned(),
            status: table.count("status").and_then(|status| u16::try_from(status).ok()),
            contains: table.text("contains").map(ToOwned::to_owned),
            json: table.expected("json").to_vec(),
        }));
    }
    if let Some(address) = table.text("tcp") {
        return Some(ProbeCheck::Tcp(address.to_owned()));
    }
    if let Some(url) = table.secret("redis") {
        return Some(ProbeCheck::Redis(url.clone()));
    }
    if let Some(url) = table.secret("postgres") {
        let query = table.text("query")?.to_owned();
        return Some(ProbeCheck::Postgres(PostgresCheck { url: url.clone(), query }));
    }
    let command = texts(table, "command");
    let owner = owner.cloned().unwrap_or_default();
    let is_written = !command.is_empty();
    is_written.then(|| {
        let command_secrets = command_secrets(table);
        ProbeCheck::Command(ProcessSpec {
            command,
            command_secrets,
            limits: LimitsSpec::default(),
            ..owner
        })
    })
}
