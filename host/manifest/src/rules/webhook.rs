//! A call that an app makes to us: is it the app's, does it want a handshake, which events does it carry, and whose are they?
//!
//! Threats: anybody can post to an address, so nothing is read of a call before its signature holds; the signature is over the bytes
//! as they came, never over what they were parsed to; a header that is missing, empty, there twice, cut or longer is no signature;
//! an empty key signs nothing; comparisons take the same time wherever they differ; a call that was signed more than five minutes
//! ago, or ahead, is an old one. A check that cannot be made refuses: there is no way through without one.
//!
//! Left out: whether an event was there before. That is the host's to remember.

use serde_json::{Value, json};

use super::discovery::{Captures, captures_of};
use super::verdict::{Failure, Means, failure_for};
use crate::message::{Decode, PlainResponse};
use crate::model::{Challenge, HmacHash, Tenant, Trigger, WebhookHmac, WebhookVerify, same};
use crate::scope::Scope;
use crate::secret::SecretText;
use crate::template::{Slot, Template, hmac_sha1, hmac_sha256, hmac_sha512};

/// Most seconds between signing and arrival, where a manifest says when a call was signed and no more.
pub const TOLERANCE: u32 = 300;

/// A call that came in.
#[derive(Debug, Clone, Default)]
pub struct HookCall {
    /// The method, upper case.
    pub method: String,
    /// The query, without its question mark.
    pub query: String,
    /// The headers as they came; a header that is there twice is there twice.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub body: Vec<u8>,
}

/// Why a call is not believed. Nothing in it tells a forger how near they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HookRefusal {
    /// It has no signature, or more than one.
    #[error("this call is not signed as the app signs its calls")]
    Unsigned,
    /// Its signature does not hold.
    #[error("the signature of this call does not hold")]
    Forged,
    /// It was signed too long ago, or ahead of time.
    #[error("this call was signed too long ago, or ahead of time")]
    Old,
    /// There is nothing to check it with: a secret is missing.
    #[error("this call cannot be checked: the secret that it is signed with is not known here")]
    NoKey,
}

impl HookRefusal {
    /// A stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Forged => "forged",
            Self::Old => "old",
            Self::NoKey => "no_key",
        }
    }
}

impl HookCall {
    /// The call in the shape of an answer, which conditions and paths are written for.
    fn plain(&self) -> PlainResponse {
        PlainResponse {
            status: 200,
            headers: self.headers.clone(),
            body: self.body.clone(),
        }
    }

    /// The one value of a header; `None` if it is missing, empty or there twice.
    fn only(&self, name: &str) -> Option<&str> {
        let mut all = self
            .headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name));
        match (all.next(), all.next()) {
            (Some((_, value)), None) if !value.trim().is_empty() => Some(value.trim()),
            _ => None,
        }
    }

    /// What it says: the body, or the query's parameters if it has no body.
    #[must_use]
    pub fn content(&self) -> Value {
        if self.body.is_empty() {
            return crate::message::form_to_json(&self.query);
        }
        let form = self.headers.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case("content-type")
                && value
                    .to_ascii_lowercase()
                    .starts_with("application/x-www-form-urlencoded")
        });
        let decode = if form { Decode::Form } else { Decode::Json };
        self.plain().decoded(decode)
    }

    /// `scope` plus the call: `request`, `headers`, `body`.
    #[must_use]
    pub fn scope(&self, scope: &Scope) -> Scope {
        let mut scope = scope.clone();
        scope
            .set("headers", self.plain().headers_value())
            .set("body", self.content())
            .set_value("request", "method", json!(self.method))
            .set_value("request", "query", json!(self.query));
        // A body that is no text cannot be a part of a text; whoever signs it signs the bytes.
        if let Ok(text) = std::str::from_utf8(&self.body) {
            scope.set_value("request", "body", json!(text));
        }
        scope
    }
}

/// Whether a call is the app's. `scope` holds what was agreed: `webhook`, `subscription`, credentials.
///
/// # Errors
/// Why it is not believed.
pub fn verify_hook(
    verify: &WebhookVerify,
    scope: &Scope,
    call: &HookCall,
    now_unix: i64,
) -> Result<(), HookRefusal> {
    match verify {
        WebhookVerify::None { .. } => Ok(()),
        WebhookVerify::Token { header, value } => {
            let given = call.only(header).ok_or(HookRefusal::Unsigned)?;
            let wanted = secret(value, scope)?;
            if same(wanted.expose().as_bytes(), given.as_bytes()) {
                Ok(())
            } else {
                Err(HookRefusal::Forged)
            }
        }
        WebhookVerify::Hmac(hmac) => verify_hmac(hmac, scope, call, now_unix),
    }
}

