//! Which checks belong to the names that were asked for.

use std::sync::Arc;

use mainstay_admin::NothingCalled;
use mainstay_admin::api::graph::Node;
use mainstay_model::NodeKind;

use super::declared::DeclaredCheck;

/// What is to be checked.
pub(super) struct Selection {
    pub(super) nodes: Vec<Node>,
    pub(super) checks: Vec<Arc<DeclaredCheck>>,
}

/// All checks, or those of the names: a node stands for its built-in check and all checks about it.
///
/// # Errors
/// When a name is neither that of a node nor that of a check.
pub(super) fn select(
    mut nodes: Vec<Node>,
    checks: &[Arc<DeclaredCheck>],
    names: &[String],
) -> Result<Selection, NothingCalled> {
    // Nobody watches volumes.
    nodes.retain(|node| node.kind != NodeKind::Volume);
    let of_nodes = nodes.iter().map(|node| node.name.as_str());
    let of_checks = checks.iter().map(|check| check.spec.name.as_str());
    let known: Vec<&str> = of_nodes.chain(of_checks).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let names = known.into_iter().map(str::to_owned).collect();
        return Err(NothingCalled { name: name.clone(), names });
    }
    let is_asked = |name: &str| names.is_empty() || names.iter().any(|asked| asked == name);
    let checks = checks.iter().filter(|check| {
        let spec = &check.spec;
        is_asked(&spec.name) || spec.of().is_some_and(|of| is_asked(of.as_str()))
    });
    let checks = checks.cloned().collect();
    nodes.retain(|node| is_asked(node.name.as_str()));
    Ok(Selection { nodes, checks })
}
