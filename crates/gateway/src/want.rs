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
    let is_process = matches!(pool.spec.runtime, Runtime::Process(_));
    let interactive = session.capabilities.is_interactive();
    let own = || own_sharing(session.owner).into();
    let sharing = match pool.spec.sharing {
        Sharing::Session => own(),
        _ if interactive && !is_process => own(),
        Sharing::User if session.principal.as_str() != "anonymous" => {
            format!("user:{}", session.principal.as_str()).into()
        }
        Sharing::User | Sharing::Shared | Sharing::Call => "".into(),
    };
    let capabilities = if interactive { session.capabilities_json.clone() } else { "{}".into() };
    Want {
        key: LeaseKey { generation: Generation::Legacy, sharing, capabilities },
        owner: session.owner,
        exclusive: interactive && is_process,
        single_use: pool.spec.sharing == Sharing::Call,
    }
}

/// The instance that a request goes to which stands alone.
pub(crate) fn of_stateless(principal: &Principal, owner: Owner, pool: &Pool) -> Want {
    let sharing = match pool.spec.sharing {
        Sharing::User if principal.as_str() != "anonymous" => {
            format!("user:{}", principal.as_str()).into()
        }
        _ => "".into(),
    };
    // Nothing says which requests belong together, so where sessions don't share, calls don't.
    let single_use = matches!(pool.spec.sharing, Sharing::Session | Sharing::Call);
    let key = LeaseKey { generation: Generation::Modern, sharing, capabilities: "{}".into() };
    Want { key, owner, exclusive: single_use, single_use }
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

/// What most calls want, without looking it up: the instance that everybody shares.
pub(crate) fn shared_base(want: &Want, pool: &Pool) -> Option<(Arc<Instance>, Arc<Live>)> {
    if want.exclusive || want.single_use || !want.key.is_base() {
        return None;
    }
    pool.ready_base(want.key.generation)
}
