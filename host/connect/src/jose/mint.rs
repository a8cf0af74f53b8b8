//! A JWT as a manifest declares it: its claims and header rendered, its life counted from now, signed.
//!
//! `iat` lies a little in the past, for the other side's clock may be behind ours, and `exp` is counted from it, so that
//! the token is never valid for longer than declared. `alg` and `typ` are the host's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyport_manifest::{JsonTemplate, Jwt, RenderError, Scope, Slot, UsualClaim};
use serde_json::{Map, Value, json};

use super::key::SigningKey;
use super::{JoseError, name};
use crate::hidden::Hidden;

/// How far the other side's clock may be behind ours, in seconds.
const SKEW: i64 = 60;

/// Makes the JWT that `jwt` declares. `usual` are claims that are added where the manifest does not set them itself.
///
/// # Errors
/// The key is none or does not fit; a claim has no value.
pub(crate) fn mint(
    jwt: &Jwt,
    scope: &Scope,
    usual: &[(&str, Value)],
    now_unix: i64,
) -> Result<Hidden, JoseError> {
    let key_text = jwt
        .key
        .render_secret(scope, Slot::Raw)
        .map_err(|_| JoseError::KeyUnreadable)?;
    let key = SigningKey::parse(key_text.expose(), jwt.key_format(), jwt.alg)?;
    let mut scope = scope.clone();
    if jwt.fingerprint.is_some() {
        let fingerprint = key.fingerprint().ok_or(JoseError::KeyUnreadable)?;
        scope.set("key", json!({ "fingerprint": fingerprint }));
    }
    let rendered = |tree: &indexmap::IndexMap<String, JsonTemplate>| {
        let mut map = Map::new();
        for (name, value) in tree {
            match value.render(&scope) {
                Ok(Some(value)) => {
                    map.insert(name.clone(), value);
                }
                Ok(None) => {}
                // A lone hole without a value, such as a field that may be left empty, leaves its claim out.
                Err(RenderError::Missing(_)) if is_lone(value) => {}
                Err(_) => return Err(JoseError::Claim),
            }
        }
        Ok::<_, JoseError>(map)
    };
    let mut claims = rendered(&jwt.claims)?;
    for (name, value) in usual {
        claims
            .entry((*name).to_owned())
            .or_insert_with(|| value.clone());
    }
    let lifetime = i64::from(jwt.lifetime.min(Jwt::MAX_LIFETIME));
    let issued = now_unix.saturating_sub(SKEW.min(lifetime / 5));
    let expires_at = issued.saturating_add(lifetime);
    for (claim, name, at) in [
        (UsualClaim::Iat, "iat", issued),
        (UsualClaim::Exp, "exp", expires_at),
    ] {
        if !jwt.without.contains(&claim) {
            claims.insert(name.to_owned(), json!(at));
        }
    }
    sign(&key, rendered(&jwt.header)?, &claims)
}

fn is_lone(value: &JsonTemplate) -> bool {
    matches!(value, JsonTemplate::Text(template) if template.lone_expression().is_some())
}

/// The compact serialisation (RFC 7515, 3.1). `alg` and `typ` of `header` are overwritten.
///
/// # Errors
/// The primitive refused.
pub(crate) fn sign(
    key: &SigningKey,
    mut header: Map<String, Value>,
    claims: &Map<String, Value>,
) -> Result<Hidden, JoseError> {
    header.insert("alg".into(), json!(name(key.alg())));
    header.insert("typ".into(), json!("JWT"));
    let part = |map: &Map<String, Value>| {
        serde_json::to_vec(map)
            .map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
            .map_err(|_| JoseError::Claim)
    };
    let signed = format!("{}.{}", part(&header)?, part(claims)?);
    let signature = key.sign(signed.as_bytes())?;
    Ok(Hidden::new(format!(
        "{signed}.{}",
        URL_SAFE_NO_PAD.encode(signature)
    )))
}
