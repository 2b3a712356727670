//! Probes of a real Redis and a real PostgreSQL, which are started as services are.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mainstay_model::settings::{
    PostgresCheck, ProbeCheck, ProbeSpec, ProcessSpec, StopSignal, StopSpec,
};
use mainstay_model::{InstanceId, Redacted};
use mainstay_supervisor::probe::Outcome;
use mainstay_upstream::probe::{ProbedRun, Prober};
use mainstay_upstream::process::ServiceProcess;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{CAP, World, command, name, sh, with_env};

/// A check that is expected to be silent waits so long.
const SHORT: Duration = Duration::from_millis(800);

fn prober(world: &World, check: ProbeCheck, timeout: Duration) -> Prober {
    let spec = ProbeSpec { timeout, ..ProbeSpec::new(check) };
    Prober::new(&spec, &name("db"), &world.host)
}

async fn checked(world: &World, check: ProbeCheck, timeout: Duration) -> Outcome {
    prober(world, check, timeout).check(&ProbedRun::default()).await
}

/// Checks again and again until the outcome is as wanted.
async fn until_outcome(prober: &Prober, is_wanted: impl Fn(&Outcome) -> bool) {
    let begun = Instant::now();
    loop {
        let outcome = prober.check(&ProbedRun::default()).await;
        if is_wanted(&outcome) {
            return;
        }
        assert!(begun.elapsed() < CAP, "still {outcome:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until_passed(prober: &Prober) {
    until_outcome(prober, |outcome| *outcome == Outcome::Passed).await;
}

#[track_caller]
fn unfit(outcome: &Outcome, words: &str) {
    let Outcome::Unfit(failure) = outcome else { panic!("not unfit: {outcome:?}") };
    assert!(failure.reason.contains(words), "{failure:?}");
    assert!(!failure.reason.contains("s3cr3t"), "{failure:?}");
}

#[track_caller]
fn silent(outcome: &Outcome, words: &str) {
    let Outcome::Silent(failure) = outcome else { panic!("not silent: {outcome:?}") };
    assert!(failure.reason.contains(words), "{failure:?}");
}

async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

async fn start(world: &World, spec: &ProcessSpec) -> ServiceProcess {
    world.host.spawn_service(spec, &name("db"), InstanceId(1)).await.expect("it starts")
}

/// Sends a signal to all processes of a service.
fn signal(process: &ServiceProcess, signal: Signal) {
    let group = i32::try_from(process.pid()).ok().and_then(Pid::from_raw).expect("a number");
    kill_process_group(group, signal).expect("it runs");
}

async fn stop(process: &mut ServiceProcess, signal: StopSignal) {
    process.stop(StopSpec { signal, timeout: CAP }).await;
}

/// A self-signed certificate for 127.0.0.1 and its key, in files of a folder.
fn write_certificate(folder: &Path) {
    let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), signed.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), signed.signing_key.serialize_pem()).unwrap();
}

// === Redis ===

fn redis_server(folder: &Path, port: u16, more: &[&str]) -> ProcessSpec {
    let port = port.to_string();
    let mut words = vec!["redis-server", "--port", &port, "--bind", "127.0.0.1", "--save", ""];
    words.extend(["--appendonly", "no"]);
    words.extend(more);
    let mut spec = command(&words);
    spec.cwd = Some(folder.to_owned());
    spec
}

fn redis(rest: &str) -> ProbeCheck {
    ProbeCheck::Redis(Redacted::new(format!("redis://{rest}")))
}

#[tokio::test]
async fn a_real_redis_says_what_it_lacks_and_a_frozen_one_is_silent() {
    let world = World::open().await;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port().await;
    let more =
        ["--requirepass", "s3cr3t", "--user", "app", "on", ">s3cr3t-app", "+ping", "+select"];
    let mut server = start(&world, &redis_server(folder.path(), port, &more)).await;
    let probe = prober(&world, redis(&format!(":s3cr3t@127.0.0.1:{port}/2")), CAP);
    until_passed(&probe).await;
    for (login, words) in [
        ("", "says: NOAUTH"),
        (":s3cr3t-wrong@", "says: WRONGPASS"),
        ("nobody:s3cr3t@", "says: WRONGPASS"),
    ] {
        let outcome = checked(&world, redis(&format!("{login}127.0.0.1:{port}")), CAP).await;
        unfit(&outcome, words);
    }
    let app = redis(&format!("app:s3cr3t-app@localhost:{port}"));
    assert_eq!(checked(&world, app, CAP).await, Outcome::Passed);
    let beyond = redis(&format!(":s3cr3t@127.0.0.1:{port}/99"));
    unfit(&checked(&world, beyond, CAP).await, "DB index is out of range");

    signal(&server, Signal::STOP);
    let again = redis(&format!(":s3cr3t@127.0.0.1:{port}/2"));
    silent(&checked(&world, again.clone(), SHORT).await, "does not answer PING");
    signal(&server, Signal::CONT);
    until_passed(&probe).await;
    stop(&mut server, StopSignal::Term).await;
    silent(&checked(&world, again, CAP).await, "Connection refused");
    world.close().await;
}

