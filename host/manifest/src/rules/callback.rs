//! What a callback brings along: the code under the name that the app has for it, and the declared captures.
//!
//! Everything in a callback is what somebody's browser sent: captures are held to their declared form before anything is done
//! with them, and a declared signature is checked over exactly the parameters that came. Whether the state is ours, and whose
//! browser it is, is the host's to know.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::discovery::Captures;
use crate::model::{AuthMethod, CallbackVerify, CaptureSource, Encoding, Oauth2Grant, SignedPart};
use crate::scope::Scope;
use crate::secret::SecretText;
use crate::template::Slot;

/// What a callback brought. Holds secrets: no `Debug`.
pub struct Returned {
    /// The code, or the verifier of OAuth 1.0a; empty where the answer carries none.
    pub code: SecretText,
    /// The state; `None` where the app cannot bring it back.
    pub state: Option<SecretText>,
    /// What is kept of the callback.
    pub captures: Captures,
    /// Whether the callback's signature is right; `None` where none is declared or this code cannot check its kind.
    pub signed: Option<bool>,
}

/// Why a callback is not taken. Names parameters, never what they hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// The code is missing.
    #[error("the callback has no `{0}`, the parameter with the code")]
    CodeMissing(String),
    /// The state is missing.
    #[error("the callback has no `{0}`, the parameter with the state")]
    StateMissing(String),
    /// The declared signature is missing.
    #[error("the callback has no `{0}`, the parameter with its signature")]
    SignatureMissing(String),
    /// A parameter that the manifest keeps is missing.
    #[error("the callback has no `{0}`, which the manifest keeps of it")]
    CaptureMissing(String),
    /// A parameter is not of the form that the manifest declares.
    #[error("`{0}` of the callback is not of the declared form")]
    CaptureNotAllowed(String),
    /// This way to sign in sends nobody away.
    #[error("this way to sign in has no callback")]
    NoCallback,
}

impl CallbackError {
    /// A stable name, as fixtures and problems write it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::CodeMissing(_) => "code_missing",
            Self::StateMissing(_) => "state_missing",
            Self::SignatureMissing(_) => "signature_missing",
            Self::CaptureMissing(_) => "capture_missing",
            Self::CaptureNotAllowed(_) => "capture_not_allowed",
            Self::NoCallback => "no_callback",
        }
    }
}

/// Reads the parameters of a callback, decoded, in the order in which they came. `scope` holds what the key of a declared
/// signature reads.
///
/// # Errors
/// What is missing or not of its declared form. A wrong signature is no error of reading: it is said in [`Returned::signed`].
pub fn returned(
    method: &AuthMethod,
    params: &[(String, String)],
    scope: &Scope,
) -> Result<Returned, CallbackError> {
    let get = |name: &str| {
        let mut all = params.iter().filter(|(n, v)| n == name && !v.is_empty());
        all.next().map(|(_, value)| value.as_str())
    };
    let (code, state) = match method {
        AuthMethod::Oauth2(oauth) => {
            let rules = &oauth.callback;
            let state = rules.state.as_deref().unwrap_or("state");
            (
                rules.code.as_deref().unwrap_or("code"),
                rules.without_state.is_none().then_some(state),
            )
        }
        // RFC 5849, 2.2: the temporary token tells which sign-in it is.
        AuthMethod::Oauth1(_) => ("oauth_verifier", Some("oauth_token")),
        _ => return Err(CallbackError::NoCallback),
    };
    let state = match state {
        Some(name) => Some(get(name).ok_or_else(|| CallbackError::StateMissing(name.to_owned()))?),
        None => None,
    };
    let code_text = match method.oauth2() {
        Some(oauth) if oauth.grant == Oauth2Grant::AdminConsent => "",
        _ => get(code).ok_or_else(|| CallbackError::CodeMissing(code.to_owned()))?,
    };
    let verify = method.oauth2().and_then(|o| o.callback.verify.as_ref());
    if let Some(CallbackVerify::HmacSha256 { param, .. } | CallbackVerify::Jwt { param, .. }) =
        verify
        && get(param).is_none()
    {
        return Err(CallbackError::SignatureMissing(param.clone()));
    }
    let mut captures = Captures::default();
    for (id, capture) in method.captures() {
        let Some(CaptureSource::Callback(name)) = capture.source() else {
            continue;
        };
        let Some(text) = get(name) else {
            if capture.required {
                return Err(CallbackError::CaptureMissing(name.to_owned()));
            }
            continue;
        };
        let value = capture
            .check(text)
            .ok_or_else(|| CallbackError::CaptureNotAllowed(name.to_owned()))?;
        if capture.public {
            captures.public.insert(id.to_owned(), value);
        } else {
            captures
                .secret
                .insert(id.to_owned(), SecretText::new(value));
        }
    }
    Ok(Returned {
        code: SecretText::new(code_text.to_owned()),
        state: state.map(|s| SecretText::new(s.to_owned())),
        captures,
        signed: verify.and_then(|rule| signed(rule, params, scope)),
    })
}

