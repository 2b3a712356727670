//! The checks that the configuration declares, ready to be made.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, WeakShared};
use mainstay_model::Name;
use mainstay_model::settings::{
    CheckKind, CheckSpec, Lack, ProbeSpec, Runtime, Settings, TargetCheck,
};
use mainstay_supervisor::probe::Outcome;
use mainstay_upstream::probe::{ProbedRun, Prober};
use mainstay_upstream::process::ProcessHost;
use mainstay_upstream::{Members, Secrets};
use parking_lot::Mutex;

use super::verdict::Verdict;

/// All checks that the configuration declares, and the secrets that their results must not show.
#[derive(Debug, Clone, Default)]
pub(in crate::compose) struct Declared {
    pub(super) checks: Arc<[Arc<DeclaredCheck>]>,
    secrets: Arc<BTreeMap<Name, Secrets>>,
}

/// A check that the configuration declares.
pub(super) struct DeclaredCheck {
    pub(super) spec: CheckSpec,
    /// The members that the result of a tool must have.
    pub(super) members: Members,
    /// For an address or a command.
    pub(super) prober: Option<SharedProber>,
}

/// Makes one check at a time. Whoever asks while one is under way gets its result, too.
pub(super) struct SharedProber {
    prober: Arc<Prober>,
    /// The last check, as long as somebody waits for it.
    under_way: Mutex<Option<WeakShared<BoxFuture<'static, Outcome>>>>,
}

// === impl Declared ===

impl Declared {
    pub(in crate::compose) fn new(settings: &Settings, host: &Arc<ProcessHost>) -> Self {
        let check = |spec: &CheckSpec| Arc::new(DeclaredCheck::new(spec.clone(), host));
        let servers =
            settings.servers.iter().map(|it| (it.name.clone(), Secrets::of_runtime(&it.runtime)));
        let services = settings.services.iter().map(|it| {
            (it.name.clone(), Secrets::of_runtime(&Runtime::Process(it.process.clone())))
        });
        Self {
            checks: settings.checks.iter().map(check).collect(),
            secrets: Arc::new(servers.chain(services).collect()),
        }
    }

    /// What a server or service was started with or is sent.
    pub(super) fn secrets_of(&self, name: &str) -> Secrets {
        self.secrets.get(name).cloned().unwrap_or_default()
    }
}

// === impl DeclaredCheck ===

impl DeclaredCheck {
    pub(super) fn new(spec: CheckSpec, host: &Arc<ProcessHost>) -> Self {
        let members = match &spec.kind {
            CheckKind::Call(call) => Members::new(&call.json),
            CheckKind::Tools(_) | CheckKind::Target(_) => Members::new(&[]),
        };
        let prober = match &spec.kind {
            CheckKind::Target(target) => Some(SharedProber::new(prober(&spec, target, host))),
            CheckKind::Call(_) | CheckKind::Tools(_) => None,
        };
        Self { spec, members, prober }
    }
}

// === impl SharedProber ===

impl SharedProber {
    pub(super) fn new(prober: Prober) -> Self {
        Self { prober: Arc::new(prober), under_way: Mutex::default() }
    }

    /// Checks, or waits for the check that is under way. It ends when nobody waits for it any more.
    pub(super) async fn check(&self) -> Outcome {
        let check = {
            let mut under_way = self.under_way.lock();
            let running = under_way.as_ref().and_then(WeakShared::upgrade);
            // Somebody may still hold one that has ended.
            running.filter(|check| check.peek().is_none()).unwrap_or_else(|| {
                let prober = self.prober.clone();
                let check = async move { prober.check(&ProbedRun::default()).await };
                let check = check.boxed().shared();
                *under_way = check.downgrade();
                check
            })
        };
        check.await
    }
}

impl fmt::Debug for DeclaredCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeclaredCheck").field(&self.spec.name).finish()
    }
}

fn prober(spec: &CheckSpec, target: &TargetCheck, host: &Arc<ProcessHost>) -> Prober {
    let probe = ProbeSpec { timeout: spec.timeout, ..ProbeSpec::new(target.check.clone()) };
    // What its command writes to standard error is found under this name.
    let owner = Name::of_check(spec.number);
    let prober = Prober::new(&probe, &owner, host);
    match &target.output {
        Some(text) => prober.expecting_output(text),
        None => prober,
    }
}

/// What is said of a check that refers to a value that the daemon does not have.
pub(super) fn lacking(lack: &Lack) -> Verdict {
    match lack {
        Lack::Variable(name) => Verdict::failed(format!("the variable {name} is not set"))
            .hint("set it in the environment of the daemon, and restart the daemon"),
        Lack::Secret { file, error } => {
            let file = file.display();
            Verdict::failed(format!("the secret in {file} can't be read: {error}"))
        }
        Lack::Value { reference, fault } => {
            Verdict::failed(format!("the value of {reference} {fault}"))
        }
    }
}
