//! What a connection's requests need beside what is injected: a signer, a certificate, a minted token.
//!
//! Everything is rendered here, from the connection's own values and, where the operator's client signs, from the app
//! configuration. Threat: the operator's consumer secret goes to a host that a user typed. An HMAC or RSA signature does not
//! give its key away and is good for one request at that host; a PLAINTEXT one *is* the key, so with the operator's client
//! it is made only for hosts that the configuration pins.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyport_egress::{Identity, Secret, Signer};
use keyport_manifest::{
    AllowedHosts, AuthMethod, AwsSigv4, ClientSource, Hmac, HostPattern, Jwt, JwtAuth, KeyFormat,
    Mtls, Oauth1, Oauth1Grant, Oauth1Signature, RenderError, Scope, Slot, Template, Wsse,
};
use serde_json::json;
use zeroize::Zeroizing;

use super::hmac::HmacSigner;
use super::kept::made_of;
use super::oauth1::{self, Oauth1Signer};
use super::sigv4::{self, Sigv4, is_name};
use super::wsse;
use crate::configuration::pins;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::hidden::Hidden;
use crate::jose;
use crate::record::{ClientKeys, ConfigurationSealed, Whose};
use crate::use_::pass::PassParts;

/// See the module.
#[derive(Default)]
pub(crate) struct Arranged {
    pub(crate) signer: Option<Arc<dyn Signer>>,
    pub(crate) identity: Option<Identity>,
    /// What may not come back beside the connection's own secrets.
    pub(crate) scrub: Vec<Secret>,
}

impl Engine {
    /// What this connection's requests to these hosts need. A minted token is put into `scope` as `jwt.token`.
    pub(crate) async fn arrange(
        &self,
        parts: &PassParts<'_>,
        to: &AllowedHosts,
        scope: &mut Scope,
    ) -> Result<Arranged, ConnectError> {
        let mut arranged = Arranged::default();
        match parts.entry.method(parts.method)? {
            AuthMethod::Oauth1(m) => {
                let (signer, scrub) = self.oauth1(parts, m, to, scope)?;
                arranged.signer = Some(Arc::new(signer));
                arranged.scrub = scrub;
            }
            AuthMethod::AwsSigv4(m) => {
                let (signer, scrub) = self.sigv4(parts, m, to, scope).await?;
                arranged.signer = Some(Arc::new(signer));
                arranged.scrub = scrub;
            }
            AuthMethod::Hmac(m) => {
                arranged.signer = Some(Arc::new(self.hmac(m, to, scope)?));
            }
            AuthMethod::Wsse(m) => arranged.signer = Some(Arc::new(self.wsse(m, to, scope)?)),
            AuthMethod::Mtls(m) => arranged.identity = Some(identity(m, to, scope)?),
            AuthMethod::Jwt(m) => {
                let token = self.jwt(parts, m, scope)?;
                scope.set_value("jwt", "token", json!(token.expose()));
                arranged.scrub = vec![Secret::new(token.expose())];
            }
            AuthMethod::Oauth2(_)
            | AuthMethod::ApiKey(_)
            | AuthMethod::Basic(_)
            | AuthMethod::Bearer(_)
            | AuthMethod::Session(_)
            | AuthMethod::None(_) => {}
        }
        Ok(arranged)
    }

    fn oauth1(
        &self,
        parts: &PassParts<'_>,
        m: &Oauth1,
        to: &AllowedHosts,
        scope: &Scope,
    ) -> Result<(Oauth1Signer, Vec<Secret>), ConnectError> {
        let client = oauth1_client(m, scope, parts.config, || {
            let pinned = parts.config.map(pins).unwrap_or_default();
            to.iter()
                .all(|host| pinned.iter().any(|pin| pin.covers(host)))
        })?;
        let token = match m.grant {
            Oauth1Grant::Token => {
                let part =
                    |template: Option<&Template>| optional(template, scope)?.ok_or_else(incomplete);
                let token = part(m.token.as_ref())?;
                (token.expose().to_owned(), part(m.token_secret.as_ref())?)
            }
            Oauth1Grant::ThreeLegged => {
                let granted = parts.sealed.oauth1.as_ref().ok_or_else(|| {
                    ConnectError::state("no_token", "this account is not signed in; sign in again")
                })?;
                (granted.token.expose().to_owned(), granted.secret.clone())
            }
        };
        let secret = client.secret.unwrap_or_default();
        let scrub = vec![Secret::new(secret.expose()), Secret::new(token.1.expose())];
        let signer = Oauth1Signer {
            keys: oauth1::Keys {
                consumer_key: client.id,
                consumer_secret: secret,
                token: Some(token),
            },
            method: m.signature,
            place: m.place,
            realm: optional(m.realm.as_ref(), scope)?.map(|realm| realm.expose().to_owned()),
            further: Vec::new(),
            time: self.time_at(host_of(to)),
            entropy: Arc::clone(&self.inner.entropy),
        };
        Ok((signer, scrub))
    }

