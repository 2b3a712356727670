//! Whatever the text, it loads or its problems are told; nothing panics, and places are in the
//! text.

use mainstay_config::{Place, Problem};
use proptest::prelude::*;

use crate::world::file;

/// Pieces of which files that are nearly right are made.
const PIECES: [&str; 68] = [
    "[gateway]\n",
    "[servers.a]\n",
    "[servers.b]\n",
    "[servers.a.pool]\n",
    "[servers.a.env]\n",
    "[endpoints.a]\n",
    "[endpoints.e]\n",
    "[volumes.v]\n",
    "[externals.x]\n",
    "[services.s]\n",
    "[services.s.probe]\n",
    "[servers.a.probe]\n",
    "[servers.a.pages]\n",
    "[servers.a.tools.\"x*\"]\n",
    "[servers.a.tools.\"\"]\n",
    "tools = { \"x**\" = { retry = true, needs = [\"server:a\"] }, y = 1 }\n",
    "validate = { items = { \"a[\" = 1, b = -1 }, bytes = { \".\" = \"1MiB\" } }\n",
    "length = { \"a[].b\" = 3 }\n",
    "retry = \"yes\"\n",
    "http = \"http://h/\"\n",
    "tcp = \"h:1\"\n",
    "redis = \"secret:env:X\"\n",
    "tool = \"t\"\n",
    "ping = true\n",
    "args = { a = [1, { b = 1.5 }], c = 1979-05-27 }\n",
    "args = \"{\"\n",
    "json = { a = [1, \"x\"], b = { \"c.d\" = true } }\n",
    "json = { b.c = 1, \"b.c\" = 2, \"\" = 3 }\n",
    "kind = \"once\"\n",
    "stop_signal = \"sigint\"\n",
    "paths = [\"/a/*\", \"/../b\", \"\"]\n",
    "target = \"http://h:0x\"\n",
    "needs = [\"service:s\", \"server:a\"]\n",
    "[[servers]]\n",
    "[servers]\n",
    "[",
    "]",
    "\n",
    "=",
    "\"",
    "'''",
    "listen = \"127.0.0.1:1\"\n",
    "listen = 1\n",
    "command = [\"npx\", \"${X}\"]\n",
    "command = \"npx\"\n",
    "url = \"http://h/\"\n",
    "url = \"http://u:p@h/\"\n",
    "image = \"x\"\n",
    "needs = [\"server:a\", \"server:b\"]\n",
    "needs = [\"server:b\"]\n",
    "min = 5\n",
    "max = 3\n",
    "servers = [\"a\", \"b\", \"c\"]\n",
    "env = { A = \"secret:file:/s\" }\n",
    "headers = { A = \"ü\" }\n",
    "a.b.c = 1\n",
    "call_timeout = \"9h\"\n",
    "max_body = \"4MiB\"\n",
    "# ü\u{1F600}\t\r\n",
    "{",
    "}",
    "\u{feff}",
    "\r",
    "\u{7f}",
    "1979-05-27\n",
    "x = 1e400\n",
    "n = 99999999999999999999\n",
    "\"\\u0000\" = 1\n",
];

fn check(text: &str) -> Result<(), TestCaseError> {
    let problems = match file(text).load() {
        Ok(loaded) => loaded.warnings,
        Err(problems) => {
            prop_assert!(problems.errors().next().is_some(), "an error without a problem");
            problems.problems
        }
    };
    problems.iter().try_for_each(|problem| check_place(problem, text))
}

fn check_place(problem: &Problem, text: &str) -> Result<(), TestCaseError> {
    if let Place::Line { line, column, length, .. } = problem.place {
        let lines: Vec<_> = text.split('\n').collect();
        prop_assert!((1..=lines.len()).contains(&line), "line {line} of {}", lines.len());
        let width = lines[line - 1].chars().count();
        prop_assert!(
            column >= 1 && column - 1 + length <= width + 1,
            "column {column}+{length} of {width}"
        );
    }
    // It can be shown in both ways.
    let shown = problem.to_string();
    prop_assert!(!shown.contains('\x1b'), "an escape sequence");
    serde_json::to_string(problem).map_err(|error| TestCaseError::fail(error.to_string()))?;
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn text_that_is_nearly_right(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..24)) {
        check(&pieces.concat())?;
    }

    #[test]
    fn any_variable(name in "(GATEWAY|SERVERS|SERVICES|ENDPOINTS|A|B|__|_|LISTEN|POOL|MIN|ENV|COMMAND|NEEDS|PROBE|TOOLS|X|RETRY|JSON|ARGS|PAGES|ü){0,6}", value in any::<String>()) {
        let world = file("[servers.a]\ncommand = ['npx']").env(&format!("MAINSTAY__{name}"), &value);
        if let Err(problems) = world.load() {
            prop_assert!(!problems.to_string().is_empty());
        }
    }
}

