use std::fs;
use std::path::Path;

use super::{Demand, GROUPS, State, check, missing, proof, read, row};

/// A repository with a list where all is open but the demands given, and one crate with two tests.
fn repository(rows: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let mut list = String::from("| id | demand | state | tests |\n| --- | --- | --- | --- |\n");
    for (group, count) in GROUPS {
        for number in 1..=count {
            let id = format!("| {group}{number} |");
            let open = format!("{id} something | open | |");
            let row = rows.iter().find(|row| row.starts_with(&id)).copied().unwrap_or(&open);
            list.push_str(row);
            list.push('\n');
        }
    }
    write("docs/requirements.md", &list);
    write("conformance/run.sh", "");
    write("crates/a/Cargo.toml", "");
    write("crates/a/src/lib.rs", "#[test]\nfn at_the_top() {}\n");
    write(
        "crates/a/src/b.rs",
        "mod tests {\n    #[test]\n    fn inside() {}\n    fn helper() {}\n}\n",
    );
    write("crates/a/src/b/tests.rs", "proptest! {\n    #[test]\n    fn random(x in 0..1) {}\n}\n");
    write("crates/a/tests/it/http.rs", "#[tokio::test(start_paused = true)]\nasync fn e2e() {}\n");
    folder
}

fn said(rows: &[&str]) -> String {
    let repository = repository(rows);
    match check(repository.path()) {
        Ok(said) => said,
        Err(problems) => format!("{problems:#}"),
    }
}

#[test]
fn states_are_counted() {
    assert_eq!(said(&[]), "99 demands: 0 met, 0 partly, 99 open");
    let rows =
        ["| A1 | x | met | `a::at_the_top`, `conformance/run.sh` |", "| I5 | x | partly | |"];
    assert_eq!(said(&rows), "99 demands: 1 met, 1 partly, 97 open");
}

#[test]
fn what_is_met_has_a_test_and_the_test_exists() {
    let problems = said(&["| A1 | x | met | |", "| B2 | x | open | `a::gone` |"]);
    assert_eq!(
        problems,
        "2 problem(s)\n  A1: met, but no test says so\n  B2: `a::gone`: no test `gone` in `a`"
    );
}

#[test]
fn tests_are_found_where_they_are_said_to_be() {
    let repository = repository(&[]);
    let find = |test| proof::find(repository.path(), test).unwrap();
    for there in [
        "a::at_the_top",
        "a::b::tests::inside",
        "a::b::tests::random",
        "a::it::http::e2e",
        "conformance/run.sh",
    ] {
        assert_eq!(find(there), Ok(()), "{there}");
    }
    let table = [
        ("a::b::tests::helper", "no test `helper` in `a`"),
        ("a::inside", "not there, but a::b::inside"),
        ("z::inside", "no crate `z`"),
        ("conformance/gone.sh", "no such file"),
        ("../etc/passwd", "no such file"),
    ];
    for (test, why) in table {
        assert_eq!(find(test), Err(why.to_owned()), "{test}");
    }
}

#[test]
fn rows_are_read_strictly() {
    let demand = Demand {
        id: "A1".to_owned(),
        state: State::Partly,
        tests: vec!["a::b".to_owned(), "c".to_owned()],
    };
    assert_eq!(row("| A1 | one daemon | partly | `a::b`, `c` |"), Some(Ok(demand)));
    for other in ["", "# A1", "| id | demand | state | tests |", "| --- | --- |", "| AA | x |"] {
        assert_eq!(row(other), None, "{other}");
    }
    for wrong in ["| A1 | x | done | |", "| A1 | x | open |", "| A1 | | open | |", "| A1 |"] {
        assert!(matches!(row(wrong), Some(Err(_))), "{wrong}");
    }
}

#[test]
fn no_demand_vanishes_or_appears() {
    let (demands, problems) = read("| A1 | x | open | |\n| A1 | x | open | |\n| Z9 | x | open | |");
    assert_eq!(problems, Vec::<String>::new());
    let problems = missing(&demands);
    assert!(problems.contains(&"A1: is there 2 times".to_owned()));
    assert!(problems.contains(&"A2: is not on the list".to_owned()));
    assert!(problems.contains(&"Z9: nobody knows this demand".to_owned()));
}

#[test]
fn our_own_list_holds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    check(root).unwrap();
}
