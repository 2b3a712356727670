//! Circuit breakers, needs of tools, and tools that are refused, as the API shows them.

use std::sync::Arc;
use std::time::Duration;

use mainstay_admin::View;
use mainstay_admin::api::breakers::{CircuitBreaker, RefusedTools, ToolNeeds};
use mainstay_admin::api::graph::Graph;
use mainstay_model::NodeKind;
use mainstay_model::settings::ToolRule;
use mainstay_pool::breaker::label;
use mainstay_pool::{BreakerView, Pool};
use mainstay_supervisor::breaker::Position;

/// A breaker, as somebody may see it.
pub(super) fn shown(breaker: &BreakerView, view: View) -> CircuitBreaker {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let last = breaker.last_failure.as_ref();
    CircuitBreaker {
        name: breaker.id.name.clone(),
        kind: breaker.id.kind,
        state: label(breaker.position).as_str().to_owned(),
        since: breaker.since_date(),
        enabled: breaker.spec.enabled,
        failures: breaker.failures_in_a_row,
        failures_max: breaker.spec.failures,
        failures_total: breaker.failures_counted,
        recovery_ms: millis(breaker.spec.recovery),
        last_error: last.map(|(failure, _)| match view {
            View::Operator => failure.reason.clone(),
            View::Open => failure.brief(),
        }),
        last_error_ago_ms: last.map(|(_, ago)| millis(*ago)),
        next_trial_in_ms: breaker.next_trial_in.map(millis),
        trial_under_way: breaker.is_trying,
    }
}

/// Whether a circuit breaker refuses calls.
pub(super) fn is_tripped(breakers: &[BreakerView]) -> bool {
    breakers.iter().any(|breaker| breaker.position != Position::Closed)
}

/// The tools of a server that are refused at the moment, by what they need.
pub(super) fn refused_tools(pool: &Pool) -> Vec<RefusedTools> {
    let of = |refused: mainstay_pool::RefusedTools| RefusedTools {
        need: refused.need.need,
        state: refused.need.state,
        since: refused.need.since,
        reason: refused.need.reason,
        retry_in_ms: refused.need.retry_after_ms,
        patterns: refused.patterns,
        tools: refused.tools,
    };
    pool.refused_tools().into_iter().map(of).collect()
}

/// The rules that say what tools need.
pub(crate) fn tool_needs(rules: &[ToolRule]) -> Vec<ToolNeeds> {
    let rules = rules.iter().filter(|rule| !rule.needs.is_empty());
    let of = |rule: &ToolRule| ToolNeeds {
        pattern: rule.pattern.to_string(),
        needs: rule.needs.clone(),
    };
    rules.map(of).collect()
}

/// Adds to the nodes of a graph what breakers, and the rules for tools, say of them.
pub(super) fn complete(
    graph: &mut Graph,
    pools: &[Arc<Pool>],
    breakers: &[BreakerView],
    view: View,
) {
    for node in &mut graph.nodes {
        let id = node.as_need();
        let breaker = breakers.iter().find(|breaker| breaker.id == id);
        node.breaker = breaker.map(|breaker| shown(breaker, view));
        let is_own = |pool: &&Arc<Pool>| node.kind == NodeKind::Server && pool.name == node.name;
        if let Some(pool) = pools.iter().find(is_own) {
            node.tool_needs = tool_needs(&pool.spec().tools);
            node.refused_tools = refused_tools(pool);
        }
    }
}
