use super::{Undeclared, check};

fn declared() -> Vec<String> {
    ["/health", "/web-ui/*", "/files/", "/v1/models"].map(str::to_owned).to_vec()
}

#[test]
fn declared_paths_pass_as_they_are_written() {
    for path in [
        "/health",
        "/files/",
        "/v1/models",
        "/web-ui/",
        "/web-ui/index.html",
        "/web-ui/assets/app.js",
        "/web-ui/assets/",
        "/web-ui/a%20b",
        "/web-ui/caf%C3%A9",
        "/web-ui/100%25",
        "/web-ui/...a/.hidden/a..b/v1.2..3",
        "/web-ui/a;v=1",
        "/web-ui/a%3Fb%23c",
        "/web-ui/~user/@scope/a+b,c:d=e&f!$'()*",
    ] {
        assert_eq!(check(&declared(), path), Ok(()), "{path}");
    }
    assert_eq!(check(&["/*".to_owned()], "/"), Ok(()));
    assert_eq!(check(&["/*".to_owned()], "/any/thing"), Ok(()));
}

#[test]
fn other_paths_do_not() {
    for path in [
        "/",
        "/healthz",
        "/health/",
        "/health/live",
        "/Health",
        "/HEALTH",
        "/web-ui",
        "/web-uix",
        "/WEB-UI/",
        "/files",
        "/files/a",
        "/v1/models/",
        "/v1",
        "/he%61lth",
        "/web%2Dui/",
        "/health%3Fx",
        "/health;x",
        "/admin",
    ] {
        assert_eq!(check(&declared(), path), Err(Undeclared::NotListed), "{path}");
    }
}

/// Spellings that some server or proxy reads as another path.
const TRICKS: [&str; 62] = [
    "",
    "health",
    "*",
    "//",
    "//health",
    "/web-ui//",
    "/web-ui//admin",
    "/web-ui/a//b",
    "/web-ui/.",
    "/web-ui/./a",
    "/web-ui/..",
    "/web-ui/../",
    "/web-ui/../admin",
    "/web-ui/a/../../admin",
    "/web-ui/.../admin",
    "/web-ui/%2e",
    "/web-ui/%2e/a",
    "/web-ui/%2e%2e",
    "/web-ui/%2e%2e/admin",
    "/web-ui/%2E%2E/admin",
    "/web-ui/.%2e/admin",
    "/web-ui/%2e./admin",
    "/web-ui/%252e%252e/admin",
    "/web-ui/%25252e%25252e/admin",
    "/web-ui/%2525252e%2525252e/admin",
    "/web-ui/%252525252525252e%252525252525252e/admin",
    "/web-ui/%%32%65%%32%65/admin",
    "/web-ui/..%2fadmin",
    "/web-ui/..%2Fadmin",
    "/web-ui/%2fadmin",
    "/web-ui%2f..%2fadmin",
    "/web-ui/a%2fb",
    "/web-ui/a%252fb",
    "/web-ui/..%5cadmin",
    "/web-ui/..%5Cadmin",
    "/web-ui/..\\admin",
    "/web-ui\\..\\admin",
    "/web-ui/a\\b",
    "/web-ui/a%255cb",
    "/web-ui/..;/admin",
    "/web-ui/..;x=1/admin",
    "/web-ui/.;/admin",
    "/web-ui/;/admin",
    "/web-ui/%2e%2e;/admin",
    "/web-ui/..%3b/admin",
    "/web-ui/%20/a",
    "/web-ui/..%20/admin",
    "/web-ui/%c0%ae%c0%ae/admin",
    "/web-ui/%c0%afadmin",
    "/web-ui/%e0%80%ae%e0%80%ae/admin",
    "/web-ui/%uff0e%uff0e/admin",
    "/web-ui/%ef%bc%8e%ef%bc%8e/admin",
    "/web-ui/%ef%bc%8fadmin",
    "/web-ui/%e2%80%a5/admin",
    "/web-ui/%00",
    "/web-ui/..%00/admin",
    "/web-ui/a%0d%0aX: y",
    "/web-ui/a%09b",
    "/web-ui/%",
    "/web-ui/%2",
    "/web-ui/%zz",
    "/web-ui/é",
];

#[test]
fn no_spelling_leads_elsewhere() {
    for path in TRICKS {
        assert_eq!(check(&declared(), path), Err(Undeclared::Form), "{path}");
        // Not even where everything is declared.
        assert_eq!(check(&["/*".to_owned()], path), Err(Undeclared::Form), "{path}");
    }
}

proptest::proptest! {
    /// Whatever the pieces, a path that passes stays below what is declared, however it is read.
    #[test]
    fn what_passes_stays_below(pieces in proptest::collection::vec(proptest::sample::select(vec![
        "/", ".", "..", "%2e", "%2E", "%252e", "%2f", "%5c", "\\", ";", "a", "%25", "%", "2e", "5c", "%c0%ae",
        "%ef%bc%8e", "%00", "web-ui", "health", "*", " ",
    ]), 0..10)) {
        let path = format!("/web-ui/{}", pieces.concat());
        if check(&declared(), &path).is_ok() {
            for read in readings(&path) {
                proptest::prop_assert!(read.starts_with("/web-ui/"), "{path} is read as {read}");
            }
        }
    }
}

/// How servers may read a path: decoded any number of times, backslashes as slashes, parameters cut off, empty
/// parts left out, dots followed.
fn readings(path: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut text = path.to_owned();
    for _ in 0..6 {
        let mut parts: Vec<&str> = Vec::new();
        let slashes = text.replace('\\', "/");
        for part in slashes.split('/') {
            match part.split(';').next().unwrap_or_default().trim() {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        all.push(format!("/{}/", parts.join("/")));
        let Some(next) = super::decoded(&text, false) else { break };
        text = next;
    }
    all
}
