//! From a plan to what happens to each node.

use mainstay_config::Plan;
use mainstay_config::diff::{Change, ChangeKind, Effect};
use mainstay_fleet::{Fleet, NodeSpecs};
use mainstay_model::settings::{ServerSpec, ServiceKind, ServiceSpec, Settings};
use mainstay_model::{Name, Need, NodeKind};
use mainstay_supervisor::reload::{NodeChange, NodeTask};

/// The tasks of a plan, from the settings in force to the new ones.
pub(super) fn tasks(fleet: &Fleet, old: &Settings, new: &Settings, plan: &Plan) -> Vec<NodeTask> {
    let server = |settings: &'_ Settings, name: &Name| -> Option<ServerSpec> {
        settings.servers.iter().find(|spec| spec.name == *name).cloned()
    };
    let service = |settings: &'_ Settings, name: &Name| -> Option<ServiceSpec> {
        settings.services.iter().find(|spec| spec.name == *name).cloned()
    };
    let servers = plan.servers.iter().map(|change| {
        let (old, new) = (server(old, &change.name), server(new, &change.name));
        let one_call =
            |spec: &Option<ServerSpec>| spec.as_ref().is_some_and(|it| it.concurrency == 1);
        let is_alone = one_call(&old) || one_call(&new);
        let needs = |spec: Option<ServerSpec>| spec.map(|it| it.needs).unwrap_or_default();
        task(fleet, NodeKind::Server, change, needs(old), needs(new), is_alone)
    });
    let services = plan.services.iter().map(|change| {
        let (old, new) = (service(old, &change.name), service(new, &change.name));
        let is_job = |spec: &Option<ServiceSpec>| {
            spec.as_ref().is_some_and(|it| it.kind == ServiceKind::Once)
        };
        let runs_once = is_job(&old) || is_job(&new);
        let needs = |spec: Option<ServiceSpec>| spec.map(|it| it.needs).unwrap_or_default();
        let task = task(fleet, NodeKind::Service, change, needs(old), needs(new), true);
        NodeTask { runs_once, ..task }
    });
    let volumes = plan
        .volumes
        .iter()
        .map(|change| task(fleet, NodeKind::Volume, change, Vec::new(), Vec::new(), false));
    let externals = plan.externals.iter().map(|change| {
        let task = task(fleet, NodeKind::External, change, Vec::new(), Vec::new(), false);
        // Another address is watched before it counts.
        match task.change {
            NodeChange::InPlace => NodeTask { change: NodeChange::Renewed, ..task },
            _ => task,
        }
    });
    servers.chain(services).chain(volumes).chain(externals).collect()
}

/// What every node needs.
pub(super) fn needs(settings: &Settings) -> Vec<(Need, Vec<Need>)> {
    let Settings { servers, services, volumes, externals, .. } = settings;
    let specs = NodeSpecs { servers, services, volumes, externals };
    specs.all().into_iter().map(|spec| (spec.id, spec.needs)).collect()
}

fn task(
    fleet: &Fleet,
    kind: NodeKind,
    change: &Change,
    had: Vec<Need>,
    needs: Vec<Need>,
    is_alone: bool,
) -> NodeTask {
    let id = Need { kind, name: change.name.clone() };
    let change = match &change.kind {
        ChangeKind::Added => NodeChange::Added,
        ChangeKind::Removed => NodeChange::Removed,
        ChangeKind::Changed { effect: Effect::Restart, .. } => NodeChange::Renewed,
        // What does not run any more by the old rule may have to run by the new one.
        ChangeKind::Changed { keys, .. }
            if keys.iter().any(|key| key == "restart") && !fleet.serves(&id) =>
        {
            NodeChange::Renewed
        }
        ChangeKind::Changed { .. } => NodeChange::InPlace,
    };
    NodeTask { id, change, needs, had, is_alone, runs_once: false }
}
