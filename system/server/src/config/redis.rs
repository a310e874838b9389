//! The settings of Redis: where it is, who we are there, and how far an ack is to be trusted.

use std::fmt::Write;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::{Args, Reader, WrongSetting, value};

/// A Redis Cluster as this node reaches it.
#[derive(Clone)]
pub struct RedisSettings {
    /// Host and port of each node that was named; the rest of the cluster is found from them.
    pub nodes: Vec<(String, u16)>,
    /// Present with `rediss://`.
    pub tls: Option<Arc<ClientConfig>>,
    pub username: Option<String>,
    pub password: Option<String>,
    pub fence: Fence,
    #[cfg(debug_assertions)]
    pub broken: Option<system_delivery::Broken>,
}

/// What an ack waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// Every replica that could be elected.
    Full,
    /// Nothing: acknowledged messages are lost when a primary is.
    None,
}

impl RedisSettings {
    /// The nodes as redis-rs's cluster client wants them.
    pub(crate) fn urls(&self) -> Vec<String> {
        let secret = match (&self.username, &self.password) {
            (None, None) => String::new(),
            (user, password) => {
                let encode = |text: &Option<String>| percent_encoded(text.as_deref().unwrap_or_default());
                format!("{}:{}@", encode(user), encode(password))
            }
        };
        let url = |(host, port): &(String, u16)| {
            let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            format!("redis://{secret}{host}:{port}?protocol=resp3")
        };
        self.nodes.iter().map(url).collect()
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.fence == Fence::None {
            warnings
                .push("acks are not fenced (--fence none): acknowledged messages are lost with a primary".to_owned());
        }
        #[cfg(debug_assertions)]
        if let Some(broken) = &self.broken {
            warnings.push(format!("this node is broken on purpose (--broken): {broken:?}"));
        }
        warnings
    }
}

/// The password is a secret.
impl std::fmt::Debug for RedisSettings {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("RedisSettings")
            .field("nodes", &self.nodes)
            .field("tls", &self.tls.is_some())
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}

/// What one URL says.
#[derive(Debug, PartialEq, Eq)]
struct Url {
    tls: bool,
    node: (String, u16),
    username: Option<String>,
    password: Option<String>,
}

impl Reader {
    pub(super) fn redis(&self, args: &Args) -> Result<Option<RedisSettings>, WrongSetting> {
        let fence = self
            .read("fence", &args.fence, |text| value::choice(text, &[("full", Fence::Full), ("none", Fence::None)]))?;
        let Some(urls) = self.optional("redis", args.redis.as_deref(), urls)? else {
            return self.without_redis(args, fence).map(|()| None);
        };
        let first = &urls[0];
        let password = self.optional("redis_password_file", args.redis_password_file.as_deref(), password)?;
        Ok(Some(RedisSettings {
            tls: self.tls(args, first.tls)?,
            username: args.redis_username.clone().or_else(|| first.username.clone()),
            password: password.or_else(|| first.password.clone()),
            fence,
            #[cfg(debug_assertions)]
            broken: self
                .optional("broken", args.broken.as_deref(), |text| text.parse().map_err(|error| format!("{error}")))?,
            nodes: urls.into_iter().map(|url| url.node).collect(),
        }))
    }

    fn without_redis(&self, args: &Args, fence: Fence) -> Result<(), WrongSetting> {
        let lonely = [
            ("redis_username", args.redis_username.is_some()),
            ("redis_password_file", args.redis_password_file.is_some()),
            ("redis_ca_file", args.redis_ca_file.is_some()),
            #[cfg(debug_assertions)]
            ("broken", args.broken.is_some()),
        ];
        if fence == Fence::None {
            return Err(self.wrong("fence", "none means nothing without --redis (CHAT_REDIS_URLS)"));
        }
        match lonely.into_iter().find(|(_, given)| *given) {
            Some((id, _)) => Err(self.wrong(id, "means nothing without --redis (CHAT_REDIS_URLS)")),
            None => Ok(()),
        }
    }

