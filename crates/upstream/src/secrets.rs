//! Hides keys in words that come from a server: some repeat what they were sent or started with.

use std::borrow::Cow;

use mainstay_model::settings::{ProcessSpec, RemoteSpec, Runtime};
use url::Url;

/// Texts that are never shown.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

/// A shorter text is a word that may stand anywhere.
const SECRET_BYTES_MIN: usize = 4;
/// A shorter line of a text with several, such as a certificate's last one, is no secret of its own.
const SECRET_LINE_BYTES_MIN: usize = 16;
/// A part of a path this long may be a key; a shorter one says where a server is.
const PATH_PART_BYTES_MIN: usize = 16;
/// The same in a URL that is secret as a whole.
const SECRET_PATH_PART_BYTES_MIN: usize = 6;

impl Secrets {
    /// What a server was started with or is sent.
    pub fn of_runtime(runtime: &Runtime) -> Self {
        match runtime {
            Runtime::Process(spec) => Self::of_process(spec),
            Runtime::Remote(spec) => Url::parse(spec.url.expose())
                .map(|url| Self::of_remote(spec, &url))
                .unwrap_or_default(),
        }
    }

    /// The values of headers and of the query, long parts of the path, and the credentials of a
    /// proxy.
    pub(crate) fn of_remote(spec: &RemoteSpec, url: &Url) -> Self {
        let mut all = Vec::new();
        for value in spec.headers.values() {
            all.push(value.expose().clone());
            // "Bearer TOKEN"
            all.extend(value.expose().split_whitespace().skip(1).map(str::to_owned));
        }
        all.extend(in_url(url, is_secret(&spec.written)));
        if let Some(credentials) = spec.proxy.as_ref().and_then(|proxy| proxy.credentials.as_ref())
        {
            all.push(credentials.expose().clone());
            all.extend(credentials.expose().split(':').skip(1).map(str::to_owned));
        }
        Self::new(all)
    }

    /// The password and the values of the query, long parts of the path. Nothing of a text that is no URL.
    /// `written` is the URL before references were replaced.
    pub(crate) fn of_url(url: &str, written: &str) -> Self {
        let all = Url::parse(url).map(|url| in_url(&url, is_secret(written)));
        Self::new(all.unwrap_or_default())
    }

    /// The password of a URL of a database.
    pub(crate) fn of_login(url: &str) -> Self {
        let Ok(url) = Url::parse(url) else { return Self::default() };
        let named = url.query_pairs().filter(|(name, _)| name == "password");
        let mut all: Vec<String> = named.map(|(_, value)| value.into_owned()).collect();
        all.extend(password_in(&url));
        Self::new(all)
    }

    /// The values of the masked variables, each line of one that has several, and the secrets in the command.
    pub(crate) fn of_process(spec: &ProcessSpec) -> Self {
        let in_command = spec.command_secrets.iter().map(|secret| secret.expose().clone());
        let mut all: Vec<_> = in_command.collect();
        for (name, value) in &spec.env {
            if spec.masked.contains(name) {
                let lines = value.expose().lines().map(str::trim);
                all.extend(
                    lines.filter(|line| line.len() >= SECRET_LINE_BYTES_MIN).map(str::to_owned),
                );
                all.push(value.expose().clone());
            }
        }
        Self::new(all)
    }

    fn new(mut all: Vec<String>) -> Self {
        let spelt: Vec<_> = all.iter().flat_map(|secret| spellings_in_json(secret)).collect();
        all.extend(spelt);
        all.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
        // Longer ones first, which may contain others.
        all.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        all.dedup();
        Self(all)
    }

    /// The text with `***` in place of each secret.
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let hide = |text: Cow<'a, str>, secret: &String| match text.contains(secret.as_str()) {
            true => Cow::Owned(text.replace(secret.as_str(), "***")),
            false => text,
        };
        self.0.iter().fold(Cow::Borrowed(text), hide)
    }
}

/// Whether a URL is written as one reference, so that nothing of it is known to be open.
fn is_secret(written: &str) -> bool {
    !written.contains("://")
}

/// What may be a key in a URL, as it is written and as it is meant.
fn in_url(url: &Url, is_secret: bool) -> Vec<String> {
    let mut all: Vec<String> = url.query_pairs().map(|(_, value)| value.into_owned()).collect();
    let query = url.query().unwrap_or_default();
    all.push(query.to_owned());
    all.extend(query.split('&').filter_map(|pair| Some(pair.split_once('=')?.1.to_owned())));
    let part_min = match is_secret {
        true => SECRET_PATH_PART_BYTES_MIN,
        false => PATH_PART_BYTES_MIN,
    };
    let parts = url.path().split('/').filter(|part| part.len() >= part_min);
    all.extend(parts.flat_map(|part| [part.to_owned(), decoded(part)]));
    all.extend(password_in(url));
    all
}

fn password_in(url: &Url) -> Vec<String> {
    url.password().map(|password| vec![password.to_owned(), decoded(password)]).unwrap_or_default()
}

