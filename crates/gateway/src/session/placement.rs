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

/// Who may share an instance with a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Circle {
    Everybody,
    Principal,
    Session,
}

/// What is configured and known of a server that decides who shares its instances.
struct Terms<P> {
    sharing: Sharing,
    asks: Asks,
    /// Whether one conversation serves all clients of an instance; looked up only where it matters.
    shares_questions: P,
}

// === impl Terms ===

impl Terms<()> {
    fn of(pool: &Pool) -> Terms<impl Fn() -> bool> {
        Terms {
            sharing: pool.spec.sharing,
            asks: pool.spec.asks,
            shares_questions: || pool.host().abilities().shares_questions,
        }
    }
}

/// A permit to speak to the instance that a session's call goes to, by `deadline`.
///
/// # Errors
/// When no instance will be there by then.
pub(crate) async fn acquire(
    session: &Session,
    pool: &Arc<Pool>,
    deadline: Instant,
) -> Result<Permit, Refusal> {
    match shared(session, pool) {
        Some(permit) => Ok(permit),
        None => pool.acquire(&of(session, pool), deadline).await,
    }
}

/// As [`acquire`], for a request that only asks for a list: it starts no instance for one kind of
/// clients where the server lists the same for all. Whether it does is waited for until `known_by`.
///
/// # Errors
/// As [`acquire`].
pub(crate) async fn acquire_for_list(
    session: &Session,
    pool: &Arc<Pool>,
    known_by: Instant,
    deadline: Instant,
) -> Result<Permit, Refusal> {
    let want = of(session, pool);
    if is_of_a_kind(&want.key, pool.spec.sharing)
        && pool.has_uniform_lists(&want.key.capabilities, known_by).await
    {
        return pool.acquire(&Placement::base(want.key.era, want.owner), deadline).await;
    }
    acquire(session, pool, deadline).await
}

/// Whether an instance with this key is there for a kind of clients rather than for what a session keeps
/// in it.
fn is_of_a_kind(key: &LeaseKey, sharing: Sharing) -> bool {
    key.is_interactive() && sharing != Sharing::Session
}

/// What most calls take, without looking for it: the instance that everybody shares.
pub(crate) fn shared(session: &Session, pool: &Pool) -> Option<Permit> {
    match shares_with_all(session, &Terms::of(pool)) {
        true => pool.try_base(session.revision.era()),
        false => None,
    }
}

/// Whether a session's calls go to the instance that everybody shares. Says the same as [`want`], and makes
/// no key for it.
fn shares_with_all(session: &Session, terms: &Terms<impl Fn() -> bool>) -> bool {
    let circle = match session.revision.era() {
        Era::Modern => match terms.sharing {
            Sharing::Session => Circle::Session,
            _ => stateless_circle(&session.principal, terms),
        },
        Era::Legacy if is_interactive(session, terms) => return false,
        Era::Legacy => circle(session, terms),
    };
    circle == Circle::Everybody && terms.sharing != Sharing::Call
}

/// The instance a session's calls to a server go to.
///
/// Clients that can be asked something get an instance that knows it. A remote server gets a session
/// of their own with it, so that every question is theirs; a process, which has one conversation
/// for all, is lent to one call at a time.
///
/// A modern server is told with each request what its client can do, and never asks on its own: there
/// all clients of a principal share.
pub(crate) fn of(session: &Session, pool: &Pool) -> Placement {
    want(session, &Terms::of(pool))
}

fn want(session: &Session, terms: &Terms<impl Fn() -> bool>) -> Placement {
    if session.revision.era() == Era::Modern {
        let want = want_stateless(&session.principal, session.owner, terms);
        return Placement { user: session.user, ..want };
    }
    let interactive = is_interactive(session, terms);
    let sharing = match circle(session, terms) {
        Circle::Everybody => "".into(),
        Circle::Principal => of_principal(&session.principal),
        Circle::Session => own_sharing(session.owner).into(),
    };
    let key = match interactive {
        true => session.capabilities_json.clone(),
        false => LeaseKey::base(Era::Legacy).capabilities,
    };
    let mode = match terms.sharing {
        Sharing::Call => LeaseMode::Once,
        _ if interactive && (terms.shares_questions)() => LeaseMode::Exclusive,
        _ => LeaseMode::Shared,
    };
    let retention = match terms.sharing {
        Sharing::Session => Retention::Session,
        _ if interactive && (terms.shares_questions)() => Retention::Brief,
        _ => Retention::Pooled,
    };
    let key = LeaseKey { era: Era::Legacy, sharing, capabilities: key };
    Placement { key, owner: session.owner, user: session.user, mode, retention }
}

/// The instance that a request goes to which stands alone.
pub(crate) fn of_stateless(principal: &Principal, owner: SessionNo, pool: &Pool) -> Placement {
    want_stateless(principal, owner, &Terms::of(pool))
}

fn want_stateless<P>(principal: &Principal, owner: SessionNo, terms: &Terms<P>) -> Placement {
    let sharing = match stateless_circle(principal, terms) {
        Circle::Principal => of_principal(principal),
        Circle::Everybody | Circle::Session => "".into(),
    };
    // Nothing says which requests belong together, so where sessions don't share, calls don't.
    let mode = match terms.sharing {
        Sharing::Session | Sharing::Call => LeaseMode::Once,
        Sharing::User | Sharing::Shared => LeaseMode::Shared,
    };
    let key = LeaseKey { sharing, ..LeaseKey::base(Era::Modern) };
    Placement { key, owner, user: owner.0, mode, retention: Retention::Pooled }
}

/// The sharing key of what only one session may use.
pub(crate) fn own_sharing(owner: SessionNo) -> String {
    format!("session:{}", owner.0)
}

/// Whether this instance is the one the session's calls go to: what it says besides is for nobody
/// else.
pub(crate) fn is_served_by(session: &Session, pool: &Pool, instance: &Instance) -> bool {
    is_spoken_to(session, &Terms::of(pool), instance.held_by(), &instance.key())
}

/// As [`is_served_by`], for an instance with this key that `holder` has; 0: nobody.
fn is_spoken_to(
    session: &Session,
    terms: &Terms<impl Fn() -> bool>,
    holder: SessionNo,
    key: &LeaseKey,
) -> bool {
    (holder == SessionNo(0) || holder == session.owner) && want(session, terms).key == *key
}

/// The kind of list that a request asks for.
pub(crate) fn list_kind(method: &str) -> Option<ListKind> {
    mainstay_protocol::Method::parse(method).and_then(ListKind::from_method)
}

/// Whether the server may ask this session's client something.
fn is_interactive<P>(session: &Session, terms: &Terms<P>) -> bool {
    session.capabilities.is_interactive() && terms.asks != Asks::Never
}

fn circle(session: &Session, terms: &Terms<impl Fn() -> bool>) -> Circle {
    match terms.sharing {
        Sharing::Session => Circle::Session,
        _ if is_interactive(session, terms) && !(terms.shares_questions)() => Circle::Session,
        Sharing::User if !session.principal.is_anonymous() => Circle::Principal,
        Sharing::User | Sharing::Shared | Sharing::Call => Circle::Everybody,
    }
}

fn stateless_circle<P>(principal: &Principal, terms: &Terms<P>) -> Circle {
    match terms.sharing {
        Sharing::User if !principal.is_anonymous() => Circle::Principal,
        _ => Circle::Everybody,
    }
}

fn of_principal(principal: &Principal) -> Arc<str> {
    format!("user:{}", principal.as_str()).into()
}
