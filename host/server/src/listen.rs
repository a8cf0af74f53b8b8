//! Where and how to listen: address, TLS, and the refusal to serve secrets in the clear to a network.
//!
//! TLS is rustls with aws-lc-rs: TLS 1.3 and 1.2, AES-256 suites before all others, the server's order
//! wins, HTTP/2 and HTTP/1.1 by ALPN. Certificate and key are PEM files, read once at start.
//!
//! Left out: reading a renewed certificate while running (restart drains within seconds), client
//! certificates, and obtaining certificates (ACME): a proxy or a cron job does that.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{CipherSuite, ServerConfig, SupportedCipherSuite};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Where and how to listen.
#[derive(Clone)]
pub struct Listen {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// Certificate and key, where this host speaks TLS itself.
    pub tls: Option<Tls>,
    /// A proxy in front speaks TLS: permits a clear bind beyond loopback.
    pub behind_proxy: bool,
}

/// Why this host can't listen so; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Keys and credentials would travel in the clear.
    #[error(
        "listening on {0} without TLS would send keys and credentials in the clear: give a certificate and key \
         (`tls.certificate`, `tls.key`), or listen on 127.0.0.1, or say that a proxy in front speaks TLS (`--behind-proxy`)"
    )]
    ClearBind(SocketAddr),
    /// A PEM file is not there, not readable or not what it should be.
    #[error("can't read a {what} from {path}: {reason}; it must be PEM")]
    Pem {
        /// `certificate` or `private key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The reader's words; never file contents.
        reason: String,
    },
    /// Certificate and key are each readable but can't be used together.
    #[error(
        "this certificate and key can't be used together: {0}; check that the key belongs to the first certificate"
    )]
    Pair(String),
    /// The socket failed.
    #[error("can't listen: {0}")]
    Socket(#[from] std::io::Error),
}

impl Listen {
    /// Refuses a clear bind beyond loopback, unless a proxy in front speaks TLS.
    pub fn check(&self) -> Result<(), ListenError> {
        let private = self.address.ip().to_canonical().is_loopback();
        if self.tls.is_some() || private || self.behind_proxy {
            return Ok(());
        }
        Err(ListenError::ClearBind(self.address))
    }
}

/// A certificate chain with its key, ready to serve.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
}

impl Tls {
    /// Reads a certificate chain and its private key (PKCS#8, PKCS#1 or SEC1) from PEM files.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, ListenError> {
        let pem = |what: &'static str, path: &Path, reason: String| ListenError::Pem {
            what,
            path: path.to_owned(),
            reason,
        };
        let bad_chain = |error: rustls_pki_types::pem::Error| {
            pem("certificate", certificate, pem_reason(&error))
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
            .map_err(bad_chain)?
            .collect::<Result<_, _>>()
            .map_err(bad_chain)?;
        if chain.is_empty() {
            return Err(pem(
                "certificate",
                certificate,
                "there is none in it".to_owned(),
            ));
        }
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| pem("private key", key, pem_reason(&error)))?;
        Self::new(chain, key)
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, ListenError> {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites.sort_by_key(strength);
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| ListenError::Pair(error.to_string()))?;
        config.ignore_client_order = true;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
        })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.clone())
    }
}

/// AES-256 suites first; the sort is stable, so that TLS 1.3 stays before 1.2 and ECDSA before RSA.
fn strength(suite: &SupportedCipherSuite) -> u8 {
    match suite.suite() {
        CipherSuite::TLS13_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => 0,
        _ => 1,
    }
}

/// What the PEM reader says, without what it read (its own text quotes file contents).
fn pem_reason(error: &rustls_pki_types::pem::Error) -> String {
    match error {
        rustls_pki_types::pem::Error::Io(error) => error.to_string(),
        rustls_pki_types::pem::Error::NoItemsFound => "there is none in it".to_owned(),
        _ => "it is not well-formed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(address: &str, behind_proxy: bool) -> Listen {
        Listen {
            address: address.parse().unwrap(),
            tls: None,
            behind_proxy,
        }
    }

    #[test]
    fn a_clear_bind_beyond_loopback_is_refused_and_says_the_ways_out() {
        for open in ["0.0.0.0:4700", "192.168.1.2:80", "[::]:4700"] {
            let said = listen(open, false).check().unwrap_err().to_string();
            assert!(
                said.contains("--behind-proxy") && said.contains("tls.certificate"),
                "{said}"
            );
            assert!(listen(open, true).check().is_ok());
        }
        for closed in ["127.0.0.1:0", "[::1]:4700", "[::ffff:127.0.0.1]:1"] {
            assert!(listen(closed, false).check().is_ok(), "{closed}");
        }
    }

    #[test]
    fn aes_256_comes_before_everything_else() {
        let mut suites = aws_lc_rs::ALL_CIPHER_SUITES.to_vec();
        suites.sort_by_key(strength);
        let names: Vec<_> = suites
            .iter()
            .map(|suite| format!("{:?}", suite.suite()))
            .collect();
        let first_other = names
            .iter()
            .position(|name| !name.contains("AES_256"))
            .unwrap();
        assert_eq!(first_other, 3, "{names:?}");
        assert!(
            names[first_other..]
                .iter()
                .all(|name| !name.contains("AES_256")),
            "{names:?}"
        );
    }

    #[test]
    fn a_missing_certificate_names_the_file() {
        let said = Tls::from_files(
            Path::new("/nowhere/cert.pem"),
            Path::new("/nowhere/key.pem"),
        )
        .err()
        .unwrap()
        .to_string();
        assert!(said.contains("/nowhere/cert.pem"), "{said}");
    }
}
