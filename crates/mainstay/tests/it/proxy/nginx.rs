//! A real nginx with its own folder and port.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpStream;

/// Longer than nginx takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Nginx {
    child: Child,
    folder: TempDir,
    address: SocketAddr,
}

// === impl Nginx ===

impl Nginx {
    /// Starts nginx with this text in its `http` block, and waits until it listens.
    pub(super) async fn start(text: &str, address: SocketAddr) -> Self {
        let folder = folder(text);
        let checked = command(folder.path()).arg("-t").output().unwrap();
        assert!(checked.status.success(), "{}\n{text}", said(&checked));
        let mut child =
            command(folder.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).await.is_err() {
            let log = super::read(&folder.path().join("error.log"));
            assert!(child.try_wait().unwrap().is_none(), "nginx has ended:\n{log}");
            assert!(Instant::now() < deadline, "nginx does not listen on {address}:\n{log}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { child, folder, address }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    fn log(&self) -> String {
        super::read(&self.folder.path().join("error.log"))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of nginx\n{}", self.log());
        }
    }
}

/// Returns the verdict of `nginx -t` on a text in its `http` block.
pub(super) fn check(text: &str) -> Output {
    let folder = folder(text);
    command(folder.path()).arg("-t").output().unwrap()
}

pub(super) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Creates a folder with a configuration around a text: one process, and every file in the folder.
fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("    {kind}_temp_path {kind};\n"))
        .collect();
    let config = format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log error.log;\n\
         events {{\n    worker_connections 256;\n}}\n\
         http {{\n    access_log off;\n{temporary}    include mainstay.conf;\n}}\n"
    );
    std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
    std::fs::write(folder.path().join("mainstay.conf"), text).unwrap();
    folder
}

fn command(folder: &Path) -> Command {
    // Debian installs nginx in a folder that only root's PATH contains.
    let program = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"]
        .into_iter()
        .find(|program| Path::new(program).exists())
        .unwrap_or("nginx");
    let found = Command::new(program).arg("-v").stderr(Stdio::null()).status();
    assert!(
        found.is_ok_and(|status| status.success()),
        "these tests need nginx, and it is not here: `make nginx` installs it"
    );
    let mut command = Command::new(program);
    command.arg("-p").arg(folder).args(["-c", "nginx.conf"]);
    command.arg("-e").arg(folder.join("error.log")).stdin(Stdio::null());
    command
}
