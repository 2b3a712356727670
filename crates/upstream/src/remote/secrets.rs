//! Hides what may be a key in words that come from a server: some repeat what they were sent.

use mainstay_model::settings::RemoteSpec;
use url::Url;

/// Texts that are never shown.
pub(super) struct Secrets(Vec<String>);

/// A shorter text is a word that may stand anywhere.
const SECRET_BYTES_MIN: usize = 4;
/// A part of a path this long may be a key; a shorter one says where a server is.
const PATH_PART_BYTES_MIN: usize = 16;

impl Secrets {
    /// The values of headers and of the query, long parts of the path, and the credentials of a
    /// proxy.
    pub(super) fn of(spec: &RemoteSpec, url: &Url) -> Self {
        let mut all = Vec::new();
        for value in spec.headers.values() {
            all.push(value.expose().clone());
            // "Bearer TOKEN"
            all.extend(value.expose().split_whitespace().skip(1).map(str::to_owned));
        }
        for (_, value) in url.query_pairs() {
            all.push(value.into_owned());
        }
        let query = url.query().unwrap_or_default();
        all.push(query.to_owned());
        all.extend(query.split('&').filter_map(|pair| Some(pair.split_once('=')?.1.to_owned())));
        let parts = url.path().split('/').filter(|part| part.len() >= PATH_PART_BYTES_MIN);
        all.extend(parts.map(str::to_owned));
        all.extend(url.password().map(str::to_owned));
        if let Some(credentials) = spec.proxy.as_ref().and_then(|proxy| proxy.credentials.as_ref())
        {
            all.push(credentials.expose().clone());
            all.extend(credentials.expose().split(':').skip(1).map(str::to_owned));
        }
        all.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
        // Longer ones first, which may contain others.
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        all.dedup();
        Self(all)
    }

    pub(super) fn hide(&self, text: &str) -> String {
        let hide = |text: String, secret: &String| match text.contains(secret.as_str()) {
            true => text.replace(secret.as_str(), "***"),
            false => text,
        };
        self.0.iter().fold(text.to_owned(), hide)
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use mainstay_model::Redacted;
    use mainstay_model::settings::RemoteSpec;
    use url::Url;

    use super::Secrets;

    #[test]
    fn keys_that_a_server_repeats_are_hidden() {
        let url = "https://example.com/api/0123456789abcdef/mcp?key=open%20sesame&v=1";
        let mut spec = RemoteSpec::new(url);
        let token = Redacted::new("Bearer tok-123456".to_owned());
        spec.headers.insert("Authorization".to_owned(), token);
        let secrets = Secrets::of(&spec, &Url::parse(url).unwrap());
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
}
