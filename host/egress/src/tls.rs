//! Step 5: TLS, always verified.
//!
//! TLS 1.2 and 1.3 by rustls with aws-lc-rs, AES-256 suites offered first. Trusted are the public roots that
//! come with the program (webpki-roots), not the machine's store, plus the operator's extra roots. There is
//! no switch that turns verification off: a private certificate authority goes into the extra roots.
//!
//! Each owner has a session store of its own. A resumed session is a link between two connections that an
//! upstream can see, and its tickets are keys; neither may cross owners. (Clones of a rustls configuration
//! share their store unless it is replaced.)

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore, SupportedCipherSuite};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::error::EgressError;
use crate::identity::Identity;

/// TLS sessions remembered per owner.
const SESSIONS_PER_OWNER: usize = 32;

/// The configuration that all owners' configurations are made from.
pub(crate) struct TlsBase(ClientConfig);

impl TlsBase {
    /// Reads the extra roots; PEM texts with one or more certificates each.
    pub(crate) fn new(extra_roots_pem: &[Vec<u8>]) -> Result<Self, EgressError> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        for pem in extra_roots_pem {
            let unreadable = |_| {
                EgressError::Config("an extra root is not a certificate in pem form".to_owned())
            };
            let mut found = false;
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(unreadable)?;
                roots.add(certificate).map_err(|error| {
                    EgressError::Config(format!("an extra root cannot be trusted: {error}"))
                })?;
                found = true;
            }
            if !found {
                return Err(EgressError::Config(
                    "an extra root holds no certificate".to_owned(),
                ));
            }
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| EgressError::Config(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(config))
    }

    /// A configuration with an empty session store of its own, which offers this certificate or none.
    pub(crate) fn for_owner(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        let mut config = self.0.clone();
        config.resumption = Resumption::in_memory_sessions(SESSIONS_PER_OWNER);
        if let Some(identity) = identity {
            config.client_auth_cert_resolver = identity.resolver();
        }
        Arc::new(config)
    }
}

/// aws-lc-rs with its AES-256 suites first, in their own order; TLS 1.3 stays before 1.2.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| {
        let old = matches!(suite, SupportedCipherSuite::Tls12(_));
        (old, !is_aes_256(suite))
    });
    provider
}

fn is_aes_256(suite: &SupportedCipherSuite) -> bool {
    format!("{:?}", suite.suite()).contains("AES_256")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aes_256_is_offered_first_in_both_versions_and_nothing_is_lost() {
        let suites = provider().cipher_suites;
        assert_eq!(
            suites.len(),
            aws_lc_rs::default_provider().cipher_suites.len()
        );
        for old in [false, true] {
            let of_version: Vec<bool> = suites
                .iter()
                .filter(|suite| matches!(suite, SupportedCipherSuite::Tls12(_)) == old)
                .map(is_aes_256)
                .collect();
            assert_eq!(of_version.first(), Some(&true));
            assert!(of_version.is_sorted_by(|a, b| a >= b), "{of_version:?}");
        }
    }

    #[test]
    fn an_extra_root_that_is_not_a_certificate_stops_the_start() {
        for pem in [
            b"".to_vec(),
            b"hello".to_vec(),
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec(),
        ] {
            assert!(matches!(TlsBase::new(&[pem]), Err(EgressError::Config(_))));
        }
        assert!(TlsBase::new(&[]).is_ok());
    }
}