/// Whether a signature over the query as it was sent is right ([`SignedPart::Query`]); `None` for every other kind. `raw` is
/// the callback's query, without its question mark.
#[must_use]
pub fn query_signed(rule: &CallbackVerify, raw: &str, scope: &Scope) -> Option<bool> {
    let CallbackVerify::HmacSha256 {
        key,
        param,
        over: SignedPart::Query,
        encoding,
    } = rule
    else {
        return None;
    };
    let key = key.render(scope, Slot::Raw).unwrap_or_default();
    let named = |piece: &str| {
        let mut pairs = url::form_urlencoded::parse(piece.as_bytes());
        pairs.next().is_some_and(|(name, _)| name == param.as_str())
    };
    let mut given = raw.split('&').filter(|piece| named(piece));
    let (Some(piece), None, false) = (given.next(), given.next(), key.is_empty()) else {
        return Some(false);
    };
    let mut pairs = url::form_urlencoded::parse(piece.as_bytes());
    let signature = pairs.next().map(|(_, value)| value.into_owned())?;
    let rest: Vec<&str> = raw.split('&').filter(|piece| !named(piece)).collect();
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
    mac.update(rest.join("&").as_bytes());
    Some(read(*encoding, &signature).is_some_and(|bytes| mac.verify_slice(&bytes).is_ok()))
}

/// Whether the declared signature is right. One that is there twice, or a key without a value, is not.
fn signed(rule: &CallbackVerify, params: &[(String, String)], scope: &Scope) -> Option<bool> {
    // Parameters as they were sent are gone once they are decoded.
    let CallbackVerify::HmacSha256 {
        key,
        param,
        over: SignedPart::SortedQuery,
        encoding,
    } = rule
    else {
        return None;
    };
    let key = key.render(scope, Slot::Raw).unwrap_or_default();
    let mut given = params.iter().filter(|(name, _)| name == param);
    let (Some((_, signature)), None, false) = (given.next(), given.next(), key.is_empty()) else {
        return Some(false);
    };
    let mut rest: Vec<String> = params
        .iter()
        .filter(|(name, _)| name != param)
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    rest.sort();
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
    mac.update(rest.join("&").as_bytes());
    Some(read(*encoding, signature).is_some_and(|bytes| mac.verify_slice(&bytes).is_ok()))
}

/// The bytes that a signature is written for.
fn read(encoding: Encoding, text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    match encoding {
        Encoding::Hex => {
            let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
            let digits = digits.filter(|d| d.len() % 2 == 0)?;
            digits
                .chunks(2)
                .map(|pair| match pair {
                    [high, low] => u8::try_from(high * 16 + low).ok(),
                    _ => None,
                })
                .collect()
        }
        Encoding::Base64 => STANDARD.decode(text).ok(),
        Encoding::Base64url => URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok(),
    }
}