    fn tls(&self, args: &Args, wanted: bool) -> Result<Option<Arc<ClientConfig>>, WrongSetting> {
        match (wanted, args.redis_ca_file.as_deref()) {
            (false, None) => Ok(None),
            (false, Some(_)) => Err(self.wrong("redis_ca_file", "means nothing with redis:// URLs (TLS is rediss://)")),
            (true, None) => Err(self.wrong("redis_ca_file", "is needed with rediss:// URLs")),
            (true, Some(path)) => self.read("redis_ca_file", path, trust).map(Some),
        }
    }
}

fn urls(text: &str) -> Result<Vec<Url>, String> {
    let urls = value::list(text, url)?;
    let first = &urls[0];
    let same = |u: &Url| (u.tls, &u.username, &u.password) == (first.tls, &first.username, &first.password);
    if urls.iter().all(same) { Ok(urls) } else { Err("all nodes must have one scheme, user and password".to_owned()) }
}

/// A URL may hold a password, so that no error repeats it.
fn url(text: &str) -> Result<Url, String> {
    let shown = value::without_user(text);
    let wrong = || format!("{shown:?} is not a URL of a Redis node (like redis://127.0.0.1:7000)");
    let parsed = redis::parse_redis_url(text).ok_or_else(wrong)?;
    let tls = match parsed.scheme() {
        "redis" => false,
        "rediss" => true,
        _ => return Err(wrong()),
    };
    if !matches!(parsed.path(), "" | "/" | "/0") || parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(format!("{shown:?} has more than a host and a port (a cluster has no other databases)"));
    }
    let host = parsed.host_str().filter(|h| !h.is_empty()).ok_or_else(wrong)?;
    let decode = |part: &str| percent_decoded(part).ok_or_else(wrong);
    Ok(Url {
        tls,
        node: (host.trim_matches(['[', ']']).to_owned(), parsed.port().unwrap_or(6379)),
        username: Some(parsed.username()).filter(|u| !u.is_empty()).map(decode).transpose()?,
        password: parsed.password().map(decode).transpose()?,
    })
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let hex = |b: Option<u8>| char::from(b?).to_digit(16);
        decoded.push(if byte == b'%' { (hex(bytes.next())? * 16 + hex(bytes.next())?) as u8 } else { byte });
    }
    String::from_utf8(decoded).ok()
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

fn password(path: &str) -> Result<String, String> {
    String::from_utf8(value::file(path)?).map_err(|_| format!("{path:?} is not UTF-8"))
}

/// Trusts what the authorities in this PEM file sign, and nothing else.
fn trust(path: &str) -> Result<Arc<ClientConfig>, String> {
    let pem = value::file(path)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("{path:?} is not PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("{path:?} holds a bad certificate: {error}"))?;
    }
    if roots.is_empty() {
        return Err(format!("{path:?} holds no certificate"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| format!("TLS cannot be set up: {error}"))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_who() {
        let parsed = url("rediss://ann:p%40ss@[::1]:7000/").unwrap();
        let (username, password) = (Some("ann".into()), Some("p@ss".into()));
        assert_eq!(parsed, Url { tls: true, node: ("::1".into(), 7000), username, password });
        assert_eq!(url("redis://h").unwrap().node, ("h".to_owned(), 6379));
    }

    #[test]
    fn a_bad_url_is_refused_without_its_password() {
        for bad in ["", "h:1", "http://h", "unix:///x", "redis://u:s3cret@h:1/2", "redis://u:s3cret@h:99999"] {
            let wrong = url(bad).unwrap_err();
            assert!(!wrong.contains("s3cret"), "{wrong}");
        }
        assert!(urls("redis://a,rediss://b").is_err());
        assert!(urls("redis://a,,redis://b").is_err());
    }
}
