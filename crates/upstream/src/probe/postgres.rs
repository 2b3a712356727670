//! The probe `postgres`: it answers a query.

use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use mainstay_model::settings::PostgresCheck;
use mainstay_supervisor::probe::Outcome;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};
use tokio_util::either::Either;
use url::Url;

use super::address::{Address, ProbeStream, TlsPeer, is_about_tls, no_descriptor};
use super::late::Late;

/// A query, and the database that it is for.
pub(super) struct PostgresProbe {
    config: Config,
    place: Place,
    query: String,
}

/// Where a PostgreSQL listens.
enum Place {
    Address(Address, TlsUse),
    Socket(PathBuf),
}

/// `sslmode`, with the meaning that it has for other clients.
enum TlsUse {
    /// `disable`
    Never,
    /// `prefer`, the default: if the server offers it. Its certificate is not checked.
    Offered(TlsPeer),
    /// `require`, whose certificate is not checked either, and `verify-full`.
    Always(TlsPeer),
}

const DEFAULT_PORT: u16 = 5432;
/// What a client sends first to ask for TLS: its length, and a number that is no version.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// Longest wait for the end of a connection that was said goodbye to.
const GOODBYE: Duration = Duration::from_millis(200);

// === impl PostgresProbe ===

impl PostgresProbe {
    /// # Errors
    /// Says why the URL can't be used, without repeating it.
    pub(super) fn new(check: &PostgresCheck) -> Result<Self, String> {
        let (url, mode) = without_tls_mode(check.url.expose())?;
        let mut config: Config = url
            .parse()
            .map_err(|error| format!("its url can't be used: {}", root_cause(&error)))?;
        if config.get_application_name().is_none() {
            config.application_name("mainstay");
        }
        let port = config.get_ports().first().copied().unwrap_or(DEFAULT_PORT);
        let place = match config.get_hosts() {
            [Host::Unix(folder)] => Place::Socket(folder.join(format!(".s.PGSQL.{port}"))),
            [Host::Tcp(host)] => Place::Address(Address::new(host, port), tls_use(&mode, host)?),
            [] => return Err("its url has no host".to_owned()),
            [_, ..] => return Err("its url has more than one host".to_owned()),
        };
        let query = if check.query.is_empty() { "SELECT 1" } else { &check.query };
        Ok(Self { config, place, query: query.to_owned() })
    }

    /// # Errors
    /// The outcome, if the query is not answered, or with an error.
    pub(super) async fn check(&self, late: &Late) -> Result<(), Outcome> {
        let stream = match &self.place {
            Place::Address(address, tls) => Either::Left(self.connect(address, tls, late).await?),
            Place::Socket(path) => {
                late.is_silence(&format!("{self} does not accept the connection"));
                let stream = UnixStream::connect(path).await;
                Either::Right(stream.map_err(|error| self.not_connected(&error))?)
            }
        };
        late.is_silence(&format!("{self} accepts the connection and does not answer"));
        let opened = self.config.connect_raw(stream, NoTls).await;
        let (client, connection) = opened.map_err(|error| self.failed(&error))?;
        let mut connection = pin!(connection);
        let answered = {
            let mut asking = pin!(self.ask(&client, late));
            tokio::select! {
                biased;
                answered = &mut asking => answered,
                // The client learns why.
                _ = &mut connection => asking.await,
            }
        };
        // Otherwise PostgreSQL writes to its log that a client has gone.
        drop(client);
        let _ = timeout(GOODBYE, connection).await;
        answered.map_err(|error| self.failed(&error))
    }

    /// Sends the query, in a transaction whose time is limited at the server, too: a query that waits for a
    /// lock would go on there after the check was given up, and take connections from others.
    async fn ask(&self, client: &Client, late: &Late) -> Result<(), tokio_postgres::Error> {
        let limit = (late.timeout() * 4 / 5).as_millis().max(1);
        client.batch_execute(&format!("BEGIN; SET LOCAL statement_timeout = {limit}")).await?;
        late.is_silence(&format!("{self} does not answer the query"));
        // Rows are dropped as they come.
        let rows = client.simple_query_raw(&self.query).await?;
        let mut rows = pin!(rows);
        while rows.try_next().await?.is_some() {}
        client.batch_execute("COMMIT").await
    }

    async fn connect(
        &self,
        address: &Address,
        tls: &TlsUse,
        late: &Late,
    ) -> Result<ProbeStream, Outcome> {
        let mut stream = address.connect(late).await?;
        let (tls, must) = match tls {
            TlsUse::Never => return Ok(Either::Left(stream)),
            TlsUse::Offered(tls) => (tls, false),
            TlsUse::Always(tls) => (tls, true),
        };
        late.is_silence(&format!("{self} accepts the connection and does not answer"));
        let offer = offer(&mut stream).await.map_err(|error| self.closed(&error.to_string()))?;
        match offer {
            b'S' => tls.connect(stream, address, late).await.map(Either::Right),
            b'N' if !must => Ok(Either::Left(stream)),
            b'N' => Err(Outcome::unfit(
                format!("{self} offers no TLS, which `sslmode` demands"),
                "its probe got no TLS connection",
            )),
            _ => Err(self.no_postgres()),
        }
    }

