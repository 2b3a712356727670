//! Which instance of a server a client's calls go to.

use std::sync::Arc;
use std::time::Instant;

use mainstay_model::settings::{Asks, Sharing};
use mainstay_model::{Principal, Refusal};
use mainstay_pool::{Instance, LeaseKey, LeaseMode, Permit, Placement, Pool, Retention};
use mainstay_protocol::Era;
use mainstay_protocol::list::ListKind;
use mainstay_upstream::SessionNo;

use super::Session;

#[cfg(test)]
mod tests;

/// Which clients may share an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SharingScope {
    Everybody,
    Principal,
    Session,
}

/// Configuration and abilities of a server that decide who shares its instances.
struct SharingRules<P> {
    sharing: Sharing,
    asks: Asks,
    /// Whether all clients of an instance share one link. Called only where it matters.
    shares_questions: P,
}

// === impl SharingRules ===

impl SharingRules<()> {
    fn for_pool(pool: &Pool) -> SharingRules<impl Fn() -> bool> {
        SharingRules {
            sharing: pool.spec().sharing,
            asks: pool.spec().asks,
            shares_questions: || pool.host().abilities().shares_questions,
        }
    }
}

/// Acquires a permit for the instance that a session's calls go to, by `deadline`.
///
/// # Errors
/// When no instance is available by then.
pub(crate) async fn acquire(
    session: &Session,
    pool: &Arc<Pool>,
    deadline: Instant,
) -> Result<Permit, Refusal> {
    match try_shared(session, pool) {
        Some(permit) => Ok(permit),
        None => {
            let _stops = StopsOwnInstances { session, pool };
            pool.acquire(&for_session(session, pool), deadline).await
        }
    }
}

/// Acquires a permit for a call, as [`acquire`]. Waits for its turn, if the server has a limit on calls.
///
/// # Errors
/// When its turn does not come, or no instance is available, by `deadline`.
pub(crate) async fn acquire_for_call(
    session: &Session,
    pool: &Arc<Pool>,
    deadline: Instant,
) -> Result<Permit, Refusal> {
    match try_shared(session, pool) {
        Some(permit) => Ok(permit),
        None => {
            let _stops = StopsOwnInstances { session, pool };
            pool.acquire_for_call(&for_session(session, pool), deadline).await
        }
    }
}

/// Stops, when an acquisition is over, the instances that only its session may use, if the session has ended
/// meanwhile: they were started after its end.
struct StopsOwnInstances<'a> {
    session: &'a Session,
    pool: &'a Arc<Pool>,
}

impl Drop for StopsOwnInstances<'_> {
    fn drop(&mut self) {
        if self.session.is_cut_off() {
            self.pool.end_sharing(&own_sharing(self.session.number));
        }
    }
}

/// Acquires a permit for a request that only asks for a list. Where the server lists the same for
/// all clients, the base instance answers, and none is started. Waits until `known_by` to learn
/// whether it does.
///
/// # Errors
/// As [`acquire_for_call`].
pub(crate) async fn acquire_for_list(
    session: &Session,
    pool: &Arc<Pool>,
    known_by: Instant,
    deadline: Instant,
) -> Result<Permit, Refusal> {
    let placement = for_session(session, pool);
    if is_keyed_by_capabilities(&placement.key, pool.spec().sharing)
        && pool.has_uniform_lists(&placement.key.capabilities, known_by).await
    {
        let base = Placement::base(placement.key.era, placement.owner);
        return pool.acquire_for_call(&base, deadline).await;
    }
    acquire_for_call(session, pool, deadline).await
}

/// Whether an instance with this key exists for the capabilities of clients, and not for the state
/// of one session.
fn is_keyed_by_capabilities(key: &LeaseKey, sharing: Sharing) -> bool {
    key.is_interactive() && sharing != Sharing::Session
}

/// Returns a permit for the shared instance, if the session uses that one and it is ready. Most
/// calls take this way.
pub(crate) fn try_shared(session: &Session, pool: &Pool) -> Option<Permit> {
    match uses_shared_instance(session, &SharingRules::for_pool(pool)) {
        true => pool.try_base(session.revision.era()),
        false => None,
    }
}

/// Whether a session's calls go to the instance that everybody shares. Decides the same as
/// [`place`] without building a key.
fn uses_shared_instance(session: &Session, rules: &SharingRules<impl Fn() -> bool>) -> bool {
    let scope = match session.revision.era() {
        Era::Modern => match rules.sharing {
            Sharing::Session => SharingScope::Session,
            _ => stateless_scope(&session.principal, rules),
        },
        Era::Legacy if is_interactive(session, rules) => return false,
        Era::Legacy => sharing_scope(session, rules),
    };
    scope == SharingScope::Everybody && rules.sharing != Sharing::Call
}

