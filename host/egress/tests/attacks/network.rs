//! Names, addresses and TLS.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Response;
use keyport_egress::{
    Body, Egress, EgressConfig, EgressError, Limits, Origins, Pass, Purpose, Resolve, Wait,
};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::HandshakeKind;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use crate::upstream::{Scripted, Upstream, get, quick, read, text};

const NAME: &str = "api.vendor.test";

/// A certificate authority of our own (as PEM) and a server certificate for `name` under it.
fn certified(name: &str) -> (Vec<u8>, TlsAcceptor) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
    (
        authority.pem().into_bytes(),
        TlsAcceptor::from(Arc::new(config)),
    )
}

/// An upstream with TLS at 127.0.0.1 that closes each connection after its answer.
async fn secure(tls: TlsAcceptor) -> Upstream {
    Upstream::start_at("127.0.0.1:0", Some(tls), |_| {
        Response::builder()
            .header("connection", "close")
            .body(Body::from_bytes("secure"))
            .unwrap()
    })
    .await
}

/// An egress that may reach 127.0.0.1 and nothing else that is special.
fn egress(resolver: Arc<dyn Resolve>, roots: Vec<Vec<u8>>) -> Egress {
    Egress::new(EgressConfig {
        allow_cidrs: vec!["127.0.0.1/32".parse().unwrap()],
        extra_roots_pem: roots,
        resolver,
        ..EgressConfig::default()
    })
    .unwrap()
}

fn pass(owner: &str, port: u16) -> Pass {
    let mut pass = Pass::new(
        owner,
        Purpose::Guest,
        format!("{NAME}:{port}").parse().unwrap(),
    );
    pass.limits = quick();
    pass
}

fn url(port: u16) -> String {
    format!("https://{NAME}:{port}/")
}

#[tokio::test]
async fn a_name_is_resolved_once_and_the_connection_goes_to_what_was_checked() {
    let (root, tls) = certified(NAME);
    let upstream = secure(tls.clone()).await;
    let port = upstream.address.port();
    // The rebinding target: the same port at another loopback address, which no exception covers.
    let sink = Upstream::start_at(&format!("127.0.0.2:{port}"), Some(tls), |_| {
        text("internal")
    })
    .await;
    let names = Scripted::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let egress = egress(Arc::clone(&names) as Arc<dyn Resolve>, vec![root]);

    let answer = egress
        .send(&pass("o", port), get(&url(port)))
        .await
        .unwrap();
    assert_eq!(read(answer).await.unwrap(), "secure");
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);

    // The next connection asks again, is told the private address, and is not made.
    let refused = egress.send(&pass("o", port), get(&url(port))).await.err();
    assert_eq!(
        refused,
        Some(EgressError::AddressBlocked {
            host: NAME.to_owned(),
            reason: "loopback"
        })
    );
    assert!(sink.seen().is_empty() && sink.handshakes().is_empty());
}

#[tokio::test]
async fn a_name_that_leads_into_the_network_is_refused_whatever_it_leads_to() {
    for (address, reason) in [
        ("10.0.0.1", "private"),
        ("127.0.0.2", "loopback"),
        ("169.254.169.254", "metadata service"),
        ("100.64.1.1", "carrier-grade nat"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "ipv4-mapped"),
        ("64:ff9b::a00:1", "nat64"),
        ("2002:a00:1::", "6to4"),
        ("fd00:ec2::254", "metadata service"),
    ] {
        let egress = egress(Scripted::new(&[&[address]]), vec![]);
        let refused = egress
            .send(&pass("o", 443), get(&url(443)))
            .await
            .err()
            .unwrap();
        assert_eq!(
            refused,
            EgressError::AddressBlocked {
                host: NAME.to_owned(),
                reason
            },
            "{address}"
        );
        assert!(refused.before_sending());
    }
}

#[tokio::test]
async fn of_a_mixed_answer_only_the_allowed_part_is_used() {
    let (root, tls) = certified(NAME);
    let upstream = secure(tls).await;
    let port = upstream.address.port();
    let names = Scripted::new(&[&["127.0.0.2", "10.0.0.1", "127.0.0.1", "::1"]]);
    let answer = egress(names, vec![root])
        .send(&pass("o", port), get(&url(port)))
        .await
        .unwrap();
    assert_eq!(read(answer).await.unwrap(), "secure");
}