    async fn sigv4(
        &self,
        parts: &PassParts<'_>,
        m: &AwsSigv4,
        to: &AllowedHosts,
        scope: &Scope,
    ) -> Result<(Sigv4, Vec<Secret>), ConnectError> {
        let (region, service) = (text(&m.region, scope)?, text(&m.service, scope)?);
        // Both end up between slashes in the signature, and the region in a host name.
        if !is_name(region.expose()) || !is_name(service.expose()) {
            return Err(ConnectError::invalid(
                "region",
                "a region is written in lower-case letters, digits and hyphens, such as eu-central-1",
            ));
        }
        let mut keys = sigv4::Keys {
            id: text(&m.access_key_id, scope)?.expose().to_owned(),
            secret: text(&m.secret_access_key, scope)?,
            session: optional(m.session_token.as_ref(), scope)?,
        };
        if let Some(role) = &m.assume_role {
            keys = self
                .role_keys(parts.owner, role, scope, keys, region.expose())
                .await?;
        }
        let scrub = [Some(&keys.secret), keys.session.as_ref()]
            .into_iter()
            .flatten()
            .map(|secret| Secret::new(secret.expose()))
            .collect();
        let signer = Sigv4 {
            keys,
            region: region.expose().to_owned(),
            service: service.expose().to_owned(),
            time: self.time_at(host_of(to)),
        };
        Ok((signer, scrub))
    }

    /// A token that the host signs, fresh or kept (R46).
    fn jwt(
        &self,
        parts: &PassParts<'_>,
        m: &JwtAuth,
        scope: &Scope,
    ) -> Result<Hidden, ConnectError> {
        let rule = serde_json::to_string(&m.sign).unwrap_or_default();
        let mut texts = vec!["jwt", parts.owner.as_str(), parts.method, rule.as_str()];
        let sealed = parts.sealed;
        for values in [&sealed.fields, &sealed.credentials, &sealed.capture] {
            texts.extend(
                values
                    .iter()
                    .flat_map(|(id, value)| [id.as_str(), value.expose()]),
            );
        }
        let of = made_of(texts);
        let now = self.now();
        if let Some(kept) = self.inner.signing.kept.get(&of, now)
            && let [token] = kept.as_slice()
        {
            return Ok(token.clone());
        }
        let token = jose::mint(&m.sign, scope, &[], now.div_euclid(1000))
            .map_err(|error| ConnectError::invalid("credentials", error.to_string()))?;
        // It is dated back a little, by up to a fifth of its life, so it ends that much earlier.
        let life = i64::from(m.sign.lifetime.min(Jwt::MAX_LIFETIME));
        let ends = now.saturating_add(life.saturating_mul(800));
        let keep = vec![token.clone()];
        self.inner.signing.kept.put(of, keep, now, ends);
        Ok(token)
    }

    fn hmac(&self, m: &Hmac, to: &AllowedHosts, scope: &Scope) -> Result<HmacSigner, ConnectError> {
        Ok(HmacSigner {
            key: key_bytes(&text(&m.key, scope)?, m.key_format)?,
            rule: m.clone(),
            scope: scope.clone(),
            time: self.time_at(host_of(to)),
            entropy: Arc::clone(&self.inner.entropy),
        })
    }