/// Returns the placement of a session's calls to a server.
///
/// Clients that can be asked something get an instance that knows their capabilities. A remote
/// server gets a session for each of them, so that every question has one addressee. A process,
/// which has one link for all, is lent to one call at a time.
///
/// A modern server learns with each request what the client supports, and never asks on its own:
/// all clients of a principal share it.
pub(crate) fn for_session(session: &Session, pool: &Pool) -> Placement {
    place(session, &SharingRules::for_pool(pool))
}

fn place(session: &Session, rules: &SharingRules<impl Fn() -> bool>) -> Placement {
    if session.revision.era() == Era::Modern {
        let placement = place_stateless(&session.principal, session.number, rules);
        return Placement { user: session.user, ..placement };
    }
    let interactive = is_interactive(session, rules);
    let sharing = match sharing_scope(session, rules) {
        SharingScope::Everybody => "".into(),
        SharingScope::Principal => principal_sharing(&session.principal),
        SharingScope::Session => own_sharing(session.number).into(),
    };
    let key = match interactive {
        true => session.capabilities_json.clone(),
        false => LeaseKey::base(Era::Legacy).capabilities,
    };
    let mode = match rules.sharing {
        Sharing::Call => LeaseMode::Once,
        _ if interactive && (rules.shares_questions)() => LeaseMode::Exclusive,
        _ => LeaseMode::Shared,
    };
    let retention = match rules.sharing {
        Sharing::Session => Retention::Session,
        _ if interactive && (rules.shares_questions)() => Retention::Brief,
        _ => Retention::Pooled,
    };
    let key = LeaseKey { era: Era::Legacy, sharing, capabilities: key };
    Placement { key, owner: session.number, user: session.user, mode, retention }
}

/// Returns the placement of a request that belongs to no session.
pub(crate) fn for_stateless(principal: &Principal, owner: SessionNo, pool: &Pool) -> Placement {
    place_stateless(principal, owner, &SharingRules::for_pool(pool))
}

fn place_stateless<P>(
    principal: &Principal,
    owner: SessionNo,
    rules: &SharingRules<P>,
) -> Placement {
    let sharing = match stateless_scope(principal, rules) {
        SharingScope::Principal => principal_sharing(principal),
        SharingScope::Everybody | SharingScope::Session => "".into(),
    };
    // Requests of this era carry no session. If sessions don't share instances, calls don't share them
    // either.
    let mode = match rules.sharing {
        Sharing::Session | Sharing::Call => LeaseMode::Once,
        Sharing::User | Sharing::Shared => LeaseMode::Shared,
    };
    let key = LeaseKey { sharing, ..LeaseKey::base(Era::Modern) };
    Placement { key, owner, user: owner.0, mode, retention: Retention::Pooled }
}

/// Returns the sharing key of instances that only one session may use.
pub(crate) fn own_sharing(owner: SessionNo) -> String {
    format!("session:{}", owner.0)
}

/// Whether a session's calls go to this instance. Background messages of the instance are for such
/// sessions only.
pub(crate) fn is_served_by(session: &Session, pool: &Pool, instance: &Instance) -> bool {
    is_placed_at(session, &SharingRules::for_pool(pool), instance.held_by(), &instance.key())
}

/// Whether a session's calls go to an instance with this key that `holder` has leased. `holder` 0:
/// nobody has.
fn is_placed_at(
    session: &Session,
    rules: &SharingRules<impl Fn() -> bool>,
    holder: SessionNo,
    key: &LeaseKey,
) -> bool {
    (holder == SessionNo(0) || holder == session.number) && place(session, rules).key == *key
}

/// Returns the kind of list that a method asks for.
pub(crate) fn list_kind(method: &str) -> Option<ListKind> {
    mainstay_protocol::Method::parse(method).and_then(ListKind::from_method)
}

/// Whether the server may ask the session's client questions.
fn is_interactive<P>(session: &Session, rules: &SharingRules<P>) -> bool {
    session.capabilities.is_interactive() && rules.asks != Asks::Never
}

fn sharing_scope(session: &Session, rules: &SharingRules<impl Fn() -> bool>) -> SharingScope {
    match rules.sharing {
        Sharing::Session => SharingScope::Session,
        _ if is_interactive(session, rules) && !(rules.shares_questions)() => SharingScope::Session,
        Sharing::User if !session.principal.is_anonymous() => SharingScope::Principal,
        Sharing::User | Sharing::Shared | Sharing::Call => SharingScope::Everybody,
    }
}

fn stateless_scope<P>(principal: &Principal, rules: &SharingRules<P>) -> SharingScope {
    match rules.sharing {
        Sharing::User if !principal.is_anonymous() => SharingScope::Principal,
        _ => SharingScope::Everybody,
    }
}

fn principal_sharing(principal: &Principal) -> Arc<str> {
    format!("user:{}", principal.as_str()).into()
}
