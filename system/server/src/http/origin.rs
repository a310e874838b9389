//! Which websites may use this node: CORS for plain HTTP, and the Origin check of the WebSocket handshake.
//!
//! A request without Origin comes from a native client, which CORS does not protect; the node's own pages are their
//! own origin. Tokens, not cookies, say who somebody is.

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, HOST, ORIGIN, VARY,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue};

use crate::config::is_place;

/// The configured origins, as browsers write them: scheme, host and port, no path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    listed: Vec<String>,
    any: bool,
}

impl Origins {
    pub(crate) fn parse(text: &str) -> Result<Origins, String> {
        if text.trim() == "*" {
            return Ok(Origins { listed: Vec::new(), any: true });
        }
        let listed: Result<_, _> = text.split(',').map(str::trim).map(origin).collect();
        Ok(Origins { listed: listed?, any: false })
    }

    /// Whether every website is let in.
    pub fn any(&self) -> bool {
        self.any
    }

    pub fn allow(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else { return true };
        // Of two, who knows which one a browser wrote.
        let (Ok(origin), None) = (origin.to_str(), origins.next()) else { return false };
        self.any || self.listed.iter().any(|o| o.eq_ignore_ascii_case(origin)) || is_own(origin, headers)
    }

    /// The headers that let a browser's script read the answer.
    pub(super) fn answer(&self, request: &HeaderMap, response: &mut HeaderMap) {
        response.append(VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = request.get(ORIGIN).filter(|_| self.allow(request)) else { return };
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }

    /// The headers of a preflight's answer.
    pub(super) fn preflight(&self, request: &HeaderMap, response: &mut HeaderMap) {
        self.answer(request, response);
        if response.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
            response.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET"));
            response.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type"));
            response.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        }
    }
}

/// As a browser writes it, but for the case of its letters.
fn origin(entry: &str) -> Result<String, String> {
    let wrong = || format!("{entry:?} is not an origin (like https://chat.example:8443)");
    let (scheme, rest) = entry.split_once("://").ok_or_else(wrong)?;
    let usual = match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        _ => return Err(wrong()),
    };
    let authority: Authority = rest.parse().map_err(|_| wrong())?;
    if !is_place(&authority) || rest.contains(['@', '*']) {
        return Err(wrong());
    }
    if authority.port_u16() == Some(usual) {
        let host = authority.host();
        return Err(format!("{entry:?} has the default port, which browsers never send: {scheme}://{host}"));
    }
    Ok(entry.to_ascii_lowercase())
}

/// A page that this node served itself. A proxy may speak TLS for us, so that only host and port are compared.
fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    let host = headers.get(HOST).and_then(|h| h.to_str().ok());
    matches!((authority, host), (Some(a), Some(h)) if a.eq_ignore_ascii_case(h))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("chat.example:8443"))]);
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    #[test]
    fn listed_origins_own_pages_and_native_clients_are_let_in() {
        let origins = Origins::parse("https://a.example, http://b.example:8080").unwrap();
        for good in [None, Some("https://a.example"), Some("http://b.example:8080"), Some("https://chat.example:8443")]
        {
            assert!(origins.allow(&request(good)), "{good:?}");
        }
        for bad in ["http://a.example", "https://a.example.evil", "https://x.a.example", "null", "https://chat.example"]
        {
            assert!(!origins.allow(&request(Some(bad))), "{bad}");
        }
        let mut two = request(Some("https://a.example"));
        two.append(ORIGIN, HeaderValue::from_static("https://a.example"));
        assert!(!origins.allow(&two));
        assert!(!Origins::default().allow(&request(Some("https://a.example"))));
        assert!(Origins::parse("*").unwrap().allow(&request(Some("https://a.example"))));
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for bad in [
            "",
            "a.example",
            "ftp://a.example",
            "https://",
            "https://:8443",
            "https://a.example/",
            "https://a.example?",
            "https://*.example",
            "https://u@a.example",
            "https://a.example,",
            "https://a.example:",
            "https://a.example:99999",
            "https://a.example:80a",
        ] {
            assert!(Origins::parse(bad).is_err(), "{bad}");
        }
        for good in ["https://a.example:80", "HTTP://A.example:443", "http://[::1]:8080", "http://[::1]"] {
            assert!(Origins::parse(good).is_ok(), "{good}");
        }
        // No request would ever come from it.
        for never in ["https://a.example:443", "http://a.example:80", "http://[::1]:80"] {
            let told = Origins::parse(never).unwrap_err();
            assert!(told.ends_with(never.rsplit_once(':').unwrap().0), "{told}");
        }
    }

    #[test]
    fn only_an_allowed_origin_may_read_answers() {
        let origins = Origins::parse("https://a.example").unwrap();
        let mut response = HeaderMap::new();
        origins.preflight(&request(Some("https://a.example")), &mut response);
        assert_eq!(response[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a.example");
        let mut response = HeaderMap::new();
        origins.preflight(&request(Some("https://evil.example")), &mut response);
        assert_eq!(response.keys().collect::<Vec<_>>(), [VARY]);
    }
}
