//! Assembles rules for tools.

use mainstay_model::Pattern;
use mainstay_model::settings::{ArgumentLimit, ArgumentPath, Measure, ToolRule, ValidateSpec};

use super::supervised::needs;
use crate::typed::{Named, Table};

pub(super) fn tools(server: &Table) -> Option<Vec<ToolRule>> {
    server.rules("tools").iter().map(rule).collect()
}

fn rule(rule: &Named) -> Option<ToolRule> {
    let table = &rule.table;
    Some(ToolRule {
        pattern: Pattern::try_new(&rule.name).ok()?,
        call_timeout: table.duration("call_timeout"),
        call_timeout_max: table.duration("call_timeout_max"),
        needs: needs(table),
        retry: table.bool("retry"),
        validate: match table.table("validate") {
            Some(validate) => Some(spec(validate)?),
            None => None,
        },
    })
}

fn spec(table: &Table) -> Option<ValidateSpec> {
    let limits = Measure::ALL.into_iter().flat_map(|measure| {
        table.maxima(measure.as_str()).iter().map(move |(path, max)| {
            let path = ArgumentPath::try_new(path).ok()?;
            Some(ArgumentLimit { path, measure, max: *max })
        })
    });
    Some(ValidateSpec { schema: table.bool("schema"), limits: limits.collect::<Option<_>>()? })
}
