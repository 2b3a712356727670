//! The checks that the configuration declares, ready to be made.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use mainstay_model::Name;
use mainstay_model::settings::{
    CheckKind, CheckSpec, Lack, ProbeSpec, Runtime, Settings, TargetCheck,
};
use mainstay_upstream::probe::Prober;
use mainstay_upstream::process::ProcessHost;
use mainstay_upstream::{Members, Secrets};
use tokio::sync::Mutex;

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
    /// For an address or a command. It makes one check at a time.
    pub(super) prober: Option<Mutex<Prober>>,
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
            CheckKind::Target(target) => Some(Mutex::new(prober(&spec, target, host))),
            CheckKind::Call(_) | CheckKind::Tools(_) => None,
        };
        Self { spec, members, prober }
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
