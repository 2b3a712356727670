//! The arguments of the commands that run the daemon, show it, and start and stop what it runs.

use std::convert::Infallible;
use std::time::Duration;

use clap::{Args, Subcommand};
use mainstay_admin::api::verify::TIMEOUT_MS_MAX;
use mainstay_model::Need;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct UpArgs {
    /// Accept clients at this address, instead of `gateway.listen`
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Run in the background: return when clients can connect, and write the log to daemon.log in the state
    /// folder
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Run in the background, and return when everything is ready; with exit code 1 if it is not after
    /// this time [default: 3m]
    #[arg(
        long,
        value_name = "TIMEOUT",
        num_args = 0..=1,
        default_missing_value = "3m",
        value_parser = duration
    )]
    pub(crate) wait: Option<Duration>,
    /// Set by `--detach` for the process that it starts.
    #[arg(long, hide = true)]
    pub(crate) detached: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Show only this server, group, service, volume or external
    pub(crate) server: Option<String>,
    /// Print the state of the daemon in one word, and exit with 1 if it takes no clients: for health
    /// checks
    #[arg(long, conflicts_with = "server")]
    pub(crate) healthy: bool,
    /// Show it until Ctrl-C, again at each change; with --json, one line for each change
    #[arg(short, long, conflicts_with_all = ["healthy", "server"])]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// Print it in the language of Mermaid diagrams
    #[arg(long)]
    pub(crate) mermaid: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// The servers and services to stop, until `mainstay start` [default: the daemon]
    #[arg(value_name = "NAME", value_parser = bare_name)]
    pub(crate) names: Vec<String>,
    /// Print what would happen, and stop nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NodesArgs {
    /// The servers and services
    #[arg(value_name = "NAME", value_parser = bare_name)]
    pub(crate) names: Vec<String>,
    /// Print what would happen, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RestartArgs {
    #[command(flatten)]
    pub(crate) nodes: NodesArgs,
    /// Return when the start is under way, without the checks of `mainstay verify`
    #[arg(long)]
    pub(crate) no_verify: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BreakerArgs {
    #[command(subcommand)]
    pub(crate) command: BreakerCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BreakerCommand {
    /// List the circuit breakers of servers, services and externals
    List,
    /// Close circuit breakers: calls pass again at once
    Reset(ResetArgs),
}

#[derive(Debug, Args)]
#[command(
    override_usage = "mainstay breaker reset [OPTIONS] <NAME>...\n       mainstay breaker reset [OPTIONS] --all"
)]
pub(crate) struct ResetArgs {
    /// The servers, services and externals
    #[arg(value_name = "NAME", required_unless_present = "all", value_parser = bare_name)]
    pub(crate) names: Vec<String>,
    /// All of them
    #[arg(long, conflicts_with = "names")]
    pub(crate) all: bool,
    /// Print what would happen, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Servers, services and externals, with all checks about them, and single checks by their names
    /// [default: everything]
    #[arg(value_name = "NAME", value_parser = bare_name)]
    pub(crate) names: Vec<String>,
    /// The time limit for all checks together; each has its own, too [default: 2m]
    #[arg(long, value_name = "TIME", value_parser = verify_time)]
    pub(crate) timeout: Option<Duration>,
}

fn verify_time(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    let most = Duration::from_millis(TIMEOUT_MS_MAX);
    match time.is_zero() || time > most {
        true => Err("it may be up to 1h, and not zero".to_owned()),
        false => Ok(time),
    }
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {}

#[derive(Debug, Args)]
pub(crate) struct ReloadArgs {
    /// Print what would change, as `mainstay diff` does, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Return when the reload is under way
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Return with exit code 1 if the reload has not ended after this time; it goes on
    #[arg(long, value_name = "TIMEOUT", value_parser = duration, conflicts_with = "no_wait")]
    pub(crate) timeout: Option<Duration>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = mainstay_config::parse_duration(text);
    duration.ok_or_else(|| "write a duration such as 90s or 5m".to_owned())
}

/// A name, also in the form `kind:name`, as Mainstay prints it. Names are unique over all kinds.
fn bare_name(text: &str) -> Result<String, Infallible> {
    Ok(text.parse::<Need>().map_or_else(|_| text.to_owned(), |need| need.name.to_string()))
}
