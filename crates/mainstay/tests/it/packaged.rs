//! What `make dist` makes: a program that the C library is linked into, in an archive and in an image.

mod proof;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use mainstay_testkit::NameServer;
use tempfile::TempDir;

/// A name that only the server of a test knows.
const FAR: &str = "far.mainstay.test";

/// A folder that a program can be confined to. It has `/etc/resolv.conf` and nothing else.
struct Bare {
    folder: TempDir,
    _names: NameServer,
}

// === impl Bare ===

impl Bare {
    /// Makes the folder. None where this user may not confine programs, which is said on standard error.
    fn try_new() -> Option<Self> {
        if !rustix::process::getuid().is_root() {
            let _ =
                writeln!(std::io::stderr(), "SKIPPED: only root can confine a program to a folder");
            return None;
        }
        let names = NameServer::try_start(&[FAR])?;
        let folder = tempfile::Builder::new().prefix("mainstay-bare-").tempdir().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        fs::write(folder.path().join("etc/resolv.conf"), names.resolv_conf()).unwrap();
        Some(Self { folder, _names: names })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A program of the folder, confined to it.
    fn command(&self, arguments: &[&str]) -> Command {
        let folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(Path::new);
        let folder = folders.into_iter().find(|folder| folder.join("chroot").exists());
        let mut command = Command::new(folder.expect("chroot is installed").join("chroot"));
        command.env_clear().arg(self.path()).args(arguments);
        command
    }
}

/// Looks up each of its arguments, after `plain` without what Mainstay does first.
const PROBE: &str = r#"
fn main() {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    match names.first().is_some_and(|first| first == "plain") {
        true => drop(names.remove(0)),
        false => static_libc::look_names_up_without_libraries(),
    }
    for name in names {
        match std::net::ToSocketAddrs::to_socket_addrs(&(&*name, 0)) {
            Ok(mut found) => println!("{name} is {}", found.next().unwrap().ip()),
            Err(_) => println!("{name} is unknown"),
        }
    }
}
"#;

/// Compiles the probe statically. None where the machine has no C library to link in.
fn compile_probe(folder: &Path) -> Option<()> {
    let library = Command::new("cc").arg("-print-file-name=libc.a").output().ok()?;
    if !Path::new(String::from_utf8_lossy(&library.stdout).trim()).is_absolute() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no libc.a to link in: install libc6-dev");
        return None;
    }
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/static_libc.rs");
    let source = folder.join("probe.rs");
    fs::write(&source, format!("#[path = {module:?}]\nmod static_libc;\n{PROBE}")).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut rustc = Command::new(rustc);
    rustc.args(["--edition", "2024", "--cap-lints", "allow", "-Ctarget-feature=+crt-static", "-o"]);
    let output = rustc.arg(folder.join("probe")).arg(&source).output().expect("rustc starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::remove_file(source).unwrap();
    Some(())
}

/// `cargo xtask proof dist` shows the same of the whole program.
#[test]
fn a_static_program_finds_names_where_there_is_nothing_but_itself() {
    let Some(bare) = Bare::try_new() else { return };
    if compile_probe(bare.path()).is_none() {
        return;
    }
    let look_up = |arguments: &[&str]| {
        let output = bare.command(&[&["/probe"], arguments].concat()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let expected = format!("{FAR} is 127.0.0.1\nnobody.mainstay.test is unknown\n");
    assert_eq!(look_up(&[FAR, "nobody.mainstay.test"]), expected);
    // Sources that glibc would have to load from this machine are not asked.
    fs::write(bare.path().join("etc/nsswitch.conf"), "hosts: mymachines resolve\n").unwrap();
    assert_eq!(look_up(&["plain", FAR]), format!("{FAR} is unknown\n"));
    assert_eq!(look_up(&[FAR, "nobody.mainstay.test"]), expected);
    fs::write(bare.path().join("etc/hosts"), "127.0.0.9 near\n").unwrap();
    assert_eq!(look_up(&["near"]), "near is 127.0.0.9\n");
}
