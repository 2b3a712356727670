//! Schemas of the words that the model owns.

use mainstay_model::name::NAME_LENGTH_MAX;
use mainstay_model::status::{Health, InstanceState};
use mainstay_model::{ChangeKind, Condition, NodeKind};
use utoipa::openapi::schema::{Array, Object, ObjectBuilder, Type};

use super::node_state::NodeState;

/// A [`Health`].
pub(super) fn health() -> Object {
    one_of(Health::ALL.map(Health::as_str))
        .description(Some(
            "The state of the daemon in one word. `loading`: a required server or service has not been \
             ready yet. `degraded`: something that is not required is not ready, something that is ready \
             lacks a need, or state can't be stored. `draining`: the daemon is stopping. `error`: a required \
             server or service was lost, failed, or was stopped by hand.",
        ))
        .build()
}

/// An [`InstanceState`].
pub(super) fn state() -> Object {
    one_of(InstanceState::ALL.map(InstanceState::as_str))
        .description(Some(
            "`waiting`: something that it needs is not ready. `held`: something that it needs was stopped by \
             hand. `degraded`: it is ready, and something that it needs is not. `unhealthy`: it runs, and \
             its probe fails. `done`: a job that ended with code 0. `idle`: it starts when it is wanted. \
             `backing-off`: it failed and its next start has a time. `crash-looping`: it failed too often \
             and is tried rarely. `failed`: it can't be served until the configuration changes.",
        ))
        .build()
}

/// A [`NodeState`].
pub(super) fn node_state() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(NodeState::words()))
        .description(Some(
            "The state of a server or service; of an external `starting`, `ready` or `unhealthy`; of a \
             volume `unwatched`.",
        ))
        .build()
}

/// A [`NodeKind`].
pub(super) fn node_kind() -> Object {
    one_of(NodeKind::ALL.map(NodeKind::as_str))
        .description(Some("`external`: watched, and not run by the daemon."))
        .build()
}

/// A [`Need`](mainstay_model::Need).
pub(super) fn need() -> Object {
    let kinds = NodeKind::ALL.map(NodeKind::as_str).join("|");
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(format!("^({kinds}):[A-Za-z0-9][A-Za-z0-9_-]{{0,{}}}$", NAME_LENGTH_MAX - 1)))
        .description(Some("Kind and name of what is needed, such as `service:db`."))
        .build()
}

/// The state of a circuit breaker.
pub(super) fn breaker() -> Object {
    use mainstay_telemetry::Breaker;
    one_of([Breaker::Closed, Breaker::HalfOpen, Breaker::Open].map(Breaker::as_str)).build()
}

/// A list of [`Need`](mainstay_model::Need)s.
pub(super) fn needs() -> Array {
    Array::new(need())
}

/// A [`Condition`].
pub(super) fn condition() -> Object {
    one_of(Condition::ALL.map(Condition::as_str))
        .description(Some(
            "`not-ready`: it was lost or could not start, and is tried again soon. `crash-loop`: it was lost \
             too often and is tried rarely. `failed`: it can't be served. `degraded`: it is ready, and \
             another instance of it is in a crash loop or has failed. `running` and `draining`: only the \
             daemon.",
        ))
        .build()
}

/// A [`ChangeKind`].
pub(super) fn change() -> Object {
    one_of(ChangeKind::ALL.map(ChangeKind::as_str))
        .description(Some(
            "`back`: a server is ready again after it was `not-ready`, in a `crash-loop`, `failed` or \
             `degraded`. `started`: the daemon.",
        ))
        .build()
}

/// A [`Name`](mainstay_model::Name).
pub(super) fn name() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(format!("^[A-Za-z0-9][A-Za-z0-9_-]{{0,{}}}$", NAME_LENGTH_MAX - 1)))
        .description(Some("A name, as the configuration has it."))
        .build()
}

/// A list of [`Name`](mainstay_model::Name)s.
pub(super) fn names() -> Array {
    Array::new(name())
}

/// An [`InstanceId`](mainstay_model::InstanceId).
pub(super) fn instance_id() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
        .description(Some("The number of the instance, unique while the daemon runs."))
        .build()
}

fn one_of<const N: usize>(words: [&'static str; N]) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words))
}
