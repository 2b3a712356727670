//! The command line: its commands, arguments and help texts. Nothing here runs anything.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use mainstay_config::{Flag, Request};
use mainstay_telemetry::LogOptions;
use mainstay_telemetry::logs::{Format, Level};

mod daemon;
mod examples;
pub(crate) mod shell;
#[cfg(test)]
mod tests;
pub(crate) mod wrong;

pub(crate) use daemon::{
    BreakerArgs, BreakerCommand, DiffArgs, GraphArgs, NodesArgs, ReloadArgs, ResetArgs,
    RestartArgs, StatusArgs, StopArgs, UpArgs, VerifyArgs,
};

/// Run MCP servers and the services they need: one daemon starts, watches and shares them
#[derive(Debug, Parser)]
#[command(
    name = "mainstay",
    version,
    arg_required_else_help = true,
    after_help = examples::MAIN,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) shared: Shared,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The options that every command accepts.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Shared {
    /// Read the configuration from this file [default: ./mainstay.toml, else the user's, else the
    /// system's]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Use this state folder; commands reach the daemon through it [default: MAINSTAY_STATE, else
    /// the user's or the system's]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log debug messages; given twice, log everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Print only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the daemon until it receives a signal, in the foreground or in the background
    #[command(after_help = examples::UP)]
    Up(UpArgs),
    /// Run a daemon with built-in demonstration servers, to try it out
    #[command(after_help = examples::DEMO)]
    Demo(DemoArgs),
    /// Check the configuration and list every problem with its line
    #[command(after_help = examples::CHECK)]
    Check(CheckArgs),
    /// Show the state of the daemon, its servers and services, and what they need
    #[command(after_help = examples::STATUS)]
    Status(StatusArgs),
    /// Show what needs what, and who waits for whom
    #[command(after_help = examples::GRAPH)]
    Graph(GraphArgs),
    /// Start servers and services that were stopped by hand, or that wait for their next attempt
    #[command(after_help = examples::START)]
    Start(NodesArgs),
    /// Stop the daemon, or servers and services by their names, after calls in flight have finished
    #[command(after_help = examples::STOP)]
    Stop(StopArgs),
    /// Stop servers and services after calls in flight have finished, and start them again
    #[command(after_help = examples::RESTART)]
    Restart(RestartArgs),
    /// List circuit breakers, or close them by hand
    #[command(after_help = examples::BREAKER)]
    Breaker(BreakerArgs),
    /// Check that the stack works: servers, services, what they need, and the checks of the configuration
    #[command(after_help = examples::VERIFY)]
    Verify(VerifyArgs),
    /// Show what a running daemon would change to follow its configuration file
    #[command(after_help = examples::DIFF)]
    Diff(DiffArgs),
    /// Have the daemon read its configuration again and change what differs; sessions go on
    #[command(after_help = examples::RELOAD)]
    Reload(ReloadArgs),
    /// Show what servers wrote to standard error, and services to standard error and standard output
    #[command(after_help = examples::LOGS)]
    Logs(LogsArgs),
    /// Show what changed: servers that failed, crash-looped or came back, starts of the daemon
    #[command(after_help = examples::EVENTS)]
    Events(EventsArgs),
    /// Change what the daemon logs, until it ends
    #[command(after_help = examples::LOG_LEVEL)]
    LogLevel(LogLevelArgs),
    /// List the tools of all servers, of one server or of a group, or show one tool
    #[command(after_help = examples::TOOLS)]
    Tools(ToolsArgs),
    /// Call a tool and print its result
    #[command(after_help = examples::CALL)]
    Call(CallArgs),
    /// Bridge standard input and output to the daemon, for clients that can only start a command
    #[command(after_help = examples::CONNECT)]
    Connect(ConnectArgs),
    /// Add a server to the configuration file; comments and format stay
    #[command(after_help = examples::ADD)]
    Add(AddArgs),
    /// Remove a server, a group, a service, a volume or an external from the configuration file
    #[command(after_help = examples::REMOVE)]
    Remove(RemoveArgs),
    /// Import servers from the file of an MCP client or from a compose file
    #[command(after_help = examples::IMPORT)]
    Import(ImportArgs),
    /// Print or install a client's configuration, so that the client uses Mainstay
    #[command(after_help = examples::EXPORT)]
    Export(ExportArgs),
    /// Install the packages of npx and uvx servers in advance, so that they start offline
    #[command(after_help = examples::FETCH)]
    Fetch(FetchArgs),
    /// Print a systemd unit, a compose file or an nginx configuration for the daemon
    #[command(after_help = examples::SERVICE)]
    Service(ServiceArgs),
    /// Print the token for the admin API
    #[command(after_help = examples::TOKEN)]
    Token(TokenArgs),
    /// Write a first configuration
    #[command(after_help = examples::INIT)]
    Init(InitArgs),
    /// Print the JSON Schema of the configuration
    #[command(after_help = examples::SCHEMA)]
    Schema,
    /// Print a completion script for a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Waits for the daemon to end, then ends the processes that it left behind.
    #[command(name = "__guard", hide = true)]
    Guard { state_dir: PathBuf },
    /// Replaces itself with a server's program, following the plan on standard input.
    #[command(name = "__exec", hide = true)]
    Exec,
    /// Runs one of the demonstration servers.
    #[command(name = "__demo", hide = true)]
    DemoServer { kind: String },
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DemoArgs {
    /// Accept clients at this address [default: 127.0.0.1:8000, or the next free port]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Check this file, as with --config
    pub(crate) file: Option<PathBuf>,
    /// Print every value in force and where it comes from
    #[arg(long)]
    pub(crate) resolved: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Show only what this server or service wrote [default: all]
    #[arg(value_name = "NAME")]
    pub(crate) server: Option<String>,
    /// Follow: print new lines as they are written, until the daemon ends
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Show only what was written since: a duration such as 1h, or a time such as
    /// 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Show only events of this server, service or external [default: of all, and of the daemon]
    pub(crate) name: Option<String>,
    /// Follow: print new events as they happen, until the daemon ends
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Show everything since: a duration such as 1h, or a time such as 2026-01-31T12:00:00Z
    /// [default: the newest 100 events]
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LogLevelArgs {
    /// The least severe messages to log
    pub(crate) level: LogLevel,
    /// Print what would happen, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// Only errors
    Error,
    /// Warnings too
    Warn,
    /// What happens to servers and clients too; the usual level
    Info,
    /// Debug messages too
    Debug,
    /// Trace messages too
    Trace,
    /// What the daemon was started with: its flags and MAINSTAY_LOG
    Initial,
}

#[derive(Debug, Args)]
pub(crate) struct ToolsArgs {
    /// List only this server or group [default: every server]
    pub(crate) server: Option<String>,
    /// Show everything about this tool: its description, its arguments, and a call that works
    pub(crate) tool: Option<String>,
    /// List all tools in one table, under the names that clients of /mcp see
    #[arg(long, conflicts_with = "server")]
    pub(crate) merged: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    /// The server or group that has the tool
    pub(crate) server: String,
    /// The tool, as `mainstay tools` lists it
    pub(crate) tool: String,
    /// Arguments of the tool; its schema determines the type of each value
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) pairs: Vec<String>,
    /// All arguments as one JSON object; - reads it from standard input, at most 4 MiB
    #[arg(long, value_name = "JSON", conflicts_with = "pairs", allow_hyphen_values = true)]
    pub(crate) args: Option<String>,
    /// Save images, audio and files of the result in this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    /// Connect to this server or group [default: every server]
    pub(crate) name: Option<String>,
    /// Connect to the daemon at this address, with or without /mcp or /mcp/NAME [default: the
    /// daemon of the state folder]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Trust only the certificates in this PEM file, for https [default: SSL_CERT_FILE, else the
    /// system's]
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(crate) ca: Option<PathBuf>,
    /// Send the bearer token in this file; it is read again when the daemon refuses it [default:
    /// MAINSTAY_TOKEN, else none]
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The name of the server
    pub(crate) name: String,
    /// The address of a server that runs already
    #[arg(conflicts_with = "command")]
    pub(crate) url: Option<String>,
    /// A variable for the command; without a value, it comes from the daemon's environment. May be
    /// repeated
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(crate) env: Vec<String>,
    /// A header for the address, as in 'Authorization: Bearer ${TOKEN}'; may be repeated
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,
    /// The working folder of the command
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,
    /// Print the difference, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The program that speaks MCP over standard input and output, and its arguments
    #[arg(last = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The server, group, service, volume or external
    pub(crate) name: String,
    /// Print the difference, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Names of clients such as `cursor`, files of MCP clients (JSON, TOML), or compose files (YAML);
    /// the content of a file decides
    #[arg(required = true, value_name = "CLIENT|FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Add the servers to the configuration, after a backup, and write secrets into files beside it
    /// [default: print them]
    #[arg(long)]
    pub(crate) write: bool,
    /// Print what --write would do, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The client to connect [default: list the known clients]
    pub(crate) client: Option<String>,
    /// Write into the client's file, after a backup
    #[arg(long, requires = "client")]
    pub(crate) write: bool,
    /// Also remove the client's own entries for servers that Mainstay serves
    #[arg(long, requires = "write")]
    pub(crate) replace: bool,
    /// Remove Mainstay from the client's file, after a backup
    #[arg(long, requires = "client", conflicts_with = "write")]
    pub(crate) remove: bool,
    /// Print what would be done, and write nothing
    #[arg(long, requires = "client")]
    pub(crate) dry_run: bool,
    /// Use this file of the client [default: where the client has it]
    #[arg(long, value_name = "FILE", requires = "client")]
    pub(crate) file: Option<PathBuf>,
    /// Use the client's file in the current folder, which is that of a project
    #[arg(long, requires = "client", conflicts_with = "file")]
    pub(crate) project: bool,
    /// Let the client start `mainstay connect`, which outlasts restarts of the daemon [default: only for
    /// clients that can't connect to an address]
    #[arg(long, requires = "client", conflicts_with = "remove")]
    pub(crate) stdio: bool,
    /// Connect the client to this server or group [default: every server]
    #[arg(long, value_name = "NAME", requires = "client")]
    pub(crate) endpoint: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// Install only for these servers [default: every server that a package runner starts]
    #[arg(value_name = "SERVER")]
    pub(crate) servers: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ServiceArgs {
    #[command(subcommand)]
    pub(crate) command: ServiceCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Print the configuration of a program that runs the daemon, or of a proxy in front of it
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The program to configure [default: list the known programs]
    pub(crate) service: Option<ServiceKind>,
    /// systemd: print a unit of the system, instead of one of your own user [default for root]
    #[arg(long, requires = "service")]
    pub(crate) system: bool,
    /// nginx: include the daemon of this configuration behind the same proxy; may be repeated
    #[arg(long, value_name = "FILE", requires = "service")]
    pub(crate) with: Vec<PathBuf>,
    /// nginx: use this TLS certificate, with its chain [default: certbot's]
    #[arg(long, value_name = "FILE", requires = "certificate_key")]
    pub(crate) certificate: Option<PathBuf>,
    /// nginx: the private key of the certificate
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) certificate_key: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServiceKind {
    /// A unit that runs the daemon as a service
    Systemd,
    /// A compose file that runs the daemon in a container
    Compose,
    /// A configuration of nginx in front of one or several daemons
    Nginx,
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// Print the token that can only read: health, numbers and lists
    #[arg(long)]
    pub(crate) read: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The file to write [default: that of --config, else ./mainstay.toml]
    pub(crate) file: Option<PathBuf>,
    /// Take over the servers of this client, or of a file that `mainstay import` reads [default:
    /// one demonstration server]
    #[arg(long, value_name = "CLIENT|FILE")]
    pub(crate) from: Option<PathBuf>,
    /// Overwrite a file that exists
    #[arg(long)]
    pub(crate) force: bool,
    /// Print what would be written, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    pub(crate) shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

// === impl Shared ===

impl Shared {
    /// The flags as a request to load the configuration.
    pub(crate) fn request(&self, listen: Option<&str>) -> Request {
        let listen = listen.map(|value| Flag {
            flag: "--listen".to_owned(),
            key: "gateway.listen".to_owned(),
            value: value.to_owned(),
        });
        Request {
            config: self.config.clone(),
            state: self.state.clone(),
            flags: listen.into_iter().collect(),
        }
    }

    /// The flags that choose the daemon, as they are typed after another command, with a blank before each.
    pub(crate) fn repeated(&self) -> String {
        let flag = |(name, path): (&str, &Option<PathBuf>)| {
            let path = path.as_ref()?.to_string_lossy();
            Some(format!(" {name} {}", shell::quoted(&path)))
        };
        [("--config", &self.config), ("--state", &self.state)]
            .into_iter()
            .filter_map(flag)
            .collect()
    }

    /// The flags as log options. `usual`: the level without any; `filter`: the value of `MAINSTAY_LOG`.
    pub(crate) fn log_options(
        &self,
        usual: Level,
        filter: Option<String>,
        colour: bool,
    ) -> LogOptions {
        let level = match self.verbose {
            0 => usual,
            1 => Level::Debug,
            _ => Level::Trace,
        };
        let format = if self.json { Format::Json } else { Format::Auto };
        LogOptions { format, level, quiet: self.quiet, filter, colour }
    }
}