    fn failed(&self, error: &tokio_postgres::Error) -> Outcome {
        if let Some(error) = error.as_db_error() {
            return Outcome::unfit(
                format!("{self} says: {} ({})", error.message(), error.code().code()),
                "its probe got an error of PostgreSQL",
            );
        }
        let cause = root_cause(error);
        if let Some(io) = io_error(error) {
            return match is_about_tls(io) {
                true => self.no_postgres(),
                false => self.closed(&cause),
            };
        }
        if error.is_closed() {
            return self.closed(&cause);
        }
        let reason = format!("{self} can't be asked: {error}: {cause}");
        Outcome::unfit(reason, "its probe got an answer that is not of PostgreSQL")
    }

    fn no_postgres(&self) -> Outcome {
        Outcome::unfit(
            format!("what answers at {self} is no PostgreSQL"),
            "its probe got an answer that is not of PostgreSQL",
        )
    }

    fn not_connected(&self, error: &std::io::Error) -> Outcome {
        no_descriptor(error).unwrap_or_else(|| {
            let reason = format!("no connection to {self}: {error}");
            Outcome::silent(reason, "its probe got no connection")
        })
    }

    fn closed(&self, why: &str) -> Outcome {
        let reason = format!("{self} closes the connection instead of answering: {why}");
        Outcome::silent(reason, "its probe got no answer")
    }
}

impl std::fmt::Display for PostgresProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::Address(address, _) => write!(f, "the PostgreSQL at {address}"),
            Place::Socket(path) => write!(f, "the PostgreSQL at {}", path.display()),
        }
    }
}

impl std::fmt::Debug for PostgresProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresProbe({self})")
    }
}

/// Asks a server for TLS; its answer is one byte.
async fn offer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<u8> {
    stream.write_all(&TLS_REQUEST).await?;
    stream.read_u8().await
}

/// The URL without `sslmode`, and that.
fn without_tls_mode(url: &str) -> Result<(String, String), String> {
    let mut url = Url::parse(url).map_err(|error| format!("its url is no URL: {error}"))?;
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let mode = pairs.iter().find(|(name, _)| name == "sslmode");
    let mode = mode.map_or_else(|| "prefer".to_owned(), |(_, mode)| mode.clone());
    let rest: Vec<_> = pairs.iter().filter(|(name, _)| name != "sslmode").collect();
    match rest.is_empty() {
        true => url.set_query(None),
        false => drop(url.query_pairs_mut().clear().extend_pairs(rest)),
    }
    Ok((url.into(), mode))
}

fn tls_use(mode: &str, host: &str) -> Result<TlsUse, String> {
    let unchecked = || {
        let config = crate::tls::unchecked().map_err(|_| "TLS can't be set up".to_owned())?;
        TlsPeer::new(host, config)
    };
    Ok(match mode {
        "disable" => TlsUse::Never,
        "allow" | "prefer" => TlsUse::Offered(unchecked()?),
        "require" => TlsUse::Always(unchecked()?),
        "verify-ca" | "verify-full" => TlsUse::Always(TlsPeer::checked(host)?),
        _ => {
            return Err(
                "the `sslmode` of its url is none of disable, prefer, require, verify-full"
                    .to_owned(),
            );
        }
    })
}

/// The innermost cause of an error, which says most.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn io_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a std::io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use mainstay_model::Redacted;
    use mainstay_model::settings::PostgresCheck;

    use super::{Place, PostgresProbe, TlsUse};

    fn probe(url: &str) -> Result<PostgresProbe, String> {
        let (url, query) = (Redacted::new(url.to_owned()), String::new());
        PostgresProbe::new(&PostgresCheck { url, query })
    }

    #[test]
    fn a_url_says_where_it_is_and_whether_tls_is_used() {
        for (url, shown, tls) in [
            ("postgres://app:s3cr3t@db.example/main", "db.example:5432", "offered"),
            ("postgresql://app@[::1]:6000/main?sslmode=disable", "[::1]:6000", "never"),
            ("postgres://app@db/main?sslmode=require&connect_timeout=3", "db:5432", "always"),
            ("postgres://app@db/main?connect_timeout=3&sslmode=verify-full", "db:5432", "always"),
            ("postgres://app@%2Frun%2Fpostgresql/main", "/run/postgresql/.s.PGSQL.5432", ""),
            ("postgres:///main?host=/tmp&port=7000&user=app", "/tmp/.s.PGSQL.7000", ""),
        ] {
            let probe = probe(url).unwrap();
            assert_eq!(format!("{probe:?}"), format!("PostgresProbe(the PostgreSQL at {shown})"));
            assert_eq!(probe.query, "SELECT 1");
            let used = match probe.place {
                Place::Socket(_) => "",
                Place::Address(_, TlsUse::Never) => "never",
                Place::Address(_, TlsUse::Offered(_)) => "offered",
                Place::Address(_, TlsUse::Always(_)) => "always",
            };
            assert_eq!(used, tls, "{url}");
        }
        for url in [
            "db:5432/main-s3cr3t",
            "postgres://app:s3cr3t@db/main?sslmode=s3cr3t",
            "postgres://app:s3cr3t@db/main?schema=s3cr3t",
            "mysql://app:s3cr3t@db/main",
            "s3cr3t",
        ] {
            let error = probe(url).unwrap_err();
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }
}
