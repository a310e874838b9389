//! The listener's certificate: who this node says that it is.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Args, Reader, WrongSetting, value};
use crate::reload::{File, Watched};

impl Reader {
    pub(super) fn certificate(&self, args: &Args) -> Result<Option<Arc<Watched<ServerConfig>>>, WrongSetting> {
        match (args.tls_cert.as_deref(), args.tls_key.as_deref()) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(self.wrong("tls_cert", "needs --tls-key (CHAT_TLS_KEY)")),
            (None, Some(_)) => Err(self.wrong("tls_key", "needs --tls-cert (CHAT_TLS_CERT)")),
            (Some(cert), Some(key)) => {
                self.read("tls_key", key, |path| private(path, &value::file(path)?))?;
                self.read("tls_cert", cert, |_| Watched::read(&[cert, key], server)).map(Some)
            }
        }
    }
}

/// TLS 1.2 and 1.3, HTTP/1.1, no certificates of clients. `files`: the chain, leaf first, and its key.
fn server(files: &[File]) -> Result<ServerConfig, String> {
    let [cert, key] = files else { return Err("a certificate and its key are needed".to_owned()) };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&cert.content).collect();
    let chain = chain.map_err(|error| format!("{:?} is not PEM: {error}", cert.path))?;
    if chain.is_empty() {
        return Err(format!("{:?} holds no certificate", cert.path));
    }
    let private = private(&key.path, &key.content)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let mut config = config.with_no_client_auth().with_single_cert(chain, private).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => format!("{:?} is not for the key in {:?}", cert.path, key.path),
        error => format!("{:?} with the key in {:?} cannot be used: {error}", cert.path, key.path),
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn private(path: &str, pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| format!("{path:?} holds no private key in PEM"))
}
