//! `install.sh` in each shell that may run it, with an archive of a program that only says what is asked here.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::archive::Archive;
use super::pack;
use super::program::Program;

/// Stands in for the program.
const FAKE: &str =
    "#!/bin/sh\ncase $1 in --version) echo mainstay 1.2.3 ;; *) echo \"$*\" ;; esac\n";

/// A folder with an archive, and a home.
struct Scene {
    folder: TempDir,
    archive: PathBuf,
}

// === impl Scene ===

impl Scene {
    fn new(program: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("built");
        pack::put(&file, 0o755, program.as_bytes()).unwrap();
        let program = Program { file, version: "1.2.3".into(), machine: "x86_64" };
        let root = &crate::root().unwrap();
        let packed = Archive { program: &program, root, licences: "theirs", time: 1_700_000_000 };
        let archive = packed.write(folder.path()).unwrap();
        Self { archive: folder.path().join(archive), folder }
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("a \"home\" of 50% $x")
    }

    fn checksum(&self) -> PathBuf {
        let mut name = self.archive.clone().into_os_string();
        name.push(".sha256");
        name.into()
    }

    fn install(&self, shell: &[&str], arguments: &[&str]) -> Output {
        let home = self.home();
        fs::create_dir_all(&home).unwrap();
        let script = crate::root().unwrap().join("packaging/install.sh");
        let (program, before) = shell.split_first().unwrap();
        let mut command = Command::new(program);
        command.args(before).arg(script).args(arguments).arg(&self.archive);
        command.current_dir(&home).env("HOME", &home).output().unwrap()
    }

    /// Every file below the home, with its path there.
    fn installed(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.home()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let own = path.strip_prefix(self.home()).unwrap();
                    found.push(own.to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();
        found
    }
}

/// The shells of this machine. `sh` is always one of them.
fn shells() -> Vec<&'static [&'static str]> {
    const SHELLS: [&[&str]; 4] = [&["sh"], &["dash"], &["busybox", "sh"], &["bash", "--posix"]];
    let answers = |shell: &&[&str]| {
        Command::new(shell[0]).args(&shell[1..]).args(["-c", ":"]).output().is_ok()
    };
    SHELLS.into_iter().filter(|shell| answers(shell)).collect()
}

