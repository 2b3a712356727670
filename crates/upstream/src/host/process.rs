//! Servers that are programs of this machine, spoken to over their pipes.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use mainstay_model::settings::{ProcessSpec, StopSpec};
use mainstay_model::{InstanceId, Name};
use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::contract::{Boxed, Host, HostAbilities, Restarts, Running, StartError};
use crate::link::{Link, LinkLimits};
use crate::listener::Listener;
use crate::process::{Exit, ProcessHost, Remedy, RunningProcess, SpawnError, StopGraces};
use crate::secrets::Secrets;
use crate::stdio;
use crate::transport::TransportAbilities;

/// A command, started once for each instance.
#[derive(Debug)]
pub(super) struct CommandHost {
    spec: ProcessSpec,
    /// As it is set now. What was started shares it.
    stop: Arc<Mutex<StopSpec>>,
    secrets: Secrets,
    server: Name,
    processes: Arc<ProcessHost>,
}

/// A started command.
struct StartedCommand {
    process: RunningProcess,
    stop: Arc<Mutex<StopSpec>>,
    /// Ends the tasks of the link.
    link_stop: CancellationToken,
    _link_end: DropGuard,
}

/// Longest wait for the exit of a process that closed its output. The exit code says more than the
/// closed pipe.
const EXIT_AFTER_OUTPUT: Duration = Duration::from_millis(500);

// === impl CommandHost ===

impl CommandHost {
    pub(super) fn new(
        spec: ProcessSpec,
        stop: StopSpec,
        server: &Name,
        processes: &Arc<ProcessHost>,
    ) -> Self {
        let secrets = Secrets::of_process(&spec);
        let stop = Arc::new(Mutex::new(stop));
        Self { spec, stop, secrets, server: server.clone(), processes: processes.clone() }
    }
}

impl Host for CommandHost {
    fn abilities(&self) -> HostAbilities {
        HostAbilities {
            kind: "process",
            has_pid: true,
            shares_questions: true,
            end_is_answer: true,
            restarts: Restarts::Bounded,
        }
    }

    fn target(&self) -> String {
        self.spec.shown_command()
    }

    fn hide<'a>(&self, words: &'a str) -> Cow<'a, str> {
        self.secrets.hide(words)
    }

    fn transport(&self) -> Option<&'static TransportAbilities> {
        Some(&stdio::ABILITIES)
    }

    fn set_stop(&self, stop: StopSpec) {
        *self.stop.lock() = stop;
    }

    fn start(&self, instance: InstanceId) -> Boxed<'_, Result<Box<dyn Running>, StartError>> {
        Box::pin(async move {
            let process = self.processes.spawn(&self.spec, &self.server, instance).await?;
            let link_stop = CancellationToken::new();
            let _link_end = link_stop.clone().drop_guard();
            let stop = self.stop.clone();
            Ok(Box::new(StartedCommand { process, stop, link_stop, _link_end }) as Box<dyn Running>)
        })
    }
}

// === impl StartedCommand ===

impl StartedCommand {
    fn open_pipes(
        &mut self,
        limits: LinkLimits,
        listener: Arc<dyn Listener>,
    ) -> io::Result<Arc<Link>> {
        let taken = || io::Error::other("they are taken");
        let input = self.process.take_stdin().ok_or_else(taken)?.into_owned_fd()?;
        let output = self.process.take_stdout().ok_or_else(taken)?.into_owned_fd()?;
        stdio::open(input, output, limits, listener, self.link_stop.clone())
    }
}

impl Running for StartedCommand {
    fn pid(&self) -> Option<u32> {
        Some(self.process.pid())
    }

    fn open(
        &mut self,
        limits: LinkLimits,
        listener: Arc<dyn Listener>,
    ) -> Boxed<'_, Result<Arc<Link>, String>> {
        let opened = self.open_pipes(limits, listener);
        let opened = opened.map_err(|error| format!("its pipes can't be used: {error}"));
        Box::pin(std::future::ready(opened))
    }

    fn ended(&self) -> Boxed<'_, String> {
        Box::pin(async { format!("it {}", self.process.wait().await) })
    }

    fn end_after_link(&self) -> Boxed<'_, Option<String>> {
        Box::pin(async { tokio::time::timeout(EXIT_AFTER_OUTPUT, self.ended()).await.ok() })
    }

    fn has_ended(&self) -> bool {
        self.process.has_ended()
    }

    fn ended_well(&self) -> bool {
        self.process.exit().is_some_and(Exit::is_success)
    }

    fn exit(&self) -> Option<Exit> {
        self.process.exit()
    }

    fn last_words(&self) -> Vec<String> {
        self.process.stderr_tail().shown()
    }

    fn remedy(&self) -> Boxed<'_, Option<Remedy>> {
        Box::pin(self.process.remedy())
    }

    fn activity(&self) -> Option<&'static str> {
        self.process.activity()
    }

    fn stop_at_once(&mut self) -> Boxed<'_, ()> {
        let graces = match self.process.is_halted() {
            true => StopGraces::NONE,
            false => StopGraces::ABANDONED,
        };
        Box::pin(async move {
            self.process.stop(graces).await;
        })
    }

    fn stop(&mut self) -> Boxed<'_, ()> {
        Box::pin(async {
            let stop = *self.stop.lock();
            self.process.stop(StopGraces::of_server(stop)).await;
        })
    }
}

// === impl StartError ===

impl From<SpawnError> for StartError {
    fn from(error: SpawnError) -> Self {
        let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        let (brief, permanent) = (error.brief(), error.is_permanent());
        Self { reason: format!("{error}{hint}"), brief, permanent }
    }
}