#[test]
fn a_file_of_nothing_but_mistakes_is_reported_in_bounds() {
    let text: String = (0..20_000).map(|index| format!("wrong{index} = 1\n")).collect();
    let problems = file(&text).load().unwrap_err();
    assert_eq!(problems.problems.len(), 201);
    assert!(problems.to_string().ends_with("19800 more problems are not shown"));
}

#[test]
fn a_long_chain_of_needs_is_no_trouble() {
    let text: String = (0..5000)
        .map(|index| {
            format!(
                "[servers.s{index}]\ncommand = ['npx']\nneeds = ['server:s{}']\n",
                (index + 1) % 5000
            )
        })
        .collect();
    let problems = file(&text).load().unwrap_err();
    assert_eq!(problems.errors().count(), 1, "one circle of all");
}

#[test]
fn deep_nesting_is_refused() {
    let text = format!("x = {}", "[".repeat(100_000));
    assert!(file(&text).load().is_err());
}

/// The time to load a configuration grows as its servers do, not faster.
#[test]
fn ten_times_the_servers_take_about_ten_times_as_long() {
    let took = |servers: usize| {
        let text: String = (0..servers)
            .map(|server| format!("[servers.s{server}]\ncommand = ['sh', '{server}']\n"))
            .collect();
        let world = file(&text);
        let once = || {
            let begun = std::time::Instant::now();
            assert_eq!(world.load().unwrap().settings.servers.len(), servers);
            begun.elapsed()
        };
        (0..3).map(|_| once()).min().unwrap()
    };
    let (few, many) = (took(300), took(3000));
    assert!(many < few * 30, "300 servers take {few:?}, 3,000 take {many:?}");
}

/// A graph of servers and services in layers, each of which needs up to `wide` of the layer below.
fn layers(layers: usize, each: usize, wide: usize, extra: &str) -> String {
    let mut text = String::new();
    for layer in 0..layers {
        for index in 0..each {
            let kind = if index.is_multiple_of(2) { "server" } else { "service" };
            text.push_str(&format!("[{kind}s.n{layer}-{index}]\ncommand = ['npx', 'x@1.0.0']\n"));
            let needs = (0..wide.min(each)).filter(|_| layer > 0).map(|step| {
                let below = (index + step) % each;
                let kind = if below.is_multiple_of(2) { "server" } else { "service" };
                format!("'{kind}:n{}-{below}'", layer - 1)
            });
            let own = if layer == 0 && index == 0 { extra } else { "" };
            let needs: Vec<_> = needs.chain((!own.is_empty()).then(|| own.to_owned())).collect();
            text.push_str(&format!("needs = [{}]\n", needs.join(", ")));
        }
    }
    text
}

/// The checks take time in proportion to nodes and needs, whether there is a cycle or not.
#[test]
fn large_graphs_are_checked_in_time_that_grows_as_they_do() {
    let took = |text: &str, is_right: bool| {
        let world = file(text);
        let once = || {
            let begun = std::time::Instant::now();
            assert_eq!(world.load().is_ok(), is_right);
            begun.elapsed()
        };
        (0..3).map(|_| once()).min().unwrap()
    };
    let right = [layers(20, 10, 10, ""), layers(20, 100, 10, "")];
    // The last layer needs the first in the end: one cycle through all layers.
    let wrong = [layers(20, 10, 10, "'server:n19-0'"), layers(20, 100, 10, "'server:n19-0'")];
    for (texts, is_right) in [(right, true), (wrong, false)] {
        let [few, many] = [took(&texts[0], is_right), took(&texts[1], is_right)];
        assert!(many < few * 40, "200 nodes take {few:?}, 2,000 take {many:?}");
    }
}

#[test]
fn twenty_thousand_nodes_with_needs_load() {
    let loaded = file(&layers(20, 1000, 3, "")).load().unwrap();
    assert_eq!((loaded.settings.servers.len(), loaded.settings.services.len()), (10_000, 10_000));
    let problems = file(&layers(20, 1000, 3, "'server:n19-0'")).load().unwrap_err();
    assert_eq!(problems.errors().count(), 1, "one cycle");
    let message = &problems.errors().next().unwrap().message;
    assert_eq!(message.matches("` needs `").count(), 20, "{message}");
    // Each need is wrong: the report is short, and made in time.
    let unknown = layers(20, 1000, 3, "").replace("'server:", "'volume:");
    let problems = file(&unknown).load().unwrap_err();
    assert_eq!(problems.problems.len(), 201);
}

/// Ten thousand pairs that need each other are ten thousand cycles, and not ten thousand searches.
#[test]
fn many_cycles_are_found_in_one_pass() {
    let pair = |index: usize| {
        format!(
            "[servers.a{index}]\ncommand = ['npx']\nneeds = ['service:b{index}']\n\
             [services.b{index}]\ncommand = ['npx']\nneeds = ['server:a{index}']\n"
        )
    };
    let problems = file(&(0..10_000).map(pair).collect::<String>()).load().unwrap_err();
    assert_eq!(problems.problems.len(), 201);
    assert!(problems.to_string().ends_with("9800 more problems are not shown"), "{problems}");
}
