//! Behind a terminator: `wss://` to whom the client trusts, and to nobody else.

use std::sync::Arc;

use rcgen::CertifiedKey;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use system_client::{What, Why};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::script::{Node, User, quick, room};

/// Takes TLS off in front of the node; the answer is its URL. It ends with the tasks.
async fn terminate(node: &Node, tasks: &mut JoinSet<()>) -> (String, Arc<ClientConfig>) {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let client = Arc::new(client.with_root_certificates(roots).with_no_client_auth());
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}", listener.local_addr().unwrap());
    let to = node.url().trim_start_matches("ws://").to_owned();
    tasks.spawn(async move {
        while let Ok((peer, _)) = listener.accept().await {
            // Who does not trust us hangs up; the next may.
            let Ok(mut peer) = acceptor.accept(peer).await else { continue };
            let mut node = TcpStream::connect(&to).await.unwrap();
            let _ = copy_bidirectional(&mut peer, &mut node).await;
        }
    });
    (url, client)
}

#[tokio::test]
async fn a_node_behind_tls_is_reached_and_its_certificate_looked_at() {
    let (node, other, mut tasks) = (Node::bind().await, Node::bind().await, JoinSet::new());
    let (url, trust) = terminate(&node, &mut tasks).await;
    let (_, distrust) = terminate(&other, &mut tasks).await;
    let config = |tls| {
        let mut config = quick(&[&node]);
        config.nodes = vec![url.parse().unwrap()];
        config.tls = tls;
        config
    };
    for (tls, words) in [(Some(distrust), "certificate"), (None, "TLS is not set up")] {
        let mut user = User::start(config(tls));
        user.client.join(room("r"), None);
        let why = user.until(|what| match what {
            What::Unreachable { why: Why::Lost(why), .. } => Some(why.clone()),
            What::Up { .. } => panic!("up without trust"),
            _ => None,
        });
        let why = why.await;
        assert!(why.contains(words), "{why}");
    }
    let mut user = User::start(config(Some(trust)));
    user.client.join(room("r"), None);
    let _peer = node.settle("r").await;
    user.until(|what| matches!(what, What::Joined { .. }).then_some(())).await;
}
