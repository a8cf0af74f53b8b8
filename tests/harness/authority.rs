//! A certificate authority for one run: servers that ask for certificates, and the clients' own.
//!
//! Everything is made anew each time; no key lies in the repository.

use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_RSA_SHA256};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// The authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A server's side of TLS.
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

impl Tls {
    /// The stream after the handshake; `None` for whoever did not get through it.
    pub fn accept(&self, stream: TcpStream) -> Option<StreamOwned<ServerConnection, TcpStream>> {
        let connection = ServerConnection::new(Arc::clone(&self.0)).ok()?;
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).ok()?;
        }
        Some(stream)
    }
}

impl Default for Authority {
    fn default() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("entropy");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }
}

impl Authority {
    /// Its own certificate, for who is to trust it.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a client, and its key, in PEM.
    pub fn client(&self) -> (String, String) {
        let key = KeyPair::generate().expect("entropy");
        let params = CertificateParams::new(vec!["client.example".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// A server on loopback that lets in who shows a certificate of this authority.
    pub fn server(&self) -> Tls {
        let key = KeyPair::generate().expect("entropy");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("a certificate");
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = builder.build().expect("roots");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .expect("a key of its certificate");
        Tls(Arc::new(config))
    }
}

/// An RSA key in PEM, for who signs with one.
pub fn rsa_key() -> String {
    KeyPair::generate_for(&PKCS_RSA_SHA256)
        .expect("entropy")
        .serialize_pem()
}
