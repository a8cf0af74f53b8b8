//! A client's own TLS certificate (RFC 8446, 4.4.2; RFC 8705 for OAuth).
//!
//! It is a credential, so it is bound to an audience like one: only a handshake with a host of the audience offers it, and
//! only if the server asks. A connection on which it was offered belongs to it: pools and TLS sessions are never shared
//! between identities, nor between one and none.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keyport_manifest::hosts::AllowedHosts;
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use url::Url;

/// A certificate with its chain and key, ready for handshakes. Cheap to clone; has no `Debug`, for it holds the key.
#[derive(Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    /// Tells identities apart in pools: the leaf certificate itself, of which nobody can have two keys.
    name: Arc<str>,
    audience: AllowedHosts,
}

/// Why a certificate cannot be used. Names neither the certificate nor the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not one or more certificates.
    #[error("the certificate can't be read; paste it in PEM, with its chain")]
    Certificate,
    /// Not a private key that TLS can use.
    #[error("the private key can't be read; paste it in PEM, without a password")]
    Key,
    /// The key is another certificate's.
    #[error("the private key doesn't belong to the certificate")]
    Mismatch,
}

impl Identity {
    /// Reads a certificate (leaf first, then its chain) and its private key, both in PEM, for these hosts.
    ///
    /// # Errors
    /// What is wrong with them; a key of another certificate is found here and not in a handshake.
    pub fn from_pem(
        certificate: &str,
        private_key: &str,
        audience: AllowedHosts,
    ) -> Result<Self, IdentityError> {
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| IdentityError::Certificate)?;
        let leaf = chain.first().ok_or(IdentityError::Certificate)?;
        let name = STANDARD_NO_PAD.encode(leaf).into();
        let key = PrivateKeyDer::from_pem_slice(private_key.as_bytes())
            .map_err(|_| IdentityError::Key)?;
        let key = aws_lc_rs::sign::any_supported_type(&key).map_err(|_| IdentityError::Key)?;
        let key = CertifiedKey::new(chain, key);
        key.keys_match().map_err(|_| IdentityError::Mismatch)?;
        Ok(Self {
            key: Arc::new(key),
            name,
            audience,
        })
    }

    /// The same certificate for other hosts.
    #[must_use]
    pub fn for_hosts(self, audience: AllowedHosts) -> Self {
        Self { audience, ..self }
    }

    pub(crate) fn is_for(&self, url: &Url) -> bool {
        self.audience.allows(url)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.key)))
    }
}
