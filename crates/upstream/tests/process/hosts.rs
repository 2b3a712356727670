//! What every host promises, written once and run against each.
use std::sync::Arc;
use std::time::Duration;

use mainstay_model::Budget;
use mainstay_model::InstanceId;
use mainstay_model::settings::{RemoteSpec, Runtime, ServerSpec};
use mainstay_protocol::Message;
use mainstay_telemetry::Dropped;
use mainstay_upstream::host::{self, Host, Running, StartError};
use mainstay_upstream::{Asker, Link, LinkLimits, Listener, handshake};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::{CAP, World, children, command, name, sh, until};

const LIMITS: LinkLimits = LinkLimits {
    message_bytes_max: 1 << 20,
    unread_bytes_max: 1 << 20,
    depth_max: 128,
    budget: Budget::UNLIMITED,
};

/// Answers the first request, which is number 1 on its link, and lives until its input ends.
const ANSWERS: &str = r#"echo starting >&2; read line
echo '{"jsonrpc":"2.0","id":1,"result":{}}'; echo answered >&2; cat >/dev/null"#;

#[derive(Debug)]
struct Deaf;

impl Listener for Deaf {
    fn notification(&self, _: Message) {}
    fn dropped(&self, _: Dropped) {}
    fn question(&self, _: &Asker, _: &Message) -> bool {
        false
    }
    fn stray(&self, _: &[u8], _: &str) {}
    fn unusable_answer(&self, _: &str) {}
    fn late_answer(&self, _: Option<&Message>) {}
    fn closed(&self, _: &str) {}
}

/// Which host is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Process,
    Remote,
}

/// A server to start, and how it is made to go away.
struct Site {
    world: World,
    host: Arc<dyn Host>,
    /// Ends a remote server.
    cut: CancellationToken,
}

impl Site {
    async fn open(which: Which) -> Self {
        let world = World::open().await;
        let cut = CancellationToken::new();
        let runtime = match which {
            Which::Process => Runtime::Process(sh(ANSWERS)),
            Which::Remote => remote(&serve(cut.clone()).await),
        };
        let host = host_of(&world, runtime);
        Self { world, host, cut }
    }

    async fn start(&self) -> Box<dyn Running> {
        timeout(CAP, self.host.start(InstanceId(1))).await.expect("in time").expect("it starts")
    }

    /// Only the guard is left of all processes.
    async fn nothing_is_left(&self) {
        until("only the guard is left", || children().len() == 1).await;
    }

    async fn close(self) {
        self.cut.cancel();
        self.world.close().await;
    }
}

fn host_of(world: &World, runtime: Runtime) -> Arc<dyn Host> {
    host::of(&ServerSpec::new(name("test"), runtime), &world.host)
}

fn remote(url: &str) -> Runtime {
    Runtime::Remote(RemoteSpec::new(url))
}

