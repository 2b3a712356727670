//! Redirects: followed within the origin of the configured address, and nowhere else.

use http::{HeaderMap, Method, Response, StatusCode, Uri, header};

use super::target::Target;

/// What a response says about where its request belongs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// The response is no redirect.
    None,
    /// Send the same request again, to this address.
    To(Uri),
    /// It must not be followed, for this reason.
    Refused(String),
}

/// Most redirects of one request.
pub(super) const HOPS_MAX: u8 = 5;

impl Target {
    /// The redirect of a response to a request to `from`.
    pub(super) fn redirect<B>(
        &self,
        from: &Uri,
        response: &Response<B>,
        method: &Method,
    ) -> Redirect {
        let status = response.status();
        if !status.is_redirection() {
            return Redirect::None;
        }
        self.redirect_of(from, status, response.headers(), method)
    }

    fn redirect_of(
        &self,
        from: &Uri,
        status: StatusCode,
        headers: &HeaderMap,
        method: &Method,
    ) -> Redirect {
        let keeps_method = match status.as_u16() {
            307 | 308 => true,
            // These turn a POST into a GET, which no longer says what was asked.
            301..=303 => *method == Method::GET,
            _ => return Redirect::None,
        };
        let location = headers.get(header::LOCATION).and_then(|to| to.to_str().ok());
        let Some(location) = location else { return Redirect::None };
        let base = self.base.join(from.path_and_query().map_or("/", |path| path.as_str()));
        let Ok(to) = base.and_then(|base| base.join(location.trim())) else {
            return Redirect::Refused(format!(
                "the server redirects to an invalid address (HTTP {status})"
            ));
        };
        let place = format!("{}{}", to.origin().ascii_serialization(), to.path());
        let place = self.hide(&place);
        if to.origin() != self.base.origin() {
            return Redirect::Refused(format!(
                "the server redirects to {place} (HTTP {status}), which is not at the configured \
                 {}: if it is the right place, set `url` to it",
                self.base.origin().ascii_serialization()
            ));
        }
        if !keeps_method {
            return Redirect::Refused(format!(
                "the server redirects to {place} in a way that loses the request \
                 (HTTP {status}): set `url` to it"
            ));
        }
        match self.at(&to) {
            Some(address) => Redirect::To(address),
            None => Redirect::Refused(format!(
                "the server redirects to an invalid address (HTTP {status})"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
    use mainstay_model::settings::RemoteSpec;

    use super::{Redirect, Target};

    fn of(status: u16, location: &str, method: &Method) -> Redirect {
        let url = "https://example.com/mcp?key=opensesame";
        let target = Target::new(&RemoteSpec::new(url)).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, HeaderValue::from_str(location).unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        target.redirect_of(&target.address, status, &headers, method)
    }

    #[test]
    fn the_same_origin_is_followed_with_method_and_body() {
        for (status, location, expected) in [
            (307, "/mcp/", "/mcp/"),
            (308, "https://example.com/mcp/?key=opensesame", "/mcp/?key=opensesame"),
            (307, "https://EXAMPLE.com:443/x", "/x"),
            (308, "v2", "/v2"),
            (307, "?again=1", "/mcp?again=1"),
        ] {
            assert_eq!(
                of(status, location, &Method::POST),
                Redirect::To(expected.parse().unwrap())
            );
        }
        assert_eq!(of(302, "/sse/", &Method::GET), Redirect::To("/sse/".parse().unwrap()));
        assert_eq!(of(304, "/mcp/", &Method::GET), Redirect::None);
    }

    #[test]
    fn another_origin_is_named_and_not_followed_and_no_key_is_told() {
        for (status, location, named) in [
            (307, "http://example.com/mcp/", "http://example.com/mcp/"),
            (308, "https://other.example/mcp?key=opensesame", "https://other.example/mcp"),
            (307, "//other.example/opensesame", "https://other.example/***"),
            (307, "https://example.com:8443/", "https://example.com:8443/"),
            (301, "/mcp/", "https://example.com/mcp/"),
            (303, "/mcp/", "https://example.com/mcp/"),
            (307, "https://", "an invalid address"),
        ] {
            let Redirect::Refused(reason) = of(status, location, &Method::POST) else {
                panic!("{status} {location}");
            };
            assert!(reason.contains(named), "{reason}");
            assert!(!reason.contains("opensesame"), "{reason}");
        }
    }
}
