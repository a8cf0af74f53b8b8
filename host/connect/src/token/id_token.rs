//! Who signed in, where a manifest keeps something of an `id_token` (OpenID Connect Core, 3.1.3.7).
//!
//! With metadata, the whole check: signature by a key of the issuer's set, an algorithm of the allow-list (never `none`,
//! never a shared secret), `iss`, `aud`, `azp`, `exp`, and the nonce that was sent. Without metadata there are no keys; the
//! token came over TLS straight from the token endpoint, which is what the standard accepts in place of the signature, and
//! its claims are held to what the manifest knows (`issuer`) and to what was sent.
//!
//! Where the issuer has a hole for the tenant (Microsoft's `common`), the token's own `tid` fills it, once: the connection keeps
//! the tenant, and no other tenant's token counts for it afterwards.
//!
//! Threat: an answer with somebody else's token in it connects their account id to this person's grant.

use keyport_manifest::{CaptureSource, Oauth2, PlainRequest};
use serde_json::Value;
use url::Url;

use super::client::{TokenClient, TokenFailure};
use super::found::{Fetch, Kept};
use crate::engine::Engine;
use crate::jose::{ASYMMETRIC, KeySet, VerifyError};

/// How far clocks may be apart, in seconds.
const SKEW: i64 = 60;
/// How long a set that lacks a key is not asked for again.
const REFETCH_MS: i64 = 60_000;

/// What is checked.
pub(crate) struct Claimant<'a> {
    pub(crate) client: &'a TokenClient<'a>,
    pub(crate) id_token: Option<&'a str>,
    /// What was sent along, where something was.
    pub(crate) nonce: Option<&'a str>,
}

/// Whether a manifest keeps something of the `id_token`: then it counts who it says.
pub(crate) fn wanted(oauth: &Oauth2) -> bool {
    oauth
        .capture
        .values()
        .any(|capture| matches!(capture.source(), Some(CaptureSource::Claim(_))))
}

impl Engine {
    /// Checks an answer's `id_token`, if the manifest keeps something of it. Says the tenant, where the issuer is a pattern.
    pub(super) async fn check_claimant(
        &self,
        who: &Claimant<'_>,
    ) -> Result<Option<String>, TokenFailure> {
        let client = who.client;
        let endpoints = client.endpoints;
        let patterned = endpoints.issuer.is_some() && endpoints.one_issuer().is_none();
        let Some(token) = who.id_token.filter(|_| wanted(client.oauth)) else {
            // Without it nobody says whose tokens these are; a refresh goes on with the tenant that is known.
            return if patterned && endpoints.tenant.is_none() {
                Err(TokenFailure::Unreadable {
                    code: "id_token_missing".into(),
                })
            } else {
                Ok(None)
            };
        };
        let claims = match &client.endpoints.jwks {
            Some(jwks) => self.signed_claims(client, jwks, token).await?,
            None => match crate::jose::unverified(token) {
                Ok(claims) => claims,
                Err(error) => return Err(unreadable(error)),
            },
        };
        let wrong = |code: &str| {
            Err(TokenFailure::Unreadable {
                code: code.to_owned(),
            })
        };
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let signed = client.endpoints.jwks.is_some();
        let tenant = text("tid").filter(|_| patterned);
        let issuer = match (patterned, tenant) {
            (false, _) => endpoints.issuer.clone(),
            (true, Some(tenant)) => endpoints.issuer_of(tenant),
            (true, None) => None,
        };
        let known = endpoints.tenant.as_deref();
        if patterned && (issuer.is_none() || known.is_some_and(|known| Some(known) != tenant)) {
            return wrong("id_token_tenant");
        }
        if issuer
            .as_deref()
            .is_some_and(|issuer| text("iss") != Some(issuer))
        {
            return wrong("id_token_issuer");
        }
        let audience: Vec<&str> = match claims.get("aud") {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let ours = client.keys.id.as_str();
        if (signed || client.endpoints.issuer.is_some()) && !audience.contains(&ours) {
            return wrong("id_token_audience");
        }
        // A token for several parties says which of them it was given to.
        let party = text("azp");
        if party.is_some_and(|party| party != ours) || (audience.len() > 1 && party.is_none()) {
            return wrong("id_token_party");
        }
        let now = self.now().div_euclid(1000);
        match claims.get("exp").and_then(Value::as_i64) {
            Some(ends) if ends.saturating_add(SKEW) > now => {}
            None if !signed => {}
            _ => return wrong("id_token_expired"),
        }
        if let Some(nonce) = who.nonce
            && text("nonce") != Some(nonce)
            && (signed || text("nonce").is_some())
        {
            return wrong("id_token_nonce");
        }
        let tenant = tenant.map(str::to_owned);
        Ok(tenant)
    }

    /// The claims of a token that a key of this set signed. A set without the key is asked for again, once.
    async fn signed_claims(
        &self,
        client: &TokenClient<'_>,
        jwks: &str,
        token: &str,
    ) -> Result<Value, TokenFailure> {
        let fetched = self.key_set(client, jwks, false).await?;
        let (set, fresh) = (KeySet::parse(&fetched.document), fetched.fresh);
        match set.and_then(|set| set.verify(token, ASYMMETRIC)) {
            Err(VerifyError::UnknownKey) if !fresh => {
                let again = self.key_set(client, jwks, true).await?;
                KeySet::parse(&again.document)
                    .and_then(|set| set.verify(token, ASYMMETRIC))
                    .map_err(unreadable)
            }
            other => other.map_err(unreadable),
        }
    }

    async fn key_set(
        &self,
        client: &TokenClient<'_>,
        jwks: &str,
        again: bool,
    ) -> Result<Kept, TokenFailure> {
        let url = Url::parse(jwks).map_err(|_| TokenFailure::misconfigured("bad_jwks_url"))?;
        let fetch = Fetch {
            owner: client.owner,
            url: &url,
            at_most: again.then_some(REFETCH_MS),
        };
        let request = PlainRequest {
            method: "GET".to_owned(),
            url: url.to_string(),
            headers: vec![("accept".to_owned(), "application/json".to_owned())],
            body: None,
        };
        self.fetch_document(&fetch, request).await
    }
}

fn unreadable(error: VerifyError) -> TokenFailure {
    let code = match error {
        VerifyError::Malformed => "id_token_malformed",
        VerifyError::Algorithm => "id_token_algorithm",
        VerifyError::UnknownKey => "id_token_unknown_key",
        VerifyError::Signature => "id_token_signature",
    };
    TokenFailure::Unreadable { code: code.into() }
}
