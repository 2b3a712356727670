//! Faults, and what is left of a session after them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::seen::Seen;
use crate::client::{Connection, Session};
use crate::procfs;
use crate::run::context::Context;
use crate::run::kind::{Kind, Upstream};
use crate::run::process::{LOOK, signal};
use crate::run::results::Fact;
use crate::run::setup::Setup;

pub(super) const HUNG: &str = "hung";
/// Five seconds more than the deadline a call is supposed to meet.
const HUNG_LIMIT: Duration = Duration::from_secs(35);
/// A session that works no more after this is called dead.
const DEAD: Duration = Duration::from_secs(10);
/// A session is expected back within this.
const BACK: Duration = Duration::from_secs(1);
const ATTEMPT: Duration = Duration::from_secs(2);
/// The length of the call at TERM, and when TERM is sent.
const LAST_CALL_MS: u64 = 1_500;
const TERM_AFTER: Duration = Duration::from_millis(300);

/// The shared child dies by a signal: when does the same session work again?
pub(super) async fn killed_child(context: &Context, setup: &Setup) -> Result<Seen> {
    let (mut connection, session) = setup.open().await?;
    call_echo(&session, &mut connection).await?;
    let children = procfs::running(&context.programs.bench, &["echo-stdio", &setup.mark]);
    ensure!(!children.is_empty(), "no child to kill");
    for pid in children {
        signal(pid, Signal::KILL)?;
    }
    Ok(recovery("killed-child", setup, &session).await)
}

/// The server behind is replaced by one that knows no session.
pub(super) async fn http_restart(context: &Context, setup: &mut Setup) -> Result<Seen> {
    let (mut connection, session) = setup.open().await?;
    call_echo(&session, &mut connection).await?;
    setup.restart_server(&context.programs).await?;
    Ok(recovery("http-restart", setup, &session).await)
}

/// TERM while a call is in flight: is it answered?
pub(super) async fn term(setup: &mut Setup) -> Result<Seen> {
    let (mut connection, session) = setup.open().await?;
    let arguments = format!(r#"{{"ms":{LAST_CALL_MS},"text":"last words"}}"#);
    let call = tokio::spawn(async move { session.call(&mut connection, "slow", &arguments).await });
    tokio::time::sleep(TERM_AFTER).await;
    let proxy = setup.proxy.as_mut().context("no process to end")?;
    proxy.terminate()?;
    let outcome = tokio::time::timeout(DEAD, call).await;
    let ended = proxy.ended(DEAD).await.map_or("does not end in 10 s", |_| "ends");
    Ok(match outcome {
        Ok(Ok(Ok((200, text)))) if text.contains("last words") => {
            Seen::new("term", format!("answered, {ended}"), None, ended == "ends")
        }
        Ok(Ok(Ok((status, _)))) => {
            Seen::new("term", format!("an error (status {status}), {ended}"), None, false)
        }
        Ok(_) => Seen::new("term", format!("cut off, {ended}"), None, false),
        Err(_) => Seen::new("term", format!("no answer in 10 s, {ended}"), None, false),
    })
}

/// A page of another origin knocks, as in DNS rebinding.
pub(super) async fn origin(setup: &Setup) -> Result<Seen> {
    let mut connection = Connection::open(setup.target.address).await?;
    let request = Session::handshake(&setup.target, "Origin: http://evil.example\r\n");
    let status = connection.exchange(&request).await?.status;
    let text = if status < 300 { format!("accepted ({status})") } else { status.to_string() };
    Ok(Seen::new("origin", text, Some(f64::from(status)), status == 403))
}

/// A tool never answers: all targets wait side by side, for waiting costs no CPU.
pub(super) async fn hung(context: &Context) -> Vec<Fact> {
    let mut waiting = Vec::new();
    let mut facts = Vec::new();
    for kind in context.kinds().into_iter().filter(|kind| kind.has_manners()) {
        eprintln!("{HUNG}: {}", kind.title());
        match begin_hung(context, kind).await {
            Ok((setup, call)) => waiting.push((kind, setup, call)),
            Err(error) => facts.push(Seen::failed(HUNG, &format!("{error:#}")).of(kind)),
        }
    }
    for (kind, setup, call) in waiting {
        let seen = match call.await {
            Ok(Ok((after, Ok((status, text))))) => {
                let error = text.contains(r#""error""#);
                let text = format!(
                    "{} after {:.1} s",
                    if error { "an error" } else { "an answer" },
                    after.as_secs_f64()
                );
                Seen::new(HUNG, text, Some(after.as_secs_f64()), error && status == 200)
            }
            Ok(Ok((after, Err(_)))) => {
                Seen::new(HUNG, format!("cut off after {:.1} s", after.as_secs_f64()), None, false)
            }
            Ok(Err(_)) | Err(_) => {
                Seen::new(HUNG, format!("> {} s", HUNG_LIMIT.as_secs()), None, false)
            }
        };
        facts.push(seen.of(kind));
        setup.stop().await;
    }
    facts
}

type HungCall = tokio::task::JoinHandle<
    Result<(Duration, std::io::Result<(u16, String)>), tokio::time::error::Elapsed>,
>;

async fn begin_hung(context: &Context, kind: Kind) -> Result<(Setup, HungCall)> {
    let upstream = kind.first_of([Upstream::Stdio, Upstream::Http]);
    let setup = Setup::start(&context.programs, kind, upstream).await?;
    let (mut connection, session) = setup.open().await?;
    // Bounded in itself; a run that ends early ends the runtime and the task with it.
    let call = tokio::spawn(tokio::time::timeout(HUNG_LIMIT, async move {
        let begun = Instant::now();
        let outcome = session.call(&mut connection, "hang", "{}").await;
        (begun.elapsed(), outcome)
    }));
    Ok((setup, call))
}

async fn recovery(name: &'static str, setup: &Setup, session: &Session) -> Seen {
    let begun = Instant::now();
    while begun.elapsed() < DEAD {
        if attempt(setup, Some(session)).await {
            let after = begun.elapsed();
            let text = format!("same session after {:.3} s", after.as_secs_f64());
            return Seen::new(name, text, Some(after.as_secs_f64()), after < BACK);
        }
        tokio::time::sleep(LOOK).await;
    }
    let text = if attempt(setup, None).await {
        "session dead, a new one works"
    } else {
        "dead, new sessions too"
    };
    Seen::new(name, text, None, false)
}

/// Makes a call over a new connection, in the given session or a new one.
async fn attempt(setup: &Setup, session: Option<&Session>) -> bool {
    let call = async {
        let mut connection = Connection::open(setup.target.address).await?;
        match session {
            Some(session) => call_echo(session, &mut connection).await,
            None => {
                call_echo(&Session::open(&setup.target, &mut connection).await?, &mut connection)
                    .await
            }
        }
    };
    matches!(tokio::time::timeout(ATTEMPT, call).await, Ok(Ok(())))
}

async fn call_echo(session: &Session, connection: &mut Connection) -> Result<()> {
    let (status, text) = session.call(connection, "echo", r#"{"text":"still there"}"#).await?;
    ensure!(status == 200 && text.contains("still there"), "status {status}: {text}");
    Ok(())
}
