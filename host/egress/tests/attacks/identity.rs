//! Client certificates: offered to whom they are for, and never by somebody else's connection.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Response;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use keyport_egress::{Body, Egress, EgressConfig, Identity, IdentityError, Pass, Purpose, Resolve};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::upstream::{Scripted, get, quick, read};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate and its key in PEM.
    fn certify(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()])
            .unwrap()
            .signed_by(&key, &self.0)
            .unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// A server that accepts connections with and without a certificate, and says over which connection and with how many
/// certificates of the client each request came.
async fn server(authority: &Authority) -> SocketAddr {
    let key = KeyPair::generate().unwrap();
    let names = ["a.vendor.test", "b.vendor.test"].map(str::to_owned);
    let certificate = CertificateParams::new(names.to_vec())
        .unwrap()
        .signed_by(&key, &authority.0)
        .unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let count = AtomicUsize::new(0);
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, number) = (acceptor.clone(), count.fetch_add(1, Ordering::SeqCst));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(tcp).await else {
                    return;
                };
                let shown = stream.get_ref().1.peer_certificates().map_or(0, <[_]>::len);
                let service = service_fn(move |_| async move {
                    let text = format!("{number}:{shown}");
                    Ok::<_, Infallible>(Response::new(Body::from(text)))
                });
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await
                    .ok();
            });
        }
    });
    address
}

fn egress(authority: &Authority) -> Egress {
    let resolver: Arc<dyn Resolve> = Scripted::new(&[&["127.0.0.1"]]);
    Egress::new(EgressConfig {
        allow_cidrs: vec!["127.0.0.1/32".parse().unwrap()],
        extra_roots_pem: vec![authority.0.pem().into_bytes()],
        resolver,
        ..EgressConfig::default()
    })
    .unwrap()
}

/// The number of the connection that a request came over, and how many certificates were shown on it.
async fn ask(egress: &Egress, host: &str, port: u16, identity: Option<&Identity>) -> (u32, u32) {
    let hosts = format!("*.vendor.test:{port}").parse().unwrap();
    let mut pass = Pass::new("owner", Purpose::Flow, hosts);
    pass.limits = quick();
    pass.identity = identity.cloned();
    let answer = egress
        .send(&pass, get(&format!("https://{host}.vendor.test:{port}/")))
        .await
        .unwrap();
    let text = read(answer).await.unwrap();
    // The connection goes back to its pool in a task of its own.
    tokio::task::yield_now().await;
    let (number, shown) = text.split_once(':').unwrap();
    (number.parse().unwrap(), shown.parse().unwrap())
}

#[tokio::test]
async fn a_certificate_is_shown_to_its_audience_only_and_its_connections_serve_nobody_else() {
    let authority = Authority::new();
    let port = server(&authority).await.port();
    let egress = egress(&authority);
    let (certificate, key) = authority.certify("client");
    let audience = || format!("a.vendor.test:{port}").parse().unwrap();
    let one = Identity::from_pem(&certificate, &key, audience()).unwrap();
    let (certificate, key) = authority.certify("another client");
    let other = Identity::from_pem(&certificate, &key, audience()).unwrap();

    let (with, shown) = ask(&egress, "a", port, Some(&one)).await;
    assert_eq!(shown, 1);
    // The same host without it, and with another: connections of their own.
    let (without, shown) = ask(&egress, "a", port, None).await;
    assert_eq!(shown, 0);
    let (second, shown) = ask(&egress, "a", port, Some(&other)).await;
    assert_eq!(shown, 1);
    assert!(with != without && second != with && second != without);
    // Another allowed host is not of its audience.
    let (_, shown) = ask(&egress, "b", port, Some(&one)).await;
    assert_eq!(shown, 0);
    // And it is used again by whom it belongs to.
    assert_eq!(ask(&egress, "a", port, Some(&one)).await, (with, 1));
}

#[test]
fn a_certificate_without_its_own_key_is_refused_before_any_handshake() {
    let authority = Authority::new();
    let (certificate, key) = authority.certify("one");
    let (_, strange) = authority.certify("two");
    let from = |certificate: &str, key: &str| {
        Identity::from_pem(certificate, key, "a.vendor.test".parse().unwrap()).err()
    };
    assert_eq!(from(&certificate, &key), None);
    assert_eq!(from(&certificate, &strange), Some(IdentityError::Mismatch));
    assert_eq!(from("hello", &key), Some(IdentityError::Certificate));
    assert_eq!(from("", &key), Some(IdentityError::Certificate));
    assert_eq!(from(&certificate, "hello"), Some(IdentityError::Key));
}