/// A part of a URL with its escapes (`%20`) replaced.
pub(crate) fn decoded(part: &str) -> String {
    let bytes = part.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = part.get(at + 1..at + 3).filter(|_| byte == b'%');
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(meant) => {
                plain.push(meant);
                at += 3;
            }
            None => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// The text as it may stand within JSON: with escapes where they are needed, with `\/`, and with each character
/// beyond ASCII as `\uXXXX`.
fn spellings_in_json(text: &str) -> [String; 3] {
    let quoted = mainstay_protocol::build::string(text);
    let plain = quoted.trim_start_matches('"');
    let plain = plain.strip_suffix('"').unwrap_or(plain).to_owned();
    let mut ascii = String::with_capacity(plain.len());
    for unit in plain.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => ascii.push(char::from(byte)),
            _ => ascii.push_str(&format!("\\u{unit:04x}")),
        }
    }
    [plain.replace('/', "\\/"), plain, ascii]
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use mainstay_model::Redacted;
    use mainstay_model::settings::{ProcessSpec, RemoteSpec};
    use url::Url;

    use super::Secrets;

    #[test]
    fn keys_that_a_server_repeats_are_hidden() {
        let url = "https://example.com/api/0123456789abcdef/mcp?key=open%20sesame&v=1";
        let mut spec = RemoteSpec::new(url);
        let token = Redacted::new("Bearer tok-123456".to_owned());
        spec.headers.insert("Authorization".to_owned(), token);
        let secrets = Secrets::of_remote(&spec, &Url::parse(url).unwrap());
        for (told, shown) in [
            ("tok-123456 has expired", "*** has expired"),
            ("got \"Bearer tok-123456\"", "got \"***\""),
            ("no key open sesame", "no key ***"),
            ("no route /api/0123456789abcdef/mcp", "no route /api/***/mcp"),
            ("version 1 is old", "version 1 is old"),
            ("/api/0123456789abcdef/mcp?key=open%20sesame&v=1", "/api/***/mcp?***"),
        ] {
            assert_eq!(secrets.hide(told), shown);
        }
        assert_eq!(format!("{secrets:?}"), "Secrets(6)");
    }

    #[test]
    fn the_password_of_a_url_is_hidden_as_it_is_written_and_as_it_is_meant() {
        let secrets =
            Secrets::of_url("postgres://app:p%40ss%2Fw%C3%B6rt@db/main?sslmode=require", "://");
        let login =
            Secrets::of_login("redis://:p%40ss%2Fw%C3%B6rt@cache/0?password=another&ssl=required");
        for told in ["no p%40ss%2Fw%C3%B6rt here", "no p@ss/wört here"] {
            assert_eq!(secrets.hide(told), "no *** here");
            assert_eq!(login.hide(told), "no *** here");
        }
        assert_eq!(login.hide("another is required"), "*** is required");
        for (part, plain) in
            [("a%20b", "a b"), ("100%", "100%"), ("%zz%2", "%zz%2"), ("%%41", "%A")]
        {
            assert_eq!(super::decoded(part), plain);
        }
    }

    #[test]
    fn of_a_url_that_is_secret_as_a_whole_short_parts_of_the_path_are_hidden_too() {
        let url = "https://h.example/v1/s3cr%2Bt/health?key=short&n=1";
        let told = "no route /v1/s3cr%2Bt (s3cr+t) with key=short&n=1";
        for written in ["secret:env:URL", "secret:file:/url", "${URL}"] {
            let hidden = Secrets::of_url(url, written).hide(told).into_owned();
            assert_eq!(hidden, "no route /v1/*** (***) with ***");
        }
        let open = Secrets::of_url(url, url).hide("no route /v1/s3cr%2Bt, key short").into_owned();
        assert_eq!(open, "no route /v1/s3cr%2Bt, key ***");
    }

    #[test]
    fn values_of_masked_variables_are_hidden() {
        let mut spec = ProcessSpec::default();
        for (name, value, is_masked) in [
            ("API_KEY", "opensesame", true),
            ("PRIVATE_KEY", "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nxyz", true),
            ("LEVEL", "verbose", false),
            ("SHORT_KEY", "abc", true),
            ("ODD_KEY", "pä\"ss/wört", true),
        ] {
            spec.env.insert(name.to_owned(), Redacted::new(value.to_owned()));
            if is_masked {
                spec.masked.insert(name.to_owned());
            }
        }
        spec.command_secrets.push(Redacted::new("k3y-of-a-flag".to_owned()));
        let secrets = Secrets::of_process(&spec);
        for (told, shown) in [
            ("API_KEY=opensesame is wrong, opensesame", "API_KEY=*** is wrong, ***"),
            ("no flag --key=k3y-of-a-flag", "no flag --key=***"),
            ("  MIIEvQIBADANBgkqhkiG", "  ***"),
            ("LEVEL=verbose abc xyz", "LEVEL=verbose abc xyz"),
            // As it is, and as JSON has it.
            (r#"pä"ss/wört"#, "***"),
            (r#"{"key":"pä\"ss/wört"}"#, r#"{"key":"***"}"#),
            (r#"{"key":"pä\"ss\/wört"}"#, r#"{"key":"***"}"#),
            (r#"{"key":"p\u00e4\"ss/w\u00f6rt"}"#, r#"{"key":"***"}"#),
        ] {
            assert_eq!(secrets.hide(told), shown);
        }
    }
}