/// Answers every POST as if it were number 1.
async fn serve(cut: CancellationToken) -> String {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/mcp", socket.local_addr().expect("it is bound"));
    tokio::spawn(async move {
        let answering = async {
            loop {
                let (mut stream, _) = socket.accept().await.expect("a connection");
                let mut request = vec![0; 64 << 10];
                let _ = stream.read(&mut request).await;
                let body = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
                let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        };
        tokio::select! {
            () = cut.cancelled() => {}
            () = answering => {}
        }
    });
    url
}

async fn open(running: &mut dyn Running) -> Arc<Link> {
    let opened = timeout(CAP, running.open(LIMITS, Arc::new(Deaf))).await.expect("in time");
    opened.expect("it opens")
}

async fn ask(link: &Arc<Link>) -> bool {
    let asked = timeout(CAP, handshake::ask(link, "ping", None)).await.expect("in time");
    asked.is_ok_and(|answer| answer.is_ok())
}

// === what every host promises ===

async fn what_it_starts_is_spoken_to_and_known_by_its_number(which: Which) {
    let site = Site::open(which).await;
    let mut running = site.start().await;
    let abilities = site.host.abilities();
    assert_eq!(running.pid().is_some(), abilities.has_pid);
    assert_eq!(abilities.has_pid, which == Which::Process);
    assert!(!site.host.target().is_empty());
    let link = open(&mut *running).await;
    assert!(ask(&link).await);
    running.stop().await;
    site.close().await;
}

async fn its_end_is_noticed(which: Which) {
    let site = Site::open(which).await;
    let mut running = site.start().await;
    let link = open(&mut *running).await;
    assert!(ask(&link).await);
    match running.pid() {
        Some(pid) => crate::support::kill(i32::try_from(pid).expect("a number")),
        None => site.cut.cancel(),
    }
    if site.host.abilities().has_pid {
        let end = timeout(CAP, running.ended()).await.expect("in time");
        assert!(end.contains("KILL"), "{end}");
        assert!(running.has_ended());
        assert_eq!(running.end_after_link().await, Some(end));
    } else {
        // It has no end but that nobody answers any more.
        until("nobody listens any more", || site.cut.is_cancelled()).await;
        let silent = async {
            while ask(&link).await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(CAP, silent).await.expect("nobody answers, in time");
        assert!(!running.has_ended());
        assert_eq!(running.end_after_link().await, None);
    }
    running.stop().await;
    site.close().await;
}

async fn a_stop_ends_all_and_may_be_repeated(which: Which) {
    let site = Site::open(which).await;
    let mut running = site.start().await;
    let link = open(&mut *running).await;
    assert!(ask(&link).await);
    for _ in 0..2 {
        link.close("stopped");
        link.hang_up();
        timeout(CAP, running.stop()).await.expect("in time");
        site.nothing_is_left().await;
    }
    assert!(link.is_closed());
    let said = running.last_words();
    let expected: &[&str] = match which {
        Which::Process => &["starting", "answered"],
        Which::Remote => &[],
    };
    assert_eq!(said, expected, "what it said last is kept");
    site.close().await;
}

async fn what_nobody_holds_any_more_ends(which: Which) {
    let site = Site::open(which).await;
    let mut running = site.start().await;
    let link = open(&mut *running).await;
    drop(running);
    site.nothing_is_left().await;
    until("the link lets go of its tasks", || Arc::strong_count(&link) == 1).await;
    site.close().await;
}

async fn a_start_that_is_given_up_leaves_nothing(which: Which) {
    let site = Site::open(which).await;
    for pause in [0, 1, 5, 20] {
        // Given up at some step of the start, or just after it.
        let start = site.host.start(InstanceId(1));
        let _ = timeout(Duration::from_millis(pause), start).await;
    }
    site.nothing_is_left().await;
    site.close().await;
}

async fn a_stop_of_everything_ends_what_is_being_started(which: Which) {
    let site = Site::open(which).await;
    let host = site.host.clone();
    let starting = tokio::spawn(async move { host.start(InstanceId(1)).await.map(drop) });
    tokio::task::yield_now().await;
    timeout(CAP, site.world.host.shutdown()).await.expect("in time");
    let _ = timeout(CAP, starting).await.expect("in time");
    site.close().await;
}

async fn failures_tell_whether_trying_again_can_help(which: Which) {
    let site = Site::open(which).await;
    let hopeless = match which {
        Which::Process => Runtime::Process(command(&["/no/such/program"])),
        Which::Remote => remote("ftp://127.0.0.1/"),
    };
    let refused = host_of(&site.world, hopeless).start(InstanceId(1)).await.map(drop);
    let StartError { reason, brief, permanent } = refused.expect_err("it can't be started");
    assert!(permanent && !reason.is_empty() && !brief.is_empty(), "{reason}");

    let for_now = match which {
        Which::Process => {
            let mut spec = sh("true");
            spec.cwd = Some("/not/mounted/yet".into());
            Runtime::Process(spec)
        }
        // Nobody listens there.
        Which::Remote => remote("http://127.0.0.1:9/mcp"),
    };
    match host_of(&site.world, for_now).start(InstanceId(1)).await {
        Err(error) => assert!(!error.permanent && which == Which::Process, "{error}"),
        Ok(mut running) => {
            let link = open(&mut *running).await;
            assert!(!ask(&link).await);
            running.stop().await;
        }
    }
    site.nothing_is_left().await;
    site.close().await;
}

macro_rules! conformance {
    ($($promise:ident)+) => {
        mod of_processes {
            $(#[tokio::test]
            async fn $promise() {
                super::$promise(super::Which::Process).await;
            })+
        }
        mod of_remote_servers {
            $(#[tokio::test]
            async fn $promise() {
                super::$promise(super::Which::Remote).await;
            })+
        }
    };
}

conformance! {
    what_it_starts_is_spoken_to_and_known_by_its_number
    its_end_is_noticed
    a_stop_ends_all_and_may_be_repeated
    what_nobody_holds_any_more_ends
    a_start_that_is_given_up_leaves_nothing
    a_stop_of_everything_ends_what_is_being_started
    failures_tell_whether_trying_again_can_help
}
