//! Checks of listeners in this process, which behave well or badly.

#![expect(clippy::disallowed_methods, reason = "tests may block")]

use std::time::{Duration, Instant};

use mainstay_model::settings::{HttpCheck, ProbeCheck, ProbeSpec};
use mainstay_model::{InstanceId, Name, Redacted};
use mainstay_supervisor::probe::Outcome;
use mainstay_telemetry::ServerOutput;
use mainstay_telemetry::output::Written;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Kind, ProbedRun, Prober};

/// A listener that treats each connection alike. Dropping it closes it and all connections.
struct Peer {
    port: u16,
    _tasks: JoinSet<()>,
}

/// How a peer answers after it has read the head of a request.
#[derive(Clone)]
enum Answer {
    /// Accepts and keeps silent.
    Nothing,
    /// Closes at once, without reading.
    Close,
    /// Sends this and closes.
    All(Vec<u8>),
    /// Sends this and keeps the connection open.
    AndWait(Vec<u8>),
    /// Sends this byte by byte.
    Slowly(Vec<u8>),
    /// Sends the first, and then the second for ever.
    Endless(Vec<u8>, Vec<u8>),
}

const SHORT: Duration = Duration::from_millis(300);
const CAP: Duration = Duration::from_secs(30);

async fn peer(answer: Answer) -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            connections.spawn(async move { drop(serve(stream, answer).await) });
        }
    });
    Peer { port, _tasks: tasks }
}

