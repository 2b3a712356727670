//! Matching of URIs against resource templates.

/// Whether `uri` matches the URI template `template` (RFC 6570). The literal parts must appear in order.
/// An expression matches any text, but matches slashes only if its operator allows them (`{+path}`,
/// `{/path}`, `{#x}`).
pub fn matches(template: &str, uri: &str) -> bool {
    let mut rest = uri;
    let mut parts = template.split('{');
    let Some(tail) = parts.next().and_then(|head| rest.strip_prefix(head)) else { return false };
    rest = tail;
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        let Some((expression, literal)) = part.split_once('}') else { return false };
        let slashes = expression.starts_with(['+', '/', '#', '?', '&', ';', '.']);
        let last = parts.peek().is_none();
        let taken = match literal {
            "" if last => rest.len(),
            "" => 0,
            literal if last => match rest.strip_suffix(literal) {
                Some(value) => value.len(),
                None => return false,
            },
            literal => match rest.find(literal) {
                Some(at) => at,
                None => return false,
            },
        };
        if !slashes && rest[..taken].contains('/') {
            return false;
        }
        rest = &rest[taken + literal.len()..];
    }
    rest.is_empty()
}

/// The server's own URI for a URI that was built from a published template. The published template is
/// the server's own with an optional prefix.
pub fn own_uri<'a>(published: &str, own: &str, uri: &'a str) -> &'a str {
    let before = published.strip_suffix(own).unwrap_or_default();
    uri.strip_prefix(before).unwrap_or(uri)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::matches;

    #[test]
    fn templates_match_what_they_can_make() {
        for (template, uri, expected) in [
            ("test://template/{id}/data", "test://template/123/data", true),
            ("test://template/{id}/data", "test://template/1/2/data", false),
            ("test://template/{id}/data", "test://template/123/other", false),
            ("file:///{+path}", "file:///a/b/c", true),
            ("file:///{path}", "file:///a/b/c", false),
            ("notes://{id}", "notes://", true),
            ("notes://all", "notes://all", true),
            ("notes://all", "notes://all/1", false),
            ("a{x}b{y}c", "a1b2c", true),
            ("{broken", "x", false),
        ] {
            assert_eq!(matches(template, uri), expected, "{template} {uri}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(template in "[a{}/+é]{0,20}", uri in "[a/é]{0,20}") {
            matches(&template, &uri);
        }
    }
}
