//! The command line: what may be typed. Nothing here runs anything.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use mainstay_config::{Flag, Request};
use mainstay_telemetry::LogOptions;
use mainstay_telemetry::logs::Level;

mod examples;
#[cfg(test)]
mod tests;

/// One daemon between many MCP clients and many MCP servers.
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

/// What every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Shared {
    /// The configuration [default: ./mainstay.toml, else that of the user, else of the system]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The state folder, which is also the daemon's address [default: MAINSTAY_STATE, else that of
    /// the user or the system]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Answer in JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more; twice: everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Say only what is wrong or was asked for
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the daemon in the foreground until a signal
    #[command(after_help = examples::UP)]
    Up(UpArgs),
    /// Run a daemon with demonstration servers that are in this program
    #[command(after_help = examples::DEMO)]
    Demo(DemoArgs),
    /// Say everything that is wrong with the configuration, and where
    #[command(after_help = examples::CHECK)]
    Check(CheckArgs),
    /// Show what the daemon runs and how it is
    #[command(after_help = examples::STATUS)]
    Status(StatusArgs),
    /// List the tools of the servers
    #[command(after_help = examples::TOOLS)]
    Tools(ToolsArgs),
    /// Call a tool
    #[command(after_help = examples::CALL)]
    Call(CallArgs),
    /// Be the server of a client that can only start a command
    #[command(after_help = examples::CONNECT)]
    Connect(ConnectArgs),
    /// Take over the servers that a client's file or a compose file names
    #[command(after_help = examples::IMPORT)]
    Import(ImportArgs),
    /// Show what makes a client use Mainstay, or write it into the client's file
    #[command(after_help = examples::EXPORT)]
    Export(ExportArgs),
    /// Fetch ahead of time what package runners such as npx and uvx would download
    #[command(after_help = examples::FETCH)]
    Fetch(FetchArgs),
    /// Show what the programs around the daemon need to know of it
    #[command(after_help = examples::SERVICE)]
    Service(ServiceArgs),
    /// Write a configuration to begin with
    #[command(after_help = examples::INIT)]
    Init(InitArgs),
    /// Print the JSON Schema of the configuration
    #[command(after_help = examples::SCHEMA)]
    Schema,
    /// Print completions for a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Outlives a killed daemon to end what it started.
    #[command(name = "__guard", hide = true)]
    Guard { state_dir: PathBuf },
    /// Becomes a server's program, as the daemon's plan on standard input says.
    #[command(name = "__exec", hide = true)]
    Exec,
    /// Is one of the demonstration servers.
    #[command(name = "__demo", hide = true)]
    DemoServer { kind: String },
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct UpArgs {
    /// Where clients connect, in place of `gateway.listen`
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DemoArgs {
    /// Where clients connect [default: 127.0.0.1:8000, or the next free port]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Show each value in force and where it came from
    #[arg(long)]
    pub(crate) resolved: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Only this server
    pub(crate) server: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ToolsArgs {
    /// Only this server or group [default: every server]
    pub(crate) server: Option<String>,
    /// All in one list, under the names that clients of /mcp see
    #[arg(long, conflicts_with = "server")]
    pub(crate) merged: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    /// The server or group
    pub(crate) server: String,
    /// One of its tools, as `mainstay tools` lists them
    pub(crate) tool: String,
    /// An argument; the tool's schema says of which type it is
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) pairs: Vec<String>,
    /// All arguments as a JSON object; - reads it from standard input
    #[arg(long, value_name = "JSON", conflicts_with = "pairs", allow_hyphen_values = true)]
    pub(crate) args: Option<String>,
    /// Save images, audio and files of the result in this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    /// The server or group [default: every server]
    pub(crate) name: Option<String>,
    /// A daemon that is elsewhere, with or without the endpoint's path [default: the one of the
    /// state folder]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// With https, believe the certificates of this PEM file and no others [default: SSL_CERT_FILE,
    /// else those of the system]
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(crate) ca: Option<PathBuf>,
    /// Send the token in this file, read anew when it is no longer taken [default: MAINSTAY_TOKEN,
    /// else none]
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Files of clients (JSON, TOML) or compose files (YAML), told apart by what is in them
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Add the servers to the configuration, after a copy of it, and write secrets into files
    /// beside it [default: print them]
    #[arg(long)]
    pub(crate) write: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The client [default: list those that are known]
    pub(crate) client: Option<String>,
    /// Write it into the client's file, after a copy of it
    #[arg(long, requires = "client")]
    pub(crate) write: bool,
    /// Take it out of the client's file again, after a copy of it
    #[arg(long, requires = "client", conflicts_with = "write")]
    pub(crate) remove: bool,
    /// The client's file [default: its usual place]
    #[arg(long, value_name = "FILE", requires = "client")]
    pub(crate) file: Option<PathBuf>,
    /// One server or group [default: every server]
    #[arg(long, value_name = "NAME", requires = "client")]
    pub(crate) endpoint: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// Only these servers [default: every one that a package runner starts]
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
    /// Print the configuration of a program that runs beside the daemon
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The program [default: list those that are known]
    pub(crate) service: Option<ServiceKind>,
    /// The configuration of one more daemon behind the same proxy; may be given several times
    #[arg(long, value_name = "FILE", requires = "service")]
    pub(crate) with: Vec<PathBuf>,
    /// The certificate of the host, with its chain [default: where certbot puts it]
    #[arg(long, value_name = "FILE", requires = "certificate_key")]
    pub(crate) certificate: Option<PathBuf>,
    /// The key of the certificate
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) certificate_key: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServiceKind {
    Nginx,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The file to write [default: that of --config, else ./mainstay.toml]
    pub(crate) file: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long)]
    pub(crate) force: bool,
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
    /// What these flags ask of the configuration.
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

    /// What these flags ask of the log; `filter` is what `MAINSTAY_LOG` says.
    pub(crate) fn log_options(&self, filter: Option<String>, colour: bool) -> LogOptions {
        let level = match self.verbose {
            0 => Level::Info,
            1 => Level::Debug,
            _ => Level::Trace,
        };
        LogOptions { level, quiet: self.quiet, filter, colour, ..LogOptions::default() }
    }
}