fn verify_hmac(
    hmac: &WebhookHmac,
    scope: &Scope,
    call: &HookCall,
    now_unix: i64,
) -> Result<(), HookRefusal> {
    let given = call.only(&hmac.header).ok_or(HookRefusal::Unsigned)?;
    let seen = call.scope(scope);
    let text = |template: &Template| {
        template
            .render(&seen, Slot::Raw)
            .map_err(|_| HookRefusal::Unsigned)
    };
    let given = match (&hmac.signature, &hmac.prefix) {
        (Some(template), _) => text(template)?,
        (None, Some(prefix)) => given
            .strip_prefix(prefix.as_str())
            .ok_or(HookRefusal::Unsigned)?
            .to_owned(),
        (None, None) => given.to_owned(),
    };
    let key = secret(&hmac.key, &seen)?;
    let message = match &hmac.message {
        None => call.body.clone(),
        Some(template) => text(template)?.into_bytes(),
    };
    let mac = match hmac.hash {
        HmacHash::Sha1 => hmac_sha1(key.expose().as_bytes(), &message),
        HmacHash::Sha256 => hmac_sha256(key.expose().as_bytes(), &message),
        HmacHash::Sha512 => hmac_sha512(key.expose().as_bytes(), &message),
    }
    .ok_or(HookRefusal::NoKey)?;
    let wanted = hmac.encoding.write(&mac);
    // Hexadecimal is written in both cases.
    let given = match hmac.encoding {
        crate::model::Encoding::Hex => given.trim().to_ascii_lowercase(),
        _ => given.trim().to_owned(),
    };
    if !same(wanted.as_bytes(), given.as_bytes()) {
        return Err(HookRefusal::Forged);
    }
    // Only a time that is signed counts, so it is read after the signature.
    let Some(timestamp) = &hmac.timestamp else {
        return Ok(());
    };
    let signed_at: i64 = text(timestamp)?
        .trim()
        .parse()
        .map_err(|_| HookRefusal::Unsigned)?;
    let window = u64::from(hmac.tolerance.unwrap_or(TOLERANCE));
    if signed_at.abs_diff(now_unix) > window {
        return Err(HookRefusal::Old);
    }
    Ok(())
}

/// A secret that must be there.
fn secret(template: &Template, scope: &Scope) -> Result<SecretText, HookRefusal> {
    let text = template
        .render_secret(scope, Slot::Raw)
        .map_err(|_| HookRefusal::NoKey)?;
    if text.is_empty() {
        return Err(HookRefusal::NoKey);
    }
    Ok(text)
}

/// What to answer, if the call is a handshake.
///
/// # Errors
/// When it is one that cannot be answered.
pub fn challenged(
    challenge: &Challenge,
    scope: &Scope,
    call: &HookCall,
) -> Option<Result<String, Failure>> {
    if !challenge.when.holds(&call.plain(), &call.content()) {
        return None;
    }
    let answer = challenge.answer.render(&call.scope(scope), Slot::Raw);
    Some(answer.map_err(|_| {
        Failure::new(
            Means::InvalidInput,
            "this handshake lacks what it has to be answered with",
        )
    }))
}

/// Whose a call to an app's one address is, as it says itself; `None` where it does not say.
#[must_use]
pub fn hook_tenant(tenant: &Tenant, call: &HookCall) -> Option<String> {
    let text = tenant.event.render(&call.scope(&Scope::new()), Slot::Raw);
    text.ok().filter(|text| !text.is_empty())
}

/// Whose a connection is; `None` where that is not known of it.
#[must_use]
pub fn connection_tenant(tenant: &Tenant, connection: &Scope) -> Option<String> {
    // Captures may be secret: what is made of them is compared here and goes nowhere.
    let text = tenant
        .connection
        .render_secret(connection, Slot::Raw)
        .ok()?;
    let text = text.expose().to_owned();
    (!text.is_empty()).then_some(text)
}

/// Whether a call carries events of this trigger that a subscription with this input is interested in. `scope` holds `input`.
#[must_use]
pub fn hook_is_wanted(trigger: &Trigger, scope: &Scope, call: &HookCall) -> bool {
    let content = call.content();
    if !trigger
        .when
        .iter()
        .all(|when| when.holds(&call.plain(), &content))
    {
        return false;
    }
    let seen = call.scope(&Scope::new());
    trigger.only.iter().all(|only| {
        let wanted = only.is.render(scope, Slot::Raw).unwrap_or_default();
        // What the input leaves open is open; what the call does not say is not what was wanted.
        wanted.is_empty()
            || only
                .event
                .render(&seen, Slot::Raw)
                .is_ok_and(|said| said == wanted)
    })
}

/// Whether the events of a call are this connection's; of an app that does not say, they are.
#[must_use]
pub fn hook_is_ours(tenant: Option<&Tenant>, scope: &Scope, call: &HookCall) -> bool {
    let Some(tenant) = tenant else { return true };
    let seen = call.scope(scope);
    let text = |template: &Template| template.render(&seen, Slot::Raw).ok();
    match (text(&tenant.event), text(&tenant.connection)) {
        (Some(theirs), Some(ours)) => !ours.is_empty() && theirs == ours,
        // What cannot be told is not handed on.
        _ => false,
    }
}

/// The events of a call, in its order.
#[must_use]
pub fn hook_events(trigger: &Trigger, call: &HookCall) -> Vec<Value> {
    let content = call.content();
    let found: Vec<Value> = match &trigger.items {
        Some(path) => path.select(&content).into_iter().cloned().collect(),
        None => vec![content],
    };
    found
        .into_iter()
        .flat_map(|value| match value {
            Value::Array(items) => items,
            Value::Null => Vec::new(),
            one => vec![one],
        })
        .collect()
}

/// Reads the answer to a subscription: what is kept of it.
///
/// # Errors
/// What the refusal means, or that the answer lacks what the manifest keeps of it.
pub fn subscribed(trigger: &Trigger, response: &PlainResponse) -> Result<Captures, Failure> {
    if !(200..=299).contains(&response.status) {
        return Err(failure_for(&trigger.failures, response));
    }
    let decode = trigger.subscribe.as_ref().map(|r| r.decode);
    let body = response.decoded(decode.unwrap_or_default());
    // Slack's `{"ok": false}` and its like: the declared failures hold for a 200, too.
    if let Some(rule) = trigger
        .failures
        .iter()
        .find(|rule| !rule.body.is_empty() && rule.fits(response, &body))
    {
        return Err(Failure::new(rule.means, &rule.say));
    }
    captures_of(&trigger.subscription, &body, response)
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