#[tokio::test]
async fn a_redis_that_loads_its_data_is_not_fit_yet() {
    let world = World::open().await;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port().await;
    let probe = prober(&world, redis(&format!("127.0.0.1:{port}")), CAP);
    let plain = ["--rdbcompression", "no"];
    let mut server = start(&world, &redis_server(folder.path(), port, &plain)).await;
    until_passed(&probe).await;
    let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let keys = 50;
    let value = "x".repeat(2000);
    let mut commands: String = (0..keys).map(|n| format!("SET k{n} {value}\r\n")).collect();
    commands.push_str("SAVE\r\n");
    client.write_all(commands.as_bytes()).await.unwrap();
    let mut answers = vec![0; "+OK\r\n".len() * (keys + 1)];
    client.read_exact(&mut answers).await.unwrap();
    assert!(answers.ends_with(b"+OK\r\n"), "{answers:?}");
    stop(&mut server, StopSignal::Term).await;

    // Half a second for each key, between which it answers.
    let slow = ["--key-load-delay", "500000", "--loading-process-events-interval-bytes", "1024"];
    let mut server = start(&world, &redis_server(folder.path(), port, &slow)).await;
    until_outcome(&probe, |outcome| match outcome {
        Outcome::Unfit(failure) => failure.reason.contains("LOADING Redis is loading"),
        Outcome::Silent(_) => false,
        Outcome::Passed => panic!("it has not loaded"),
    })
    .await;
    stop(&mut server, StopSignal::Kill).await;
    world.close().await;
}

#[tokio::test]
async fn a_real_redis_with_tls_must_prove_who_it_is() {
    let world = World::open().await;
    let folder = tempfile::tempdir().unwrap();
    let (plain, secure) = (free_port().await, free_port().await);
    write_certificate(folder.path());
    let secure_port = secure.to_string();
    let more = [
        ["--tls-port", &secure_port, "--tls-cert-file", "cert.pem"],
        ["--tls-key-file", "key.pem", "--tls-ca-cert-file", "cert.pem"],
    ];
    let mut more = more.concat();
    more.extend(["--tls-auth-clients", "no"]);
    let mut server = start(&world, &redis_server(folder.path(), plain, &more)).await;
    until_passed(&prober(&world, redis(&format!("127.0.0.1:{plain}")), CAP)).await;
    let check = ProbeCheck::Redis(Redacted::new(format!("rediss://127.0.0.1:{secure}")));
    unfit(&checked(&world, check, CAP).await, "no TLS connection");
    // And a plain one to the port of TLS.
    let outcome = checked(&world, redis(&format!("127.0.0.1:{secure}")), CAP).await;
    assert_ne!(outcome, Outcome::Passed);
    stop(&mut server, StopSignal::Term).await;
    world.close().await;
}

// === PostgreSQL ===

/// A cluster in a folder of its own, whose user is `app` with the password `s3cr3t`.
struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

impl Cluster {
    async fn new(world: &World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // PostgreSQL runs as another user where this is root.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
        write_certificate(folder.path());
        std::fs::set_permissions(folder.path().join("key.pem"), PermissionsExt::from_mode(0o644))
            .unwrap();
        std::fs::write(folder.path().join("password"), "s3cr3t\n").unwrap();
        let cluster = Self { folder, programs: programs(), port: free_port().await };
        let script = "set -e; \"$PROGRAMS/initdb\" --pgdata data --username app --pwfile password \
                      --auth scram-sha-256 --no-sync --no-locale --encoding UTF8 >/dev/null; \
                      cp cert.pem key.pem data/; chmod 600 data/key.pem";
        let mut initialized = start(world, &cluster.as_its_user(sh(script))).await;
        let exit = tokio::time::timeout(CAP * 2, initialized.wait()).await.expect("in time");
        stop(&mut initialized, StopSignal::Term).await;
        assert!(exit.is_success(), "{exit}: {:?}", initialized.last_words());
        cluster
    }

    fn as_its_user(&self, spec: ProcessSpec) -> ProcessSpec {
        let programs = self.programs.to_str().unwrap();
        let mut spec = with_env(spec, "PROGRAMS", programs);
        spec.cwd = Some(self.folder.path().to_owned());
        if rustix::process::getuid().is_root() {
            spec.user = Some("postgres".to_owned());
        }
        spec
    }

    async fn start(&self, world: &World, more: &str) -> ServiceProcess {
        let script = format!(
            "exec \"$PROGRAMS/postgres\" -D data -p {} -k \"$PWD\" -c listen_addresses=127.0.0.1 \
             -c fsync=off -c ssl=on -c ssl_cert_file=cert.pem -c ssl_key_file=key.pem {more}",
            self.port
        );
        start(world, &self.as_its_user(sh(&script))).await
    }

