//! Servers inside of a test: a host whose instances are tasks of the test.

use std::fmt::Debug;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mainstay_model::InstanceId;
use mainstay_protocol::Message;
use mainstay_upstream::host::{Boxed, Host, HostAbilities, Restarts, Running, StartError};
use mainstay_upstream::process::{ExecCommand, GuardCommand, OpenError, ProcessHost};
use mainstay_upstream::{Link, LinkLimits, Listener, TransportAbilities};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

/// What the instances of a server do.
pub trait Script: Debug + Send + Sync + 'static {
    /// Is called at each start, counted from 0. May panic: the start goes wrong then.
    fn begin(&self, _start: usize) {}

    /// Serves an instance until its pipes are closed.
    fn serve(self: Arc<Self>, start: usize, pipes: Pipes) -> Boxed<'static, ()>;
}

/// A host whose instances are tasks of the test.
#[derive(Debug)]
pub struct InsideHost<S> {
    script: Arc<S>,
    restarts: Restarts,
    starts: AtomicUsize,
    ends: Arc<AtomicUsize>,
}

/// The server's ends of its pipes. Dropping them closes the pipes.
#[derive(Debug)]
pub struct Pipes {
    requests: Lines<BufReader<pipe::Receiver>>,
    answers: pipe::Sender,
    ended: CancellationToken,
}

/// An instance.
struct Inside<S> {
    script: Arc<S>,
    start: usize,
    stop: CancellationToken,
    ended: CancellationToken,
    ends: Arc<AtomicUsize>,
}

/// A process host for tests that start no process.
///
/// # Errors
/// When the state folder can't be used.
pub async fn process_host(state: &Path) -> Result<Arc<ProcessHost>, OpenError> {
    // Waits for the end of its input like a guard, and has nothing to end.
    let guard = GuardCommand { program: "/bin/cat".into(), args: Vec::new() };
    let exec = ExecCommand { program: "/bin/false".into(), args: Vec::new() };
    ProcessHost::open(state, guard, exec).await
}

// === impl InsideHost ===

impl<S: Script> InsideHost<S> {
    pub fn new(script: S, restarts: Restarts) -> Arc<Self> {
        let (starts, ends) = (AtomicUsize::new(0), Arc::default());
        Arc::new(Self { script: Arc::new(script), restarts, starts, ends })
    }

    /// How many instances were started, those included whose start went wrong.
    pub fn starts(&self) -> usize {
        self.starts.load(Ordering::SeqCst)
    }

    /// How many instances were dropped by whoever ran them.
    pub fn ends(&self) -> usize {
        self.ends.load(Ordering::SeqCst)
    }
}

impl<S: Script> Host for InsideHost<S> {
    fn abilities(&self) -> HostAbilities {
        HostAbilities {
            kind: "test",
            has_pid: false,
            shares_questions: true,
            end_is_answer: true,
            restarts: self.restarts,
        }
    }

    fn target(&self) -> String {
        String::new()
    }

    fn transport(&self) -> Option<&'static TransportAbilities> {
        None
    }

    fn start(&self, _: InstanceId) -> Boxed<'_, Result<Box<dyn Running>, StartError>> {
        let start = self.starts.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            self.script.begin(start);
            let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
            let (script, ends) = (self.script.clone(), self.ends.clone());
            Ok(Box::new(Inside { script, start, stop, ended, ends }) as Box<dyn Running>)
        })
    }
}

// === impl Inside ===

impl<S: Script> Inside<S> {
    fn open_pipes(&self, limits: LinkLimits, listener: Arc<dyn Listener>) -> io::Result<Arc<Link>> {
        let (requests, input) = io::pipe()?;
        let (output, answers) = io::pipe()?;
        let pipes = Pipes::new(requests.into(), answers.into(), self.ended.clone())?;
        tokio::spawn(self.script.clone().serve(self.start, pipes));
        let stop = self.stop.clone();
        mainstay_upstream::stdio::open(input.into(), output.into(), limits, listener, stop)
    }
}

impl<S: Script> Running for Inside<S> {
    fn pid(&self) -> Option<u32> {
        None
    }

    fn open(
        &mut self,
        limits: LinkLimits,
        listener: Arc<dyn Listener>,
    ) -> Boxed<'_, Result<Arc<Link>, String>> {
        let link = self.open_pipes(limits, listener);
        Box::pin(std::future::ready(link.map_err(|error| error.to_string())))
    }

    fn ended(&self) -> Boxed<'_, String> {
        Box::pin(async {
            self.ended.cancelled().await;
            "it ended".to_owned()
        })
    }

    fn end_after_link(&self) -> Boxed<'_, Option<String>> {
        Box::pin(std::future::ready(None))
    }

    fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    fn last_words(&self) -> Vec<String> {
        Vec::new()
    }

    fn stop(&mut self) -> Boxed<'_, ()> {
        self.stop.cancel();
        Box::pin(std::future::ready(()))
    }
}

impl<S> Drop for Inside<S> {
    fn drop(&mut self) {
        self.stop.cancel();
        self.ends.fetch_add(1, Ordering::SeqCst);
    }
}

// === impl Pipes ===

impl Pipes {
    fn new(requests: OwnedFd, answers: OwnedFd, ended: CancellationToken) -> io::Result<Self> {
        let requests = BufReader::new(pipe::Receiver::from_owned_fd(requests)?).lines();
        let answers = pipe::Sender::from_owned_fd(answers)?;
        Ok(Self { requests, answers, ended })
    }

    /// The next line that the server was sent. `None` once its input is closed.
    pub async fn line(&mut self) -> Option<String> {
        self.requests.next_line().await.ok().flatten()
    }

    /// The next message that the server was sent. `None` once its input is closed.
    pub async fn message(&mut self) -> Option<Message> {
        let line = self.line().await?;
        Message::parse(line.into_bytes().into()).ok()
    }

    /// Writes a line. `None` if nobody reads it.
    pub async fn say(&mut self, text: &str) -> Option<()> {
        self.answers.write_all(format!("{text}\n").as_bytes()).await.ok()
    }

    /// Answers a request with a member of the message, such as `"result":{}`. `None` if nobody reads it.
    pub async fn answer(&mut self, id: u64, member: &str) -> Option<()> {
        self.say(&format!(r#"{{"jsonrpc":"2.0","id":{id},{member}}}"#)).await
    }

    /// Lets the end of the instance be noticed before its pipes are closed.
    pub fn announce_end(&self) {
        self.ended.cancel();
    }
}
