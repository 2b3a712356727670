//! A daemon with demonstration servers that are built in.
use std::net::SocketAddr;

use mainstay_config::Origins;
use mainstay_demo::StdioDemo;
use mainstay_model::Name;
use mainstay_model::settings::{
    GatewaySettings, ProcessSpec, RemoteSpec, Runtime, ServerSpec, Settings,
};
use mainstay_telemetry::logs::Level;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::daemon::Daemon;
use super::{block_on, interfaces, listening, start_logs};
use crate::cli::{DemoArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::announce;

/// How many ports after the usual one are tried.
const PORTS_TRIED: u16 = 50;

/// Runs the demonstration until a signal arrives.
pub(crate) fn demo(shared: &Shared, args: &DemoArgs) -> Result<Exit, Failure> {
    let wanted = args.listen.as_deref().map(listen_address).transpose()?;
    let state = mainstay_config::state_dir(shared.state.as_deref())?;
    // Only warnings are logged, so that the suggestions stay visible.
    let (_logs, log) = start_logs(shared, Level::Warn)?;
    block_on(async {
        let stop = CancellationToken::new();
        let usual = GatewaySettings::default().listen;
        let (listen, listen_localhost) = match wanted {
            Some(wanted) => wanted,
            None => (free_port(usual).await?, false),
        };
        let (servers, weather) =
            servers(&stop).await.map_err(|error| Failure::of(Exit::Failed, &error))?;
        let settings = Settings {
            notify: Vec::new(),
            gateway: gateway(listen, listen_localhost),
            servers,
            endpoints: Vec::new(),
            services: Vec::new(),
            volumes: Vec::new(),
            externals: Vec::new(),
            checks: Vec::new(),
            state_dir: state.path,
        };
        let daemon = Daemon::start(settings, &Origins::default(), None, log).await?;
        let is_told = !shared.quiet && !shared.json;
        if is_told && wanted.is_none() && daemon.listen() != usual {
            announce(format!(
                "port {} is in use; using {} instead",
                usual.port(),
                daemon.listen().port()
            ));
        }
        if is_told {
            daemon.announce();
            if daemon.addresses.is_exposed {
                announce(
                    "Anyone who can reach these addresses can call every tool of the demonstration.",
                );
            }
            say_what_to_try(&daemon, shared);
        }
        daemon.run_to_end().await;
        stop.cancel();
        let _ = weather.await;
        Ok(Exit::Done)
    })
}

/// The address of `--listen`, and whether it is `localhost`.
fn listen_address(text: &str) -> Result<(SocketAddr, bool), Failure> {
    let port = text.strip_prefix("localhost:").and_then(|port| port.parse::<u16>().ok());
    if let Some(port) = port {
        return Ok((SocketAddr::from(([127, 0, 0, 1], port)), true));
    }
    let address = text.parse().map_err(|_| {
        let message = format!("--listen {text:?} is not an address like 127.0.0.1:8000");
        Failure::new(Exit::Usage, message)
    })?;
    Ok((address, false))
}

/// The settings of the gateway. The demonstration reads no configuration that could name hosts, so it
/// allows those of all addresses that it is told to listen on. A page in a browser that was led here by
/// its own name (DNS rebinding) sends that name, and is refused.
fn gateway(listen: SocketAddr, listen_localhost: bool) -> GatewaySettings {
    let hosts = interfaces::reached_at(listen).into_iter().map(listening::host).collect();
    GatewaySettings { listen, listen_localhost, allowed_hosts: hosts, ..GatewaySettings::default() }
}

/// Runs one of the demonstration servers on standard input and output.
pub(crate) fn demo_server(kind: &str) -> Result<Exit, Failure> {
    let kind: StdioDemo = kind.parse().map_err(|error| Failure::of(Exit::Usage, &error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(Exit::Failed, &error))?;
    let result = runtime.block_on(mainstay_demo::run_stdio(kind));
    // A blocking read of standard input can't be cancelled.
    runtime.shutdown_background();
    result?;
    Ok(Exit::Done)
}

/// Two servers that are processes, and one that is reached over HTTP.
async fn servers(
    stop: &CancellationToken,
) -> std::io::Result<(Vec<ServerSpec>, tokio::task::JoinHandle<()>)> {
    let program = std::env::current_exe()?.display().to_string();
    let mut servers = Vec::new();
    for demo in StdioDemo::ALL {
        let command = vec![program.clone(), "__demo".to_owned(), demo.name().to_owned()];
        let process = ProcessSpec { command, ..ProcessSpec::default() };
        servers.extend(spec(demo.name(), Runtime::Process(process)));
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/mcp", listener.local_addr()?);
    servers.extend(spec("weather", Runtime::Remote(RemoteSpec::new(url))));
    let stop = stop.clone();
    let weather = tokio::spawn(async move {
        if let Err(error) = mainstay_demo::serve_http(listener, stop).await {
            tracing::error!(%error, "the weather demonstration ended");
        }
    });
    Ok((servers, weather))
}

fn spec(name: &str, runtime: Runtime) -> Option<ServerSpec> {
    let mut spec = ServerSpec::new(Name::try_new(name).ok()?, runtime);
    spec.required = true;
    Some(spec)
}

/// The usual port, or the next free one.
async fn free_port(usual: SocketAddr) -> Result<SocketAddr, Failure> {
    for port in usual.port()..usual.port() + PORTS_TRIED {
        let address = SocketAddr::new(usual.ip(), port);
        if TcpListener::bind(address).await.is_ok() {
            return Ok(address);
        }
    }
    Err(Failure::new(
        Exit::Failed,
        format!("ports {} to {} are all in use", usual.port(), usual.port() + PORTS_TRIED - 1),
    )
    .hint("--listen 127.0.0.1:0 uses any free port"))
}

fn say_what_to_try(daemon: &Daemon, shared: &Shared) {
    let url = format!("http://{}", daemon.listen());
    let state =
        shared.state.as_ref().map(|dir| format!(" --state {}", dir.display())).unwrap_or_default();
    announce("");
    announce(format!("Point a client at {url}/mcp, or try, in another terminal:"));
    announce(format!("  mainstay status{state}"));
    announce(format!("  mainstay tools{state}"));
    announce(format!("  mainstay call weather forecast{state} city=Oslo days=3"));
    announce(format!(
        "  mainstay call notes add_note{state} title=hello text='from the command line'"
    ));
    announce(format!("  curl {url}/health/detailed"));
    announce("Ctrl-C stops the daemon and its servers.");
}