    fn check(&self, login: &str, rest: &str, query: &str) -> ProbeCheck {
        let url = format!("postgres://{login}@127.0.0.1:{}/{rest}", self.port);
        ProbeCheck::Postgres(PostgresCheck { url: Redacted::new(url), query: query.to_owned() })
    }

    fn query(&self, query: &str) -> ProbeCheck {
        self.check("app:s3cr3t", "postgres", query)
    }
}

/// Where Debian has the programs of PostgreSQL, the newest first.
fn programs() -> PathBuf {
    let all = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut all: Vec<_> = all.map(|version| version.path().join("bin")).collect();
    all.retain(|folder| folder.join("postgres").exists());
    all.sort();
    all.pop().expect("these tests need PostgreSQL, and it is not here: `make tools` installs it")
}

#[tokio::test]
async fn a_real_postgresql_answers_a_query_or_says_why_not() {
    let world = World::open().await;
    let cluster = Cluster::new(&world).await;
    let mut server = cluster.start(&world, "").await;
    until_passed(&prober(&world, cluster.query(""), CAP)).await;

    for rest in ["postgres?sslmode=disable", "postgres?sslmode=require", "postgres?sslmode=prefer"]
    {
        let check = cluster.check("app:s3cr3t", rest, "SELECT 1; SELECT 'two' -- a comment");
        assert_eq!(checked(&world, check, CAP).await, Outcome::Passed, "{rest}");
    }
    let socket = cluster.folder.path().to_str().unwrap().replace('/', "%2F");
    let url = format!("postgres://app:s3cr3t@{socket}:{}/postgres", cluster.port);
    let socket = PostgresCheck { url: Redacted::new(url), query: "SELECT 1".to_owned() };
    assert_eq!(checked(&world, ProbeCheck::Postgres(socket), CAP).await, Outcome::Passed);

    for (check, words) in [
        (cluster.check("app:s3cr3t-wrong", "postgres", ""), "password authentication failed"),
        (cluster.check("app", "postgres", ""), "password missing"),
        (cluster.check("app:s3cr3t", "nothing", ""), "database \"nothing\" does not exist"),
        (cluster.query("SELECT * FROM nothing"), "relation \"nothing\" does not exist (42P01)"),
        (cluster.query("SELECT 1/0"), "division by zero"),
        (cluster.check("app:s3cr3t", "postgres?sslmode=verify-full", ""), "no TLS connection"),
    ] {
        unfit(&checked(&world, check, CAP).await, words);
    }
    stop(&mut server, StopSignal::Int).await;
    silent(&checked(&world, cluster.query(""), CAP).await, "Connection refused");
    world.close().await;
}

#[tokio::test]
async fn queries_that_hang_pile_up_neither_here_nor_at_the_server() {
    let world = World::open().await;
    let cluster = Cluster::new(&world).await;
    let mut server = cluster.start(&world, "-c max_connections=10").await;
    until_passed(&prober(&world, cluster.query(""), CAP)).await;
    let before = crate::support::descriptors();
    // More than the server accepts at the same time.
    for _ in 0..15 {
        let outcome = checked(&world, cluster.query("SELECT pg_sleep(600)"), SHORT / 2).await;
        assert_ne!(outcome, Outcome::Passed);
        if let Outcome::Unfit(failure) = outcome {
            assert!(failure.reason.contains("statement timeout"), "{failure:?}");
        }
    }
    // An error as long as a query of ours still runs.
    let others = "SELECT 1 / (count(*) = 0)::int FROM pg_stat_activity \
                  WHERE application_name = 'mainstay' AND pid <> pg_backend_pid()";
    until_passed(&prober(&world, cluster.query(others), CAP)).await;
    assert!(crate::support::descriptors() <= before);

    signal(&server, Signal::STOP);
    for _ in 0..5 {
        let outcome = checked(&world, cluster.query(""), SHORT / 4).await;
        silent(&outcome, "accepts the connection and does not answer");
    }
    assert!(crate::support::descriptors() <= before);
    signal(&server, Signal::CONT);
    until_passed(&prober(&world, cluster.query(""), CAP)).await;
    stop(&mut server, StopSignal::Int).await;
    world.close().await;
}

#[tokio::test]
async fn a_postgresql_that_is_starting_up_is_told_in_its_words() {
    let world = World::open().await;
    let cluster = Cluster::new(&world).await;
    // It waits for the log of a primary that never comes.
    let mut waits = start(&world, &cluster.as_its_user(sh("touch data/standby.signal"))).await;
    waits.wait().await;
    stop(&mut waits, StopSignal::Term).await;
    let mut server = cluster.start(&world, "-c hot_standby=off").await;
    let probe = prober(&world, cluster.query(""), CAP);
    until_outcome(&probe, |outcome| match outcome {
        Outcome::Unfit(failure) => {
            assert!(failure.reason.contains("the database system is"), "{failure:?}");
            failure.reason.ends_with("(57P03)")
        }
        Outcome::Silent(_) => false,
        Outcome::Passed => panic!("it can't be asked"),
    })
    .await;
    stop(&mut server, StopSignal::Quit).await;
    world.close().await;
}
