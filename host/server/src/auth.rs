//! Who is asking: a platform's backend by key, or one owner's browser by cookie.
//!
//! The two never mix. `/v1` takes keys only, so a page that makes a signed-in browser call it gets 401; page
//! routes take the cookie only. Keys are looked up by their hash in the engine: nothing here compares secrets.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::header::AUTHORIZATION;
use http::request::Parts;
use keyport_connect::view::{KeyScope, SessionCtx};
use keyport_connect::{Actor, PlatformKey};

use crate::cookie;
use crate::problem::Problem;
use crate::state::ServerState;

/// A platform key that holds, whatever it may do. Take it in a handler, then ask it for a scope.
#[derive(Clone)]
pub struct Platform {
    key: PlatformKey,
}

impl Platform {
    /// The actor, if the key has `scope`; else 403 `missing_scope`.
    pub fn with(self, scope: KeyScope) -> Result<Actor, Problem> {
        self.with_any(&[scope])
    }

    /// The actor, if the key has at least one of `scopes`; else 403 `missing_scope`.
    pub fn with_any(self, scopes: &[KeyScope]) -> Result<Actor, Problem> {
        if scopes.iter().any(|scope| self.key.scopes.contains(scope)) {
            return Ok(Actor::Platform(self.key));
        }
        let names: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
        let detail = format!(
            "this key lacks the scope {}; make a key that has it",
            names.join(" or ")
        );
        Err(Problem::forbidden("missing_scope", detail))
    }

    /// Id of the key, `key_…`.
    pub fn id(&self) -> &str {
        &self.key.id
    }
}

impl FromRequestParts<ServerState> for Platform {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ServerState) -> Result<Self, Problem> {
        if let Some(known) = parts.extensions.get::<Platform>() {
            return Ok(known.clone());
        }
        let mut given = parts.headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (given.next(), given.next()) else {
            return Err(Problem::unauthorized(
                "send a platform key: `Authorization: Bearer kp_…`",
            ));
        };
        let secret = value.to_str().ok().and_then(bearer).ok_or_else(|| {
            Problem::unauthorized("the Authorization header must be `Bearer` and a platform key, which starts with kp_")
        })?;
        let key = state.engine().authenticate(secret).await?.ok_or_else(|| {
            Problem::unauthorized(
                "this platform key is not known, or was revoked; use a current one",
            )
        })?;
        let platform = Platform { key };
        parts.extensions.insert(platform.clone());
        Ok(platform)
    }
}

/// The token of `Bearer <token>`; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The session whose cookie this browser sent; else 401 `session_required`.
///
/// For page routes. They are behind [`crate::guard::same_origin`], which checks `Origin` on whatever changes
/// something.
#[derive(Clone)]
pub struct PageSession(pub SessionCtx);

impl PageSession {
    /// The actor that verbs on connections are given.
    pub fn actor(&self) -> Actor {
        Actor::Session(self.0.clone())
    }
}

impl FromRequestParts<ServerState> for PageSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ServerState) -> Result<Self, Problem> {
        let value = cookie::session(&parts.headers, state.public())
            .ok_or_else(Problem::session_required)?;
        let session =
            state
                .engine()
                .session_by_cookie(&value)
                .await
                .map_err(|error| match error.status() {
                    // Unknown, expired and closed look the same from outside.
                    401 | 403 | 404 | 410 => Problem::session_required(),
                    _ => Problem::from(error),
                })?;
        Ok(Self(session))
    }
}

impl OptionalFromRequestParts<ServerState> for PageSession {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &ServerState,
    ) -> Result<Option<Self>, Problem> {
        match <Self as FromRequestParts<ServerState>>::from_request_parts(parts, state).await {
            Ok(session) => Ok(Some(session)),
            Err(problem) if problem.code() == "session_required" => Ok(None),
            Err(problem) => Err(problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::bearer;

    #[test]
    fn only_a_bearer_token_counts() {
        assert_eq!(bearer("Bearer kp_a"), Some("kp_a"));
        assert_eq!(bearer("bearer  kp_a"), Some("kp_a"));
        for wrong in ["", "Bearer", "Bearer ", "Basic kp_a", "kp_a"] {
            assert_eq!(bearer(wrong), None, "{wrong}");
        }
    }
}