#[track_caller]
fn said(output: &Output, code: i32) -> String {
    let text = [&*output.stdout, &*output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn everything_is_put_where_it_belongs_by_every_shell() {
    for shell in shells() {
        let scene = Scene::new(FAKE);
        let prefix = scene.home().join("pre fix");
        let text = said(&scene.install(shell, &["--prefix", "pre fix/"]), 0);
        assert_eq!(
            scene.installed(),
            [
                "pre fix/bin/mainstay",
                "pre fix/share/bash-completion/completions/mainstay",
                "pre fix/share/doc/mainstay/LICENSE-APACHE",
                "pre fix/share/doc/mainstay/LICENSE-MIT",
                "pre fix/share/doc/mainstay/THIRD-PARTY-LICENSES",
                "pre fix/share/fish/vendor_completions.d/mainstay.fish",
                "pre fix/share/systemd/user/mainstay.service",
                "pre fix/share/zsh/site-functions/_mainstay",
            ],
            "{shell:?}"
        );
        let read = |file: &str| fs::read_to_string(prefix.join(file)).unwrap();
        assert_eq!(read("share/zsh/site-functions/_mainstay"), "completions zsh\n");
        assert_eq!(mode(&prefix.join("bin/mainstay")), 0o755);
        let start = "/a \\\"home\\\" of 50%% $$x/pre fix/bin/mainstay\" up\n";
        let unit = read("share/systemd/user/mainstay.service");
        assert!(unit.contains(start) && unit.contains("\nRestart=always\n"), "{shell:?}: {unit}");
        for words in ["installed mainstay 1.2.3 at ", "is not in your PATH", "mainstay demo\n"] {
            assert!(text.contains(words), "{shell:?}: {words}: {text}");
        }
        for (other, words) in
            [("bash", ". \"/"), ("zsh", "fpath+=(\""), ("fish", "set -p fish_complete_path \"")]
        {
            let is_here = Command::new(other).args(["-c", "true"]).output().is_ok();
            let line = text.lines().find(|line| line.contains(&format!("completions in {other}")));
            assert_eq!(line.is_some_and(|line| line.contains(words)), is_here, "{other}: {text}");
        }
        let again = said(&scene.install(shell, &["--prefix=pre fix"]), 0);
        assert!(again.contains("keeps the previous version until it is restarted"), "{again}");
    }
}

#[test]
fn a_folder_in_the_place_of_the_program_is_told() {
    for shell in shells() {
        let scene = Scene::new(FAKE);
        fs::create_dir_all(scene.home().join("taken/bin/mainstay")).unwrap();
        let text = said(&scene.install(shell, &["--prefix", "taken"]), 1);
        assert!(text.contains("taken/bin/mainstay is a folder"), "{shell:?}: {text}");
    }
}

#[test]
fn an_archive_that_is_not_what_its_checksum_says_is_refused() {
    for shell in shells() {
        let scene = Scene::new(FAKE);
        let refused = |words: &str| {
            let text = said(&scene.install(shell, &["--prefix", "to"]), 1);
            assert!(text.contains(words) && text.contains("nothing was installed"), "{text}");
            assert_eq!(scene.installed(), Vec::<String>::new(), "{shell:?}: {text}");
        };
        let right = fs::read_to_string(scene.checksum()).unwrap();
        for wrong in ["", "\n", "Not found\n"] {
            fs::write(scene.checksum(), wrong).unwrap();
            refused("does not begin with a SHA-256 checksum");
        }
        fs::write(scene.checksum(), "0".repeat(64)).unwrap();
        refused(&format!("is not the file that {} was made for", scene.checksum().display()));
        fs::remove_file(scene.checksum()).unwrap();
        refused("to check the archive against");
        // In capitals, without a name and without a line break, it is right all the same.
        fs::write(scene.checksum(), right.split(' ').next().unwrap().to_uppercase()).unwrap();
        said(&scene.install(shell, &["--prefix", "to"]), 0);
    }
}

#[test]
fn a_dry_run_says_what_it_would_do_and_writes_nothing() {
    for shell in shells() {
        let scene = Scene::new(FAKE);
        let text = said(&scene.install(shell, &["--dry-run", "--prefix", "to"]), 0);
        assert!(text.contains("would write ") && text.contains("/to/bin/mainstay\n"), "{text}");
        assert!(text.contains("nothing was written"), "{text}");
        assert_eq!(scene.installed(), Vec::<String>::new(), "{shell:?}");
    }
}

#[test]
fn what_can_not_be_installed_leaves_nothing_and_says_why() {
    let scene = Scene::new("#!/bin/sh\n[ $1 = completions ]\n");
    let text = said(&scene.install(&["sh"], &["--prefix", "to"]), 1);
    assert!(text.contains("the program does not run on this machine ("), "{text}");
    assert_eq!(scene.installed(), Vec::<String>::new());
    let scene = Scene::new(FAKE);
    for arguments in [&["--nowhere"][..], &["--prefix"], &["other.tar.gz"]] {
        let text = said(&scene.install(&["sh"], arguments), 2);
        assert!(text.contains("usage: sh install.sh"), "{text}");
    }
    let script = crate::root().unwrap().join("packaging/install.sh");
    let output = Command::new("sh").arg(script).arg("/nowhere.tar.gz").output().unwrap();
    assert!(said(&output, 1).contains("there is no file /nowhere.tar.gz"));
}

#[test]
fn equal_files_make_equal_archives() {
    let (one, two) = (Scene::new(FAKE), Scene::new(FAKE));
    assert_eq!(fs::read(&one.archive).unwrap(), fs::read(&two.archive).unwrap());
    let listed = Command::new("tar").arg("-tvzf").arg(&one.archive).output().unwrap();
    let listed = said(&listed, 0);
    for line in listed.lines() {
        assert!(line.contains(" 0/0 ") && line.contains("2023-11-1"), "{line}");
    }
    assert!(listed.contains("mainstay-1.2.3-x86_64-linux/completions/_mainstay"), "{listed}");
    let mut check = Command::new("sha256sum");
    check.arg("--check").arg(one.checksum()).current_dir(one.folder.path());
    said(&check.output().unwrap(), 0);
}