#[tokio::test]
async fn a_name_that_is_not_found_is_said_to_be_so_before_anything_is_sent() {
    let refused = egress(Scripted::new(&[&[]]), vec![])
        .send(&pass("o", 443), get(&url(443)))
        .await
        .err()
        .unwrap();
    assert!(matches!(refused, EgressError::Dns { .. }));
    assert!(refused.before_sending() && refused.is_transient());
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (_, tls) = certified(NAME);
    let upstream = secure(tls).await;
    let port = upstream.address.port();
    let refused = egress(Scripted::new(&[&["127.0.0.1"]]), vec![])
        .send(&pass("o", port), get(&url(port)))
        .await
        .err();
    assert!(
        matches!(refused, Some(EgressError::Tls { .. })),
        "{refused:?}"
    );
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_trusted_certificate_for_another_name_is_refused() {
    let (root, tls) = certified("other.vendor.test");
    let upstream = secure(tls).await;
    let port = upstream.address.port();
    let egress = egress(Scripted::new(&[&["127.0.0.1"]]), vec![root]);
    let refused = egress.send(&pass("o", port), get(&url(port))).await.err();
    assert!(
        matches!(refused, Some(EgressError::Tls { .. })),
        "{refused:?}"
    );
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn tls_sessions_are_resumed_within_an_owner_and_never_between_owners() {
    let (root, tls) = certified(NAME);
    let upstream = secure(tls).await;
    let port = upstream.address.port();
    let egress = egress(Scripted::new(&[&["127.0.0.1"]]), vec![root]);
    for owner in ["a", "a", "b"] {
        let answer = egress
            .send(&pass(owner, port), get(&url(port)))
            .await
            .unwrap();
        assert_eq!(read(answer).await.unwrap(), "secure");
    }
    let kinds: Vec<HandshakeKind> = upstream
        .handshakes()
        .iter()
        .map(|(kind, _)| *kind)
        .collect();
    assert_eq!(
        kinds,
        [
            HandshakeKind::Full,
            HandshakeKind::Resumed,
            HandshakeKind::Full
        ]
    );
    assert!(
        upstream
            .handshakes()
            .iter()
            .all(|(_, suite)| suite.contains("AES_256"))
    );
}

#[tokio::test]
async fn an_override_to_tls_is_verified_under_the_name_it_goes_to() {
    let (root, tls) = certified("localhost");
    let upstream = secure(tls).await;
    let port = upstream.address.port();
    let egress = Egress::new(EgressConfig {
        origins: Origins::parse([(url(443), format!("https://localhost:{port}"))]).unwrap(),
        extra_roots_pem: vec![root],
        ..EgressConfig::default()
    })
    .unwrap();
    let answer = egress.send(&pass("o", 443), get(&url(443))).await.unwrap();
    assert_eq!(read(answer).await.unwrap(), "secure");
}

#[tokio::test]
async fn not_even_an_override_reaches_our_own_listener() {
    let upstream = Upstream::start(|_| text("own")).await;
    for own in [
        upstream.address,
        format!("0.0.0.0:{}", upstream.address.port())
            .parse()
            .unwrap(),
    ] {
        let egress = Egress::new(EgressConfig {
            origins: Origins::parse([(url(443), upstream.url())]).unwrap(),
            own_addresses: vec![own],
            ..EgressConfig::default()
        })
        .unwrap();
        let refused = egress.send(&pass("o", 443), get(&url(443))).await.err();
        assert!(
            matches!(refused, Some(EgressError::AddressBlocked { .. })),
            "{refused:?}"
        );
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_reported_as_not_connected() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let egress = egress(Scripted::new(&[&["127.0.0.1"]]), vec![]);
    let refused = egress
        .send(&pass("o", port), get(&url(port)))
        .await
        .err()
        .unwrap();
    assert!(
        matches!(refused, EgressError::Connect { .. }),
        "{refused:?}"
    );
    assert!(refused.before_sending());
}

#[tokio::test]
async fn a_name_server_and_a_handshake_that_hang_end_with_the_connect_timeout() {
    struct Silent;
    #[async_trait::async_trait]
    impl Resolve for Silent {
        async fn resolve(&self, _: &str) -> Result<Vec<std::net::IpAddr>, String> {
            std::future::pending().await
        }
    }
    // Accepts connections (the kernel does) and never says a word.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = mute.local_addr().unwrap().port();
    let resolvers: [Arc<dyn Resolve>; 2] = [Arc::new(Silent), Scripted::new(&[&["127.0.0.1"]])];
    for resolver in resolvers {
        let egress = Egress::new(EgressConfig {
            allow_cidrs: vec!["127.0.0.1/32".parse().unwrap()],
            limits: Limits {
                connect: Duration::from_millis(200),
                ..Limits::default()
            },
            resolver,
            ..EgressConfig::default()
        })
        .unwrap();
        let refused = egress
            .send(&pass("o", port), get(&url(port)))
            .await
            .err()
            .unwrap();
        assert_eq!(refused, EgressError::Timeout(Wait::Connecting));
        assert!(refused.before_sending());
    }
}
