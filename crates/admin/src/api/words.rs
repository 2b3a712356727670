//! Schemas of the words that the model owns.

use mainstay_model::name::NAME_LENGTH_MAX;
use mainstay_model::status::{Health, InstanceState};
use mainstay_model::{ChangeKind, Condition};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

/// A [`Health`].
pub(super) fn health() -> Object {
    one_of(Health::ALL.map(Health::as_str))
        .description(Some(
            "The state of the daemon in one word. `loading`: a required server has not been ready yet. \
             `degraded`: something that is not required is not ready, or state can't be stored. \
             `draining`: the daemon is stopping. `error`: a required server failed or was given up.",
        ))
        .build()
}

/// An [`InstanceState`].
pub(super) fn state() -> Object {
    one_of(InstanceState::ALL.map(InstanceState::as_str))
        .description(Some(
            "`backing-off`: it failed and its next start has a time. `crash-looping`: it failed too often \
             and is tried rarely. `failed`: it can't be served until the configuration changes.",
        ))
        .build()
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
        .description(Some("The name of a server or group, as the configuration has it."))
        .build()
}

/// A list of [`Name`](mainstay_model::Name)s.
pub(super) fn names() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::Array::new(name())
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
