//! Detection of client-specific lists: lists that depend on the capabilities of the client.
//!
//! Whether a server has such lists is detected once per version of the server. Mainstay starts an instance
//! that declares all capabilities, compares its lists with those of the base instance, and stops it. Only
//! if they differ, the lists for other sets of capabilities are fetched in the same way and cached. So a
//! list request never starts an instance for each set of capabilities.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_model::settings::Asks;
use mainstay_protocol::Era;
use mainstay_protocol::initialize::InitializeResult;
use mainstay_protocol::list::ListKind;
use mainstay_upstream::SessionNo;
use mainstay_upstream::facts::Facts;

use crate::client_lists::{LookUp, everything, version_of};
use crate::instance::Instance;
use crate::key::{LeaseKey, Placement};
use crate::pool::Pool;
use crate::{LeaseMode, Retention};

/// How long a probe keeps other servers from being probed.
const TURN_MAX: Duration = Duration::from_secs(1);
/// The time limit of a probe.
const FIND_OUT_DEADLINE: Duration = Duration::from_secs(30);

// === impl Pool ===

impl Pool {
    /// The lists for clients with these capabilities (JSON, as declared to the server). `None` if the lists
    /// are the same for all clients, or not known by `deadline`.
    pub async fn client_lists(
        self: &Arc<Self>,
        capabilities: &Arc<str>,
        deadline: Instant,
    ) -> Option<Arc<Facts>> {
        let mut learnt = self.client_lists.learnt.subscribe();
        loop {
            learnt.borrow_and_update();
            self.facts(Era::Legacy)?;
            let answer = {
                let mut known = self.client_lists.known.lock();
                known.look_up(self.spec().asks, capabilities, Instant::now())
            };
            let stale = match answer {
                LookUp::AsForAll => return None,
                LookUp::Lists(lists) => return Some(lists),
                LookUp::Unknown { ask, stale } => {
                    if let Some(ask) = ask {
                        self.discover_lists(ask);
                    }
                    stale
                }
            };
            if tokio::time::timeout_at(deadline.into(), learnt.changed()).await.is_err() {
                self.client_lists.known.lock().note_missed(capabilities);
                return stale;
            }
        }
    }

    /// Whether the lists are known by `deadline` to be the same for all clients.
    pub async fn has_uniform_lists(
        self: &Arc<Self>,
        capabilities: &Arc<str>,
        deadline: Instant,
    ) -> bool {
        self.client_lists(capabilities, deadline).await.is_none()
            && self.client_lists.known.lock().are_alike(self.spec().asks) != Some(false)
    }

    /// Starts a probe for one set of capabilities. Because a probe may start a process, the daemon runs one
    /// at a time, except for slow ones.
    fn discover_lists(self: &Arc<Self>, capabilities: Arc<str>) {
        let pool = self.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = pool.probe_lists(&capabilities) => {}
                () = pool.closing.cancelled() => {}
            }
            pool.client_lists.known.lock().note_asked(&capabilities, Instant::now());
            pool.client_lists.learnt.send_modify(|count| *count += 1);
        });
    }

    async fn probe_lists(self: &Arc<Self>, capabilities: &Arc<str>) {
        let Ok(turn) = self.list_discovery.acquire().await else { return };
        let nobody = SessionNo(0);
        let key = LeaseKey { capabilities: capabilities.clone(), ..LeaseKey::base(Era::Legacy) };
        let (mode, retention) = (LeaseMode::Once, Retention::Brief);
        let want = Placement { key, owner: nobody, user: nobody.0, mode, retention };
        // `Pool::record_client_lists` records the lists when the instance becomes ready.
        let mut acquired =
            std::pin::pin!(self.acquire_instance(&want, Instant::now() + FIND_OUT_DEADLINE));
        let acquired = match tokio::time::timeout(TURN_MAX, &mut acquired).await {
            Ok(acquired) => acquired,
            // A slow server must not delay the probes of other servers.
            Err(_) => {
                drop(turn);
                acquired.await
            }
        };
        if let Err(refusal) = acquired {
            let server = &self.name;
            tracing::debug!(target: "mainstay", %server, %refusal, "client-specific lists could not be fetched");
        }
    }

    /// Records the lists of an instance with client capabilities.
    pub(crate) fn record_client_lists(&self, instance: &Instance, facts: &Arc<Facts>) {
        let key = instance.key();
        if facts.revision.era() != Era::Legacy || !key.is_interactive() {
            return;
        }
        let Some(base) = self.facts(Era::Legacy) else { return };
        let all = key.capabilities == everything();
        let missed = {
            let mut known = self.client_lists.known.lock();
            let missed = known.learn(&key.capabilities, all, &base, facts);
            if let Some(alike) = known.are_alike(Asks::Auto) {
                self.findings.keep(&self.name, known.version(), alike);
            }
            missed
        };
        self.client_lists.learnt.send_modify(|count| *count += 1);
        if let (Some(observer), true) = (self.observer(), missed) {
            observer.lists_changed(&self.name, Era::Legacy, &ListKind::ALL);
        }
    }

    /// Starts detection for clients with these capabilities, if the result is not known yet.
    pub fn detect_client_lists(self: &Arc<Self>, capabilities: &Arc<str>) {
        if self.facts(Era::Legacy).is_none() {
            return;
        }
        let answer = {
            let mut known = self.client_lists.known.lock();
            known.look_up(self.spec().asks, capabilities, Instant::now())
        };
        if let LookUp::Unknown { ask: Some(ask), .. } = answer {
            self.discover_lists(ask);
        }
    }

    /// Records the lists of the base instance. `changed` tells whether they differ from the previous ones.
    pub(crate) fn record_base_lists(&self, facts: &Facts, changed: bool) {
        let text = String::from_utf8_lossy(&facts.greeting);
        let said = InitializeResult::parse(&text).ok();
        let info = said.and_then(|said| said.server_info.map(|info| info.raw.to_owned()));
        let target = self.host.target();
        let version = version_of(&target, &info.unwrap_or_default());
        let older = self.revisions.refused_latest();
        if !self.findings.keep_older_revision(&self.name, &target, &version, older) {
            // The next run asks for the latest.
            self.revisions.forget();
        }
        let finding = self.findings.is_uniform(&self.name, &version);
        self.client_lists.known.lock().note_base(&version, finding, changed);
        self.client_lists.learnt.send_modify(|count| *count += 1);
    }
}
