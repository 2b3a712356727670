//! How far the loading of the model is, and the attempts at it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use tokio::time::{sleep, timeout};

use crate::model::Model;
use crate::worker::Worker;

/// The pauses between attempts; there is one more attempt than pauses.
const PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(10)];
/// The time limit for one attempt, apart from what `--load-for` adds.
const ATTEMPT_MAX: Duration = Duration::from_secs(120);

/// The state of the model. All requests read it, and none waits for it.
#[derive(Default)]
pub(crate) struct Loading {
    worker: OnceLock<Worker>,
    /// No attempt is left.
    failed: AtomicBool,
}

/// What a request finds.
pub(crate) enum Found<'a> {
    Ready(&'a Worker),
    Loading,
    /// No attempt is left.
    Failed,
}

// === impl Loading ===

impl Loading {
    pub(crate) fn now(&self) -> Found<'_> {
        if let Some(worker) = self.worker.get() {
            return Found::Ready(worker);
        }
        if self.failed.load(Ordering::Acquire) { Found::Failed } else { Found::Loading }
    }
}

/// Loads the model, in at most three attempts.
pub(crate) async fn load(loading: Arc<Loading>, folder: PathBuf, delay: Duration) {
    let mut pauses = PAUSES.iter();
    loop {
        let failure = match attempt(folder.clone(), delay).await {
            Ok(model) => {
                println!("the model has loaded");
                // Nobody else sets it.
                let _ = loading.worker.set(Worker::start(model));
                return;
            }
            Err(failure) => format!("{failure:#}"),
        };
        let Some(pause) = pauses.next() else {
            eprintln!("the model can't be loaded: {failure}");
            return loading.failed.store(true, Ordering::Release);
        };
        eprintln!("the model did not load, next attempt in {} s: {failure}", pause.as_secs());
        sleep(*pause).await;
    }
}

async fn attempt(folder: PathBuf, delay: Duration) -> anyhow::Result<Model> {
    let read = async {
        sleep(delay).await;
        tokio::task::spawn_blocking(move || Model::load(Path::new(&folder))).await?
    };
    timeout(ATTEMPT_MAX + delay, read).await.context("it takes too long")?
}
