use super::{NEEDS, Need, Source, how, is_here, provide, split, told};

const HERE: Need =
    Need { what: "sh", suites: &[], check: &["sh", "-c", "exit 0"], from: Source::Debian(&["sh"]) };

fn names(needs: &[Need]) -> Vec<&str> {
    needs.iter().map(|need| need.what).collect()
}

#[test]
fn what_does_not_answer_is_missing() {
    assert!(is_here(&HERE));
    assert!(!is_here(&Need { check: &["sh", "-c", "exit 1"], ..HERE }));
    assert!(!is_here(&Need { check: &["mainstay-no-such-program"], ..HERE }));
    assert!(is_here(&Need { check: &["cargo", "--version"], ..HERE }));
    assert!(!is_here(&Need { check: &["cargo", "no-such-command"], ..HERE }));
}

#[test]
fn only_root_installs_packages_and_nobody_the_toolchain() {
    let crates = Need { what: "crate", from: Source::Crates { name: "a", version: "1" }, ..HERE };
    let part = Need { what: "part", from: Source::Toolchain("rustup component add a"), ..HERE };
    let missing = [HERE, crates, part];
    let (own, others) = split(&missing, true);
    assert_eq!((names(&own), names(&others)), (vec!["sh", "crate"], vec!["part"]));
    let (own, others) = split(&missing, false);
    assert_eq!((names(&own), names(&others)), (vec!["crate"], vec!["sh", "part"]));
}

#[test]
fn it_is_said_how_to_get_what_is_missing() {
    assert_eq!(
        how(Source::Toolchain("rustup component add clippy")),
        "`rustup component add clippy`"
    );
    assert!(how(Source::Debian(&["npm", "git"])).contains("`apt-get install npm git`"));
    let git = Need { what: "git", from: Source::Debian(&["git"]), ..HERE };
    let told = told(&[HERE, git]);
    assert_eq!(told, ["sh, git: as root on Debian or Ubuntu, `apt-get install sh git`"]);
    let crates = how(Source::Crates { name: "cargo-deny", version: "0.20.2" });
    assert!(crates.ends_with("/tools cargo-deny@0.20.2"), "{crates}");
}

/// A suite that needs nothing asks for nothing.
#[test]
fn needs_are_those_of_the_chosen_suites() {
    provide(std::path::Path::new("/nowhere"), &["lists"]).unwrap();
    for need in NEEDS {
        for suite in need.suites {
            assert!(crate::suites::NAMES.contains(suite), "{}: no suite {suite}", need.what);
        }
    }
}