async fn serve(mut stream: TcpStream, answer: Answer) -> std::io::Result<()> {
    if let Answer::Close = answer {
        return Ok(());
    }
    let mut read = vec![0; 4096];
    // The request of each probe arrives at once.
    let _ = stream.read(&mut read).await?;
    match answer {
        Answer::Nothing | Answer::Close => std::future::pending().await,
        Answer::All(bytes) => stream.write_all(&bytes).await,
        Answer::AndWait(bytes) => {
            stream.write_all(&bytes).await?;
            std::future::pending().await
        }
        Answer::Slowly(bytes) => {
            for byte in bytes {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            std::future::pending().await
        }
        Answer::Endless(first, then) => {
            stream.write_all(&first).await?;
            loop {
                stream.write_all(&then).await?;
            }
        }
    }
}

/// A port at which nobody listens.
async fn gone_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

fn prober(check: ProbeCheck, timeout: Duration) -> Prober {
    let spec = ProbeSpec { timeout, ..ProbeSpec::new(check) };
    Prober::of_kind(&spec, Kind::without_process(&spec.check))
}

fn get(url: &str) -> HttpCheck {
    HttpCheck {
        url: Redacted::new(url.to_owned()),
        written: url.to_owned(),
        status: None,
        contains: None,
        json: Vec::new(),
    }
}

fn with_status(peer: &Peer, status: &str) -> HttpCheck {
    HttpCheck {
        json: vec![("status".to_owned(), vec![format!("{status:?}")])],
        ..get(&format!("http://127.0.0.1:{}/health", peer.port))
    }
}

fn containing(peer: &Peer, text: &str) -> HttpCheck {
    HttpCheck {
        contains: Some(text.to_owned()),
        ..get(&format!("http://127.0.0.1:{}/health", peer.port))
    }
}

async fn outcome(check: ProbeCheck, timeout: Duration) -> Outcome {
    let prober = prober(check, timeout);
    let begun = Instant::now();
    let outcome = prober.check(&ProbedRun::default()).await;
    assert!(begun.elapsed() < timeout + CAP, "bounded");
    outcome
}

async fn http(check: HttpCheck) -> Outcome {
    outcome(ProbeCheck::Http(check), CAP).await
}

async fn http_soon(check: HttpCheck) -> Outcome {
    outcome(ProbeCheck::Http(check), SHORT).await
}

fn ok(body: &str) -> Vec<u8> {
    response("200 OK", body)
}

fn response(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[track_caller]
fn unfit(outcome: &Outcome, words: &str) {
    let Outcome::Unfit(failure) = outcome else { panic!("not unfit: {outcome:?}") };
    assert!(failure.reason.contains(words), "{failure:?}");
    assert!(!failure.brief.contains("127.0.0.1"), "{failure:?}");
}

#[track_caller]
fn silent(outcome: &Outcome, words: &str) {
    let Outcome::Silent(failure) = outcome else { panic!("not silent: {outcome:?}") };
    assert!(failure.reason.contains(words), "{failure:?}");
    assert!(!failure.brief.contains("127.0.0.1"), "{failure:?}");
}

#[tokio::test]
async fn an_answer_as_expected_passes() {
    let good = peer(Answer::AndWait(ok(r#"{"status":"ok","collections":5}"#))).await;
    let url = format!("http://localhost:{}/health?full=1", good.port);
    for check in [get(&url), containing(&good, r#""status":"ok""#), with_status(&good, "ok")] {
        assert_eq!(http(check).await, Outcome::Passed);
    }
    for (code, status) in
        [("204 No Content", None), ("418 Teapot", Some(418)), ("302 Found", Some(302))]
    {
        let other = peer(Answer::AndWait(response(code, ""))).await;
        let check = HttpCheck { status, ..get(&format!("http://127.0.0.1:{}/", other.port)) };
        assert_eq!(http(check).await, Outcome::Passed, "{code}");
    }
}

#[tokio::test]
async fn t4_3_the_word_status_in_a_body_is_no_health() {
    let constant = peer(Answer::All(ok(r#"{"status":"healthy"}"#))).await;
    unfit(
        &http(with_status(&constant, "ok")).await,
        r#""status" in its JSON body is "healthy" instead of "ok""#,
    );
    let page = peer(Answer::All(ok("<h1>\"status\" page</h1>"))).await;
    unfit(&http(with_status(&page, "ok")).await, "its body is not JSON");
    unfit(&http(containing(&page, r#""status":"ok""#)).await, "does not contain");
}

#[tokio::test]
async fn t4_4_an_error_that_is_told_with_http_200_is_an_error() {
    let lying = peer(Answer::All(ok(r#"{"status":"error","detail":"qdrant is down"}"#))).await;
    unfit(&http(with_status(&lying, "ok")).await, r#"is "error" instead of "ok""#);
    unfit(&http(containing(&lying, r#""status":"ok""#)).await, "its body does not contain");
}

#[tokio::test]
async fn t3_6_an_answer_with_500_is_no_success_and_its_words_are_told() {
    let broken = peer(Answer::AndWait(response("500 Oops", r#"{"detail":"no disk"}"#))).await;
    let url = format!("http://127.0.0.1:{}/health", broken.port);
    unfit(&http(get(&url)).await, &format!("{url} answers HTTP 500: no disk"));
    let Outcome::Unfit(failure) = http(get(&url)).await else { panic!() };
    assert_eq!(failure.brief, "its probe got HTTP 500");
    // Expected text does not matter then.
    unfit(&http(containing(&broken, "disk")).await, "answers HTTP 500");
    let moved = peer(Answer::All(response("301 Moved", ""))).await;
    unfit(&http(with_status(&moved, "ok")).await, "answers HTTP 301");
    let check = HttpCheck { status: Some(204), ..containing(&broken, "disk") };
    unfit(&http(check).await, "answers HTTP 500 instead of 204");
}

#[tokio::test]
async fn a_reason_has_the_port_that_a_reference_stands_for_and_no_secret() {
    let broken = peer(Answer::AndWait(response("500 Oops", ""))).await;
    let port = broken.port;
    let url = |rest: &str| format!("http://127.0.0.1:{port}{rest}");
    for (url, written, shown) in [
        (url("/health"), "http://127.0.0.1:${PORT:-8080}/health", url("/health")),
        (url("/k3y/up?k=k3y"), "http://127.0.0.1:8080/${KEY}/up?k=${KEY}", url("/${KEY}/up")),
        (url("?k=k3y"), "http://127.0.0.1:8080?k=k3y", url("")),
        (url("/k3y"), "secret:env:URL", url("/…")),
        (format!("http://u:pw@127.0.0.1:{port}/up"), "http://${LOGIN}@127.0.0.1/up", url("/up")),
    ] {
        let check = HttpCheck { written: written.to_owned(), ..get(&url) };
        let Outcome::Unfit(failure) = http(check).await else { panic!("{written}") };
        assert_eq!(failure.reason, format!("{shown} answers HTTP 500"));
    }
}

#[tokio::test]
async fn an_error_whose_explanation_never_comes_was_an_answer() {
    let head = b"HTTP/1.1 503 Loading\r\nContent-Length: 10\r\n\r\n".to_vec();
    let slow = peer(Answer::AndWait(head)).await;
    unfit(&http_soon(with_status(&slow, "ok")).await, "answers HTTP 503");
}

#[tokio::test]
async fn what_does_not_answer_is_silent() {
    let hung = peer(Answer::Nothing).await;
    let url = format!("http://127.0.0.1:{}/", hung.port);
    silent(&http_soon(get(&url)).await, "accepts the connection and does not answer");
    let closing = peer(Answer::Close).await;
    silent(&http(with_status(&closing, "ok")).await, "closes the connection without an answer");
    let half = peer(Answer::All(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec())).await;
    silent(&http(with_status(&half, "ok")).await, "closes the connection without an answer");
    let broken_off = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"status\":\"ok\"}".to_vec();
    let broken_off = peer(Answer::All(broken_off)).await;
    silent(&http(with_status(&broken_off, "ok")).await, "its body breaks off");
    let gone_at = gone_port().await;
    let refused = http(get(&format!("http://127.0.0.1:{gone_at}/"))).await;
    silent(&refused, &format!("no connection to 127.0.0.1:{gone_at}: Connection refused"));
}

#[tokio::test]
async fn an_answer_may_come_byte_by_byte_but_in_time() {
    let slow = peer(Answer::Slowly(ok(r#"{"status":"ok"}"#))).await;
    assert_eq!(http(with_status(&slow, "ok")).await, Outcome::Passed);
    let too_slow =
        peer(Answer::Slowly(ok(&format!(r#"{{"a":"{}","status":"ok"}}"#, "x".repeat(100_000)))))
            .await;
    silent(&http_soon(with_status(&too_slow, "ok")).await, "its body does not end");
}

#[tokio::test]
async fn an_endless_body_is_read_to_a_bound_and_a_text_is_found_at_once() {
    let head = b"HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\",".to_vec();
    let endless = peer(Answer::Endless(head, b"\"a\":1,".repeat(1000))).await;
    assert_eq!(http(containing(&endless, r#""status":"ok""#)).await, Outcome::Passed);
    unfit(&http(containing(&endless, "no such text")).await, "the first 1048576 bytes");
    unfit(&http(with_status(&endless, "ok")).await, "more than 1048576 bytes");
    // Across two pieces.
    let pieces =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nrea\r\n2\r\ndy\r\n".to_vec();
    let pieces = peer(Answer::AndWait(pieces)).await;
    assert_eq!(http(containing(&pieces, "ready")).await, Outcome::Passed);
}

#[tokio::test]
async fn a_body_that_is_compressed_although_that_was_not_asked_for_is_read() {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(br#"{"status":"ok"}"#).unwrap();
    let body = encoder.finish().unwrap();
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    let zipped = peer(Answer::AndWait(answer)).await;
    assert_eq!(http(with_status(&zipped, "ok")).await, Outcome::Passed);
    assert_eq!(http(containing(&zipped, "ok")).await, Outcome::Passed);
    let odd = b"HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: 1\r\n\r\nx".to_vec();
    let odd = peer(Answer::All(odd)).await;
    unfit(&http(with_status(&odd, "ok")).await, "zstd");
}

#[tokio::test]
async fn what_speaks_no_http_or_no_tls_answers_wrongly() {
    let ssh = peer(Answer::All(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec())).await;
    unfit(&http(with_status(&ssh, "ok")).await, "does not answer in HTTP");
    let plain = peer(Answer::All(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())).await;
    let url = format!("https://127.0.0.1:{}/", plain.port);
    unfit(&http(get(&url)).await, "no TLS connection");
    let hung = peer(Answer::Nothing).await;
    silent(
        &http_soon(get(&format!("https://127.0.0.1:{}/", hung.port))).await,
        "does not answer in TLS",
    );
}

#[tokio::test]
async fn keys_and_passwords_of_a_url_are_sent_and_never_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = vec![0; 4096];
        let count = stream.read(&mut read).await.unwrap();
        let answer = response("401 No", "the key open-sesame of elastic:s3cr3t! is wrong");
        stream.write_all(&answer).await.unwrap();
        String::from_utf8_lossy(&read[..count]).into_owned()
    });
    let url = format!("http://elastic:s3cr3t%21@127.0.0.1:{port}/_cluster/health?key=open-sesame");
    let mut check = get(&url);
    check.written = "${ES_URL}".to_owned();
    let failed = http(check).await;
    let shown =
        format!("http://127.0.0.1:{port}/… answers HTTP 401: the key *** of elastic:*** is wrong");
    unfit(&failed, &shown);
    let request = serving.await.unwrap();
    assert!(request.starts_with("GET /_cluster/health?key=open-sesame HTTP/1.1\r\n"), "{request}");
    // elastic:s3cr3t!
    assert!(
        request.to_lowercase().contains("authorization: basic zwxhc3rpyzpzm2nym3qh"),
        "{request}"
    );
    let shown = format!("{:?}", prober(ProbeCheck::Http(get(&url)), CAP));
    assert!(!shown.contains("sesame") && !shown.contains("s3cr3t"), "{shown}");
}

#[tokio::test]
async fn tcp_wants_a_connection_and_nothing_else() {
    for answer in [Answer::Nothing, Answer::Close] {
        let peer = peer(answer).await;
        let check = ProbeCheck::Tcp(format!("127.0.0.1:{}", peer.port));
        assert_eq!(outcome(check, CAP).await, Outcome::Passed);
    }
    let gone = gone_port().await;
    silent(&outcome(ProbeCheck::Tcp(format!("127.0.0.1:{gone}")), CAP).await, "Connection refused");
    unfit(
        &outcome(ProbeCheck::Tcp("nothing".to_owned()), CAP).await,
        "its address is not HOST:PORT",
    );
}

#[tokio::test]
async fn a_name_that_is_not_found_is_no_sign_of_a_hang() {
    let check = ProbeCheck::Tcp("no-such-host.invalid:1".to_owned());
    unfit(&outcome(check, CAP).await, "no-such-host.invalid could not be looked up");
}

#[tokio::test]
async fn redis_is_fit_when_it_answers_ping_and_its_errors_are_told() {
    let redis =
        |port: u16| ProbeCheck::Redis(Redacted::new(format!("redis://:s3cr3t@127.0.0.1:{port}/1")));
    let good = peer(Answer::AndWait(b"+OK\r\n+OK\r\n+PONG\r\n".to_vec())).await;
    assert_eq!(outcome(redis(good.port), CAP).await, Outcome::Passed);
    for (answer, words) in [
        (
            "+OK\r\n+OK\r\n-LOADING Redis is loading the dataset in memory\r\n",
            "LOADING Redis is loading",
        ),
        (
            "-WRONGPASS invalid username-password pair s3cr3t\r\n",
            "says: WRONGPASS invalid username-password pair ***",
        ),
        ("-NOAUTH Authentication required.\r\n", "NOAUTH Authentication required."),
        ("HTTP/1.1 400 Bad Request\r\n", "is no Redis"),
        ("$4\r\nPONG\r\n", "is no Redis"),
    ] {
        let peer = peer(Answer::AndWait(answer.as_bytes().to_vec())).await;
        unfit(&outcome(redis(peer.port), CAP).await, words);
    }
    let hung = peer(Answer::Nothing).await;
    silent(&outcome(redis(hung.port), SHORT).await, "does not answer PING");
    let endless = peer(Answer::Endless(b"+".to_vec(), b"x".repeat(1000))).await;
    assert!(outcome(redis(endless.port), CAP).await != Outcome::Passed);
    let half = peer(Answer::All(b"+OK\r\n+OK\r\n+PO".to_vec())).await;
    silent(
        &outcome(redis(half.port), CAP).await,
        "closes the connection instead of answering PING",
    );
    let closing = peer(Answer::Close).await;
    silent(
        &outcome(redis(closing.port), CAP).await,
        "closes the connection instead of answering PING",
    );
}

#[tokio::test]
async fn the_line_of_a_log_probe_may_be_the_first_one_ever() {
    let output = ServerOutput::new();
    let (owner, instance) = (Name::try_new("db").unwrap(), InstanceId(3));
    let write = |text: &str| output.push(&owner, instance, Written::Stdout, text);
    write("ready to accept connections (an earlier run)");
    let prober = prober(ProbeCheck::Log("ready to accept".to_owned()), SHORT);
    let watched = ProbedRun {
        output: prober.watch_output(&output, &owner, instance),
        ..ProbedRun::default()
    };
    unfit(&prober.check(&watched).await, "no line of its output contains \"ready to accept\"");
    // A check that waits notices the line at once.
    let (checked, ()) = tokio::join!(prober.check(&watched), async {
        tokio::task::yield_now().await;
        write("LOG:  database system is ready to accept connections");
    });
    assert_eq!(checked, Outcome::Passed);
    assert_eq!(prober.check(&watched).await, Outcome::Passed);
    unfit(&prober.check(&ProbedRun::default()).await, "no line of its output");
}

#[tokio::test]
async fn a_check_without_a_connection_to_the_server_says_so() {
    unfit(&outcome(ProbeCheck::Ping, CAP).await, "no connection");
}

/// Open descriptors of this process.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[tokio::test]
async fn ten_thousand_checks_leave_no_connection_and_no_thread_behind() {
    let good = peer(Answer::All(ok(r#"{"status":"ok"}"#))).await;
    let hung = peer(Answer::Nothing).await;
    let passing = prober(ProbeCheck::Http(with_status(&good, "ok")), CAP);
    let redis = Redacted::new(format!("redis://127.0.0.1:{}", hung.port));
    let hanging = prober(ProbeCheck::Redis(redis), Duration::from_millis(1));
    let run = ProbedRun::default();
    assert_eq!(passing.check(&run).await, Outcome::Passed);
    let (descriptors_before, threads_before) = (descriptors(), threads());
    for number in 0..10_000 {
        if number % 10 == 0 {
            assert!(matches!(hanging.check(&run).await, Outcome::Silent(_)));
        } else {
            assert_eq!(passing.check(&run).await, Outcome::Passed);
        }
    }
    // The peers hold their sides in this process, too, until they notice.
    let until = Instant::now() + CAP;
    while descriptors() > descriptors_before + 1_010 && Instant::now() < until {
        tokio::task::yield_now().await;
    }
    drop((good, hung));
    while descriptors() > descriptors_before && Instant::now() < until {
        tokio::task::yield_now().await;
    }
    assert!(descriptors() <= descriptors_before, "{} of {descriptors_before}", descriptors());
    assert!(threads() <= threads_before, "{} of {threads_before}", threads());
}
