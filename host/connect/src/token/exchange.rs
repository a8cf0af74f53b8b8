//! A code for tokens.

use indexmap::IndexMap;
use keyport_manifest::{Scope, Slot, TokenAnswer};
use keyport_vault::Owner;
use oauth2::{AuthorizationCode, PkceCodeVerifier, RedirectUrl, RequestTokenError, TokenUrl};
use serde_json::json;

use super::client::{Carrier, Side, TokenClient, TokenFailure, params};
use crate::engine::Engine;
use crate::hidden::Hidden;
use crate::record::{ClientKeys, FlowSealed, Token};
use crate::use_::scope;

/// What an answer of the token endpoint comes to.
pub(crate) struct Granted {
    pub(crate) token: Token,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) capture: IndexMap<String, Hidden>,
}

impl Granted {
    pub(crate) fn from_answer(answer: TokenAnswer, now_ms: i64, generation: u64) -> Self {
        let mut capture: IndexMap<String, Hidden> = answer
            .public_captures
            .into_iter()
            .map(|(id, value)| (id, Hidden::new(value)))
            .collect();
        capture.extend(
            answer
                .secret_captures
                .into_iter()
                .map(|(id, value)| (id, Hidden::new(value.expose()))),
        );
        Granted {
            token: Token {
                access: Hidden::new(answer.access_token.expose()),
                refresh: answer
                    .refresh_token
                    .map(|token| Hidden::new(token.expose())),
                expires_at: answer
                    .expires_at
                    .map(|seconds| seconds.saturating_mul(1000)),
                obtained_at: now_ms,
                generation,
            },
            scopes: answer.scopes,
            capture,
        }
    }
}

/// The scope of token requests: everything that this host alone sends.
pub(crate) fn token_scope(mut scope: Scope, keys: &ClientKeys) -> Scope {
    let secret = keys.secret.as_ref().map(Hidden::expose).unwrap_or_default();
    scope.set(
        "app",
        json!({ "client_id": keys.id, "client_secret": secret }),
    );
    scope
}

impl Engine {
    /// Redeems a code, once: whatever the answer is, the caller has spent the flow before.
    pub(crate) async fn exchange(
        &self,
        owner: &Owner,
        flow: &FlowSealed,
        code: &str,
        capture: &IndexMap<String, Hidden>,
    ) -> Result<Granted, TokenFailure> {
        let broken = |code: &str| TokenFailure::Misconfigured {
            code: code.to_owned(),
        };
        let mut known = Scope::new();
        known.set("fields", scope::object(&flow.fields));
        if let Some(variant) = &flow.variant {
            known.set("variant", variant.clone());
        }
        known.set("credentials", scope::object(&flow.credentials));
        known.set("capture", scope::object(capture));
        let known = token_scope(known, &flow.client);
        let client = TokenClient {
            engine: self,
            owner,
            oauth: &flow.oauth,
            keys: &flow.client,
            params: params(&flow.oauth.token_params, &known, Slot::Raw)?,
            headers: params(&flow.oauth.token_headers, &known, Slot::Header)?,
            refresh: false,
        };
        let basic = client
            .basic()
            .set_token_uri(
                TokenUrl::new(flow.endpoints.token.clone()).map_err(|_| broken("bad_token_url"))?,
            )
            .set_redirect_uri(
                RedirectUrl::new(flow.redirect_uri.clone())
                    .map_err(|_| broken("bad_redirect_uri"))?,
            );
        let mut request = basic.exchange_code(AuthorizationCode::new(code.to_owned()));
        if let Some(verifier) = &flow.verifier {
            request =
                request.set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()));
        }
        let side = Side::default();
        let http = Carrier {
            client: &client,
            side: &side,
        };
        // The crate's verdict on a normalised answer is the same as ours; its errors may carry raw bodies and are dropped.
        let read = request
            .request_async(&http)
            .await
            .map_err(|error: RequestTokenError<_, _>| drop(error));
        let answer = side.take()?;
        read.map_err(|()| TokenFailure::Unreadable {
            code: "token_answer".into(),
        })?;
        Ok(Granted::from_answer(answer, self.now(), 1))
    }
}
