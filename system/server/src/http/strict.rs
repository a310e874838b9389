//! What a proxy in front and this node might read differently is refused before anything looks at it.
//!
//! hyper itself refuses what is malformed (names, folded lines, lengths that contradict each other); what it lets pass
//! is a request with two hosts, and one with a body, whose length it may learn in two ways. Nobody sends a body here.
//! That a bare line feed ends a line (RFC 9112, section 2.2, allows it) is left to hyper, and read in that way alone.

use axum::extract::Request;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;

pub(super) async fn strict(request: Request, next: Next) -> Response {
    if one_host(request.uri(), request.headers(), request.version()) && no_body(request.headers()) {
        return next.run(request).await;
    }
    let mut response = (StatusCode::BAD_REQUEST, Json(json!({ "code": 3, "message": "Bad request" }))).into_response();
    // What follows may be the rest of this one.
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// RFC 9112, section 3.2. HTTP/1.0 knows none, and probes speak it. Who asks for a whole URI names it twice.
fn one_host(uri: &Uri, headers: &HeaderMap, version: Version) -> bool {
    let mut hosts = headers.get_all(HOST).into_iter();
    let named = |host: &Authority| uri.authority().is_none_or(|named| named == host);
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => Authority::try_from(host.as_bytes()).is_ok_and(|host| named(&host)),
        (None, _) => version == Version::HTTP_10,
        (Some(_), Some(_)) => false,
    }
}

fn no_body(headers: &HeaderMap) -> bool {
    let lengths = headers.get_all(CONTENT_LENGTH).into_iter();
    !headers.contains_key(TRANSFER_ENCODING) && lengths.into_iter().all(|length| length == "0")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn there_is_one_host_and_it_is_one() {
        let path = Uri::from_static("/");
        for host in ["n", "n:80", "127.0.0.1:3000", "[::1]:80"] {
            assert!(one_host(&path, &headers(&[(HOST, host)]), Version::HTTP_11), "{host}");
        }
        for host in ["", "n/path", "a b", "n:80:80"] {
            assert!(!one_host(&path, &headers(&[(HOST, host)]), Version::HTTP_11), "{host}");
        }
        assert!(!one_host(&path, &headers(&[(HOST, "n"), (HOST, "n")]), Version::HTTP_11));
        assert!(!one_host(&path, &headers(&[]), Version::HTTP_11) && one_host(&path, &headers(&[]), Version::HTTP_10));
        let whole = Uri::from_static("http://n:80/");
        assert!(one_host(&whole, &headers(&[(HOST, "N:80")]), Version::HTTP_11));
        for other in ["evil", "n", "n:81"] {
            assert!(!one_host(&whole, &headers(&[(HOST, other)]), Version::HTTP_11), "{other}");
        }
    }

    #[test]
    fn nobody_sends_a_body() {
        assert!(no_body(&headers(&[])) && no_body(&headers(&[(CONTENT_LENGTH, "0")])));
        assert!(!no_body(&headers(&[(CONTENT_LENGTH, "1")])));
        assert!(!no_body(&headers(&[(TRANSFER_ENCODING, "chunked")])));
    }
}
