//! README and docs, as a reader would try them: every block of commands is run with the real program.

#![expect(clippy::disallowed_methods, reason = "tests may block")]

use std::fs;
use std::path::{Path, PathBuf};

use self::blocks::read;
use self::shell::Shell;

mod blocks;
mod expected;
mod links;
mod shell;

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs all blocks of a page, and says which one does not work.
fn run(page: &str) -> Result<(), String> {
    let blocks = read(page)?;
    let mut shell = Shell::new();
    blocks.iter().try_for_each(|block| {
        shell.run(block).map_err(|why| format!("the block in line {}: {why}", block.line))
    })
}

/// Declares a test for each page, and lists the pages.
macro_rules! pages {
    ($($test:ident: $path:literal,)+) => {
        const PAGES: &[&str] = &[$($path),+];

        $(
            #[test]
            fn $test() {
                let page = fs::read_to_string(root().join($path)).unwrap();
                if let Err(why) = run(&page) {
                    panic!("{}: {why}", $path);
                }
            }
        )+
    };
}

pages! {
    the_readme: "README.md",
    api: "docs/api.md",
    breakers: "docs/breakers.md",
    clients: "docs/clients.md",
    configuration: "docs/configuration.md",
    deadlines_and_retries: "docs/deadlines-and-retries.md",
    graph: "docs/graph.md",
    index: "docs/README.md",
    lexicon: "docs/lexicon.md",
    limits: "docs/limits.md",
    operations: "docs/operations.md",
    orientation: "docs/orientation.md",
    packages: "docs/packages.md",
    pages: "docs/pages.md",
    probes: "docs/probes.md",
    proxy: "docs/proxy.md",
    reload: "docs/reload.md",
    quick_start: "docs/quick-start.md",
    requirements: "docs/requirements.md",
    security: "docs/security.md",
    servers: "docs/servers.md",
    service: "docs/service.md",
    services: "docs/services.md",
    troubleshooting: "docs/troubleshooting.md",
    validation: "docs/validation.md",
    verify: "docs/verify.md",
}

#[test]
fn every_page_is_tried() {
    let entries =
        fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let names = entries.map(|name| name.to_str().unwrap().to_owned());
    for name in names.filter(|name| name.ends_with(".md")) {
        let path = format!("docs/{name}");
        assert!(PAGES.contains(&path.as_str()), "{path} is not in the list of pages");
    }
}

#[test]
fn a_block_that_does_not_work_is_found() {
    let fails = |page: &str| run(page).expect_err(page);
    assert!(fails("```sh\nmainstay check --nothing-like-this\n```\n").contains("line 2"));
    assert!(fails("```console\n$ mainstay schema\nnot in it\n```\n").contains("not in it"));
    assert!(fails("```toml\n[gateway]\nport = 1\n```\n").contains("port"));
    assert!(fails("```json\n{\n```\n").contains("line 2"));
    assert!(fails("<!-- run: exits 3 -->\n```sh\nmainstay schema\n```\n").contains("not 3"));
    run("<!-- run: exits 3 -->\n```sh\nmainstay schema > all.json\nmainstay status\n```\n")
        .unwrap();
}
