//! Processes of services: they get no input, and what they print is kept.

use mainstay_model::settings::{ProcessSpec, StopSpec};
use mainstay_model::{InstanceId, Name};
use mainstay_telemetry::output::Written;
use tokio::task::JoinHandle;

use super::exit::Exit;
use super::remedy::Remedy;
use super::running::{RunningProcess, StopGraces};
use super::spawn::SpawnError;
use super::{ProcessHost, stderr};
use crate::secrets::Secrets;

/// A running process of a service, with its descendants. Dropping it ends them.
#[derive(Debug)]
pub struct ServiceProcess {
    process: RunningProcess,
    /// Reads standard output. `None` once it is finished.
    reader: Option<JoinHandle<()>>,
}

// === impl ProcessHost ===

impl ProcessHost {
    /// Starts a process of a service as [`spawn`](Self::spawn) does, with an empty input. Its standard output and
    /// standard error are kept together.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    pub async fn spawn_service(
        &self,
        spec: &ProcessSpec,
        name: &Name,
        instance: InstanceId,
    ) -> Result<ServiceProcess, SpawnError> {
        let mut process = self.spawn(spec, name, instance).await?;
        drop(process.take_stdin());
        let reader = process.take_stdout().map(|from| {
            let secrets = Secrets::of_process(spec);
            let written = Written::Stdout;
            let writer = stderr::Writer { server: name.clone(), instance, secrets, written };
            tokio::spawn(stderr::keep_tail(
                from,
                process.stderr_tail(),
                writer,
                self.output.clone(),
            ))
        });
        Ok(ServiceProcess { process, reader })
    }
}

// === impl ServiceProcess ===

impl ServiceProcess {
    /// The process id of the main process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits for the main process to end. Cancel safe.
    pub async fn wait(&self) -> Exit {
        self.process.wait().await
    }

    /// How the main process ended, as far as is known by now.
    pub fn exit(&self) -> Option<Exit> {
        self.process.exit()
    }

    /// The first and the last lines that it printed, oldest first.
    pub fn last_words(&self) -> Vec<String> {
        self.process.stderr_tail().shown()
    }

    /// What the user can do about a failure, as far as the last words say what it was.
    pub async fn remedy(&self) -> Option<Remedy> {
        self.process.remedy().await
    }

    /// Ends the whole tree, within the time of `stop` and some seconds.
    pub async fn stop(&mut self, stop: StopSpec) {
        self.end(StopGraces::of_service(stop)).await;
    }

    /// Ends the whole tree at once: its processes do not react.
    pub async fn kill(&mut self) {
        self.end(StopGraces::NONE).await;
    }

    async fn end(&mut self, graces: StopGraces) {
        self.process.stop(graces).await;
        if let Some(reader) = &mut self.reader {
            // What it printed last is in the pipe already.
            let _ = tokio::time::timeout(stderr::LAST_WORDS, reader).await;
        }
    }
}

impl Drop for ServiceProcess {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.abort();
        }
    }
}
