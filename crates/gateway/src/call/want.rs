//! Which instance a session's calls want.

use std::sync::Arc;

use mainstay_model::Principal;
use mainstay_model::settings::{Runtime, Sharing};
use mainstay_pool::{Instance, LeaseKey, Live, Pool, Want};
use mainstay_protocol::Generation;
use mainstay_upstream::Owner;

use crate::session::Session;

/// The sharing key of what only one session may use.
pub(crate) fn own_sharing(owner: Owner) -> String {
    format!("session:{}", owner.0)
}

/// Who may share an instance with a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Circle {
    Everybody,
    Principal,
    Session,
}

/// The instance a session's calls to a server go to.
///
/// Clients that can be asked something get an instance that knows it. A remote server gets a session
/// of their own with it, so that every question is theirs; a process, which has one conversation
/// for all, is lent to one call at a time.
///
/// A modern server is told with each request what its client can do, and never asks on its own: there
/// all clients of a principal share.
pub(crate) fn of(session: &Session, pool: &Pool) -> Want {
    if session.revision.generation() == Generation::Modern {
        return of_stateless(&session.principal, session.owner, pool);
    }
    let interactive = session.capabilities.is_interactive();
    let sharing = match circle(session, pool) {
        Circle::Everybody => "".into(),
        Circle::Principal => of_principal(&session.principal),
        Circle::Session => own_sharing(session.owner).into(),
    };
    let capabilities = if interactive { session.capabilities_json.clone() } else { "{}".into() };
    Want {
        key: LeaseKey { generation: Generation::Legacy, sharing, capabilities },
        owner: session.owner,
        exclusive: interactive && is_process(pool),
        single_use: pool.spec.sharing == Sharing::Call,
    }
}

/// The instance that a request goes to which stands alone.
pub(crate) fn of_stateless(principal: &Principal, owner: Owner, pool: &Pool) -> Want {
    let sharing = match stateless_circle(principal, pool) {
        Circle::Principal => of_principal(principal),
        Circle::Everybody | Circle::Session => "".into(),
    };
    // Nothing says which requests belong together, so where sessions don't share, calls don't.
    let single_use = matches!(pool.spec.sharing, Sharing::Session | Sharing::Call);
    let key = LeaseKey { generation: Generation::Modern, sharing, capabilities: "{}".into() };
    Want { key, owner, exclusive: single_use, single_use }
}

/// What most calls want, without looking for it: the instance that everybody shares.
pub(crate) fn shared_base(session: &Session, pool: &Pool) -> Option<(Arc<Instance>, Arc<Live>)> {
    let generation = session.revision.generation();
    let shares = match generation {
        Generation::Modern => {
            pool.spec.sharing != Sharing::Session
                && stateless_circle(&session.principal, pool) == Circle::Everybody
        }
        Generation::Legacy => {
            !session.capabilities.is_interactive() && circle(session, pool) == Circle::Everybody
        }
    };
    if !shares || pool.spec.sharing == Sharing::Call {
        return None;
    }
    pool.ready_base(generation)
}

fn circle(session: &Session, pool: &Pool) -> Circle {
    match pool.spec.sharing {
        Sharing::Session => Circle::Session,
        _ if session.capabilities.is_interactive() && !is_process(pool) => Circle::Session,
        Sharing::User if !session.principal.is_anonymous() => Circle::Principal,
        Sharing::User | Sharing::Shared | Sharing::Call => Circle::Everybody,
    }
}

fn stateless_circle(principal: &Principal, pool: &Pool) -> Circle {
    match pool.spec.sharing {
        Sharing::User if !principal.is_anonymous() => Circle::Principal,
        _ => Circle::Everybody,
    }
}

fn of_principal(principal: &Principal) -> Arc<str> {
    format!("user:{}", principal.as_str()).into()
}

fn is_process(pool: &Pool) -> bool {
    matches!(pool.spec.runtime, Runtime::Process(_))
}

/// Whether this instance is the one the session's calls go to: what it says besides is for nobody
/// else.
pub(crate) fn is_served_by(session: &Session, pool: &Pool, instance: &Instance) -> bool {
    let holder = instance.held_by();
    (holder == Owner(0) || holder == session.owner) && of(session, pool).key == *instance.key()
}

/// The ready instances that only this session uses now.
pub(crate) fn own_instances(session: &Session) -> Vec<Arc<Live>> {
    let sharing = own_sharing(session.owner);
    let pools = session.endpoint.servers.iter();
    pools
        .flat_map(|pool| pool.instances())
        .filter(|instance| {
            *instance.key().sharing == *sharing || instance.held_by() == session.owner
        })
        .filter_map(|instance| instance.live())
        .collect()
}
