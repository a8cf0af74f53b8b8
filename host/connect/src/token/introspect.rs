//! When a token ends, asked where its answer does not say it (RFC 7662; Salesforce).
//!
//! Of the answer only `active` is trusted: what is not active is no token, and what is has the end that `exp` says. Everything
//! else in it (scopes, names, who it is for) is somebody's word about a token that came from elsewhere, and is not looked at.
//! Where the question fails, the token is one of unknown life, as if nobody had been asked: a token that works is not thrown
//! away because a second endpoint is down.

use serde_json::Value;
use url::Url;

use super::client::{For, TokenClient, TokenFailure};
use super::exchange::Granted;
use crate::engine::Engine;

/// Ten years, in milliseconds: what is said to live longer is not what it was taken for.
const LONGEST_MS: i64 = 315_360_000_000;

impl Engine {
    /// Asks about a token that has just come, where the manifest says how.
    pub(super) async fn ask_about(
        &self,
        client: &TokenClient<'_>,
        granted: &mut Granted,
    ) -> Result<(), TokenFailure> {
        let Some(at) = &client.endpoints.introspect else {
            return Ok(());
        };
        let url = Url::parse(at).map_err(|_| TokenFailure::misconfigured("bad_introspect_url"))?;
        // A form, with the client's usual proof (2.1).
        let asker = TokenClient {
            purpose: For::Other,
            ..*client
        };
        let params = [
            ("token".to_owned(), granted.token.access.expose().to_owned()),
            ("token_type_hint".to_owned(), "access_token".to_owned()),
        ];
        let document = match asker.send(&url, &params).await {
            Ok(response) if response.status == 200 => response.json(),
            Ok(response) => {
                tracing::warn!(
                    status = response.status,
                    "a token's end was asked for and not told"
                );
                None
            }
            Err(failure) => {
                tracing::warn!(
                    code = failure.code(),
                    "a token's end could not be asked for"
                );
                None
            }
        };
        let said = |name: &str| document.as_ref().and_then(|all| all.get(name));
        match said("active") {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => {
                return Err(TokenFailure::Unreadable {
                    code: "token_not_active".into(),
                });
            }
            _ => return Ok(()),
        }
        let now = self.now();
        let ends = said("exp")
            .and_then(Value::as_i64)
            .map(|seconds| seconds.saturating_mul(1000))
            .filter(|ends| (1..=LONGEST_MS).contains(&ends.saturating_sub(now)));
        if ends.is_some() {
            granted.token.expires_at = ends;
        }
        Ok(())
    }
}
