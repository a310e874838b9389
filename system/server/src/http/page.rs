//! The chat page: static files that are part of the binary, and the headers that keep it harmless.
//!
//! The files' address holds their version, so that a browser keeps them for good and a reload costs one request; the
//! page itself is asked for every time. Everything that a browser may load comes from this node: no inline script or
//! style, nothing of another host, no markup made from text.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};

/// Where the files are, below the page.
pub(super) const FILES: &str = "/page/{version}/{file}";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, type and text of each.
const ASSETS: [(&str, &str, &str); 9] = [
    ("style.css", "text/css; charset=utf-8", include_str!("../../page/style.css")),
    ("icon.svg", "image/svg+xml", include_str!("../../page/icon.svg")),
    ("main.js", SCRIPT, include_str!("../../page/main.js")),
    ("view.js", SCRIPT, include_str!("../../page/view.js")),
    ("chat.js", SCRIPT, include_str!("../../page/chat.js")),
    ("room.js", SCRIPT, include_str!("../../page/room.js")),
    ("outbox.js", SCRIPT, include_str!("../../page/outbox.js")),
    ("store.js", SCRIPT, include_str!("../../page/store.js")),
    ("wire.js", SCRIPT, include_str!("../../page/wire.js")),
];

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    (ASSETS, PAGE).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
});

const PAGE: &str = include_str!("../../page/index.html");
static INDEX: LazyLock<String> = LazyLock::new(|| PAGE.replace("{version}", &VERSION));

/// `GET /`
pub(super) async fn index(request: HeaderMap) -> Response {
    let tag = format!("\"{}\"", *VERSION);
    let known = request.get(IF_NONE_MATCH).is_some_and(|tags| tags.as_bytes() == tag.as_bytes());
    let headers: [(HeaderName, &str); 6] = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
        (ETAG, &tag),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let body = if known { (StatusCode::NOT_MODIFIED, "") } else { (StatusCode::OK, INDEX.as_str()) };
    (body.0, headers, body.1).into_response()
}

/// Whether this is a file of the page as it is now: what came with a visit, which was counted with `/`.
pub(super) fn is_a_file(path: &str) -> bool {
    let file = path.strip_prefix("/page/").and_then(|rest| rest.strip_prefix(VERSION.as_str()));
    let name = file.and_then(|file| file.strip_prefix('/'));
    name.is_some_and(|name| ASSETS.iter().any(|(known, ..)| *known == name))
}

/// `GET /page/{version}/{file}`. During a rolling upgrade a page of another version may ask: it gets what there is,
/// but must not keep it.
pub(super) async fn asset(Path((version, file)): Path<(String, String)>) -> Response {
    let Some((_, kind, text)) = ASSETS.iter().find(|(name, ..)| *name == file) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let keep = if version == *VERSION { "public, max-age=31536000, immutable" } else { "no-store" };
    ([(CONTENT_TYPE, *kind), (CACHE_CONTROL, keep), (X_CONTENT_TYPE_OPTIONS, "nosniff")], *text).into_response()
}
