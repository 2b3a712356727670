//! The thread that computes. Requests wait for it in a queue with a bound, and one that nobody waits for any more
//! costs no more computing.

use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use crate::model::{Model, Vector};

/// Requests that wait. Each has at most 32 inputs, so the last one waits for some seconds.
const WAITING_MAX: usize = 16;
/// Inputs that are computed together. Between two such batches the thread looks whether anybody still waits.
const BATCH: usize = 8;

/// A handle to the thread, which ends with the last handle.
pub(crate) struct Worker {
    jobs: mpsc::Sender<Job>,
    model: Arc<Model>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The queue is full.
    Busy,
    Failed(anyhow::Error),
}

struct Job {
    texts: Vec<String>,
    answer: oneshot::Sender<anyhow::Result<Vec<Vector>>>,
}

// === impl Worker ===

impl Worker {
    pub(crate) fn start(model: Model) -> Self {
        let (jobs, mut waiting) = mpsc::channel::<Job>(WAITING_MAX);
        let model = Arc::new(model);
        let computing = model.clone();
        thread::spawn(move || {
            while let Some(job) = waiting.blocking_recv() {
                work(&computing, job);
            }
        });
        Self { jobs, model }
    }

    pub(crate) fn dimensions(&self) -> usize {
        self.model.dimensions()
    }

    pub(crate) async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vector>, Refused> {
        let (answer, coming) = oneshot::channel();
        self.jobs.try_send(Job { texts, answer }).map_err(|_| Refused::Busy)?;
        match coming.await {
            Ok(answer) => answer.map_err(Refused::Failed),
            Err(gone) => Err(Refused::Failed(gone.into())),
        }
    }
}

fn work(model: &Model, job: Job) {
    let mut vectors = Vec::with_capacity(job.texts.len());
    for batch in job.texts.chunks(BATCH) {
        if job.answer.is_closed() {
            return;
        }
        match model.embed(batch) {
            Ok(more) => vectors.extend(more),
            Err(error) => {
                let _ = job.answer.send(Err(error));
                return;
            }
        }
    }
    // Whoever asked may have left meanwhile.
    let _ = job.answer.send(Ok(vectors));
}