    fn wsse(&self, m: &Wsse, to: &AllowedHosts, scope: &Scope) -> Result<wsse::Wsse, ConnectError> {
        Ok(wsse::Wsse {
            header: m.header.clone(),
            username: text(&m.username, scope)?.expose().to_owned(),
            secret: text(&m.secret, scope)?,
            digest: m.digest,
            nonce: m.nonce,
            time: self.time_at(host_of(to)),
            entropy: Arc::clone(&self.inner.entropy),
        })
    }
}

/// The consumer's key and secret: the owner's own, or the operator's. `pinned` says whether every host that will be asked
/// is one that the operator's secret may go to; only asked where a signature would show it.
pub(crate) fn oauth1_client(
    m: &Oauth1,
    scope: &Scope,
    config: Option<&ConfigurationSealed>,
    pinned: impl FnOnce() -> bool,
) -> Result<ClientKeys, ConnectError> {
    if let Some(own) = owners(&m.client, scope)? {
        return Ok(own);
    }
    let operators = config
        .filter(|_| m.client.operator)
        .and_then(|config| Some((config.client_id.clone()?, config.client_secret.clone())));
    let Some((id, secret)) = operators else {
        return Err(ConnectError::misconfigured(
            "not_configured",
            "the operator has to register a client for this app and enter its key and secret in a configuration",
        ));
    };
    if m.signature == Oauth1Signature::Plaintext && !pinned() {
        return Err(ConnectError::misconfigured(
            "client_not_for_this_host",
            "the operator's client is not for this host; the operator has to add its origin to the configuration",
        ));
    }
    Ok(ClientKeys {
        id,
        secret,
        auth: None,
        whose: Whose::Operator,
        pins: None,
    })
}

fn owners(client: &ClientSource, scope: &Scope) -> Result<Option<ClientKeys>, ConnectError> {
    let Some(own) = &client.owner else {
        return Ok(None);
    };
    let Some(id) = optional(Some(&own.id), scope)? else {
        return Ok(None);
    };
    Ok(Some(ClientKeys {
        id: id.expose().to_owned(),
        secret: optional(own.secret.as_ref(), scope)?,
        auth: None,
        whose: Whose::Owner,
        pins: None,
    }))
}

fn identity(m: &Mtls, to: &AllowedHosts, scope: &Scope) -> Result<Identity, ConnectError> {
    let (chain, key) = (text(&m.certificate, scope)?, text(&m.private_key, scope)?);
    Identity::from_pem(chain.expose(), key.expose(), to.clone())
        .map_err(|error| ConnectError::invalid("credentials", error.to_string()))
}

/// The host whose clock counts: the API's own, which is the first.
fn host_of(to: &AllowedHosts) -> &str {
    to.iter().next().map_or("", HostPattern::host)
}

/// A value that must be there.
pub(super) fn text(template: &Template, scope: &Scope) -> Result<Hidden, ConnectError> {
    optional(Some(template), scope)?.ok_or_else(incomplete)
}

/// A value that may have been left empty.
pub(super) fn optional(
    template: Option<&Template>,
    scope: &Scope,
) -> Result<Option<Hidden>, ConnectError> {
    let Some(template) = template else {
        return Ok(None);
    };
    match template.render_secret(scope, Slot::Raw) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(Hidden::new(value.expose()))),
        Err(RenderError::Missing(_)) => Ok(None),
        Err(_) => Err(incomplete()),
    }
}

fn incomplete() -> ConnectError {
    ConnectError::invalid(
        "credentials",
        "the credentials are not complete; enter them again",
    )
}

fn key_bytes(key: &Hidden, format: KeyFormat) -> Result<Zeroizing<Vec<u8>>, ConnectError> {
    let text = key.expose();
    let bytes = match format {
        KeyFormat::Text | KeyFormat::Pem => Some(text.as_bytes().to_vec()),
        KeyFormat::Base64 => STANDARD.decode(text.trim()).ok(),
        KeyFormat::Hex => unhex(text.trim()),
    };
    bytes
        .filter(|bytes| !bytes.is_empty())
        .map(Zeroizing::new)
        .ok_or_else(|| {
            ConnectError::invalid(
                "credentials",
                "the key is not written as the app gives it out; paste it again",
            )
        })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        })
        .collect()
}
