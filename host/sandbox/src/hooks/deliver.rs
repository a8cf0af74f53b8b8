//! Sending events, also as no vendor should: twice, late, unsigned, forged, about somebody else.

use std::time::Duration;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Delivery, Hook, HookOf, send};
use crate::errors::ApiError;
use crate::{Vendor, random};

/// How often an event is tried.
const TRIES: usize = 3;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(300);
/// Seconds after which a delivery is late by any measure.
const LATE: i64 = 3600;
/// A body that nobody should read to its end, in bytes.
const HUGE: usize = 2 * 1024 * 1024;

/// How a delivery that was made is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    /// The very same bytes.
    Again,
    /// The same event, signed now.
    SignedAnew,
    /// The same event ten times at once.
    TenTimes,
    /// Without a signature.
    Unsigned,
    /// Signed with another secret.
    Forged,
    /// With another body than the one that was signed.
    Altered,
    /// Signed an hour ago.
    Late,
    /// With 2 MiB of padding in its body, signed as it must be.
    Huge,
    /// About the account that is named, signed as it must be: what a vendor sends of somebody else.
    AboutAccount,
    /// As a fresh event with an id of its own.
    Fresh,
}

impl Vendor {
    /// Posts a challenge to a hook's address, which must come back as the answer.
    pub(crate) async fn challenge(&self, hook: &Hook) -> Result<(), ApiError> {
        let asked = random::credential("").map_err(|_| ApiError::internal())?;
        let body = json!({ "type": "challenge", "challenge": asked }).to_string();
        let now = self.0.clock.now_ms().div_euclid(1000);
        let headers = signed(&hook.secret, now, body.as_bytes()).ok_or_else(ApiError::internal)?;
        match send::post(&hook.url, &headers, body.as_bytes()).await {
            Ok((200, answer)) if answer.trim() == asked => Ok(()),
            _ => Err(ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "challenge_failed",
                "the hook's address did not answer the challenge with itself",
            )),
        }
    }

    /// Tells everybody who asked for it that something happened in an account.
    pub(crate) fn announce(&self, user: &str, kind: &str, what: &str, about: Value) {
        let Ok(id) = random::credential("evt_") else {
            return;
        };
        let event = json!({ "id": id, "type": kind, "account": user, what: about });
        let hooks: Vec<Hook> = {
            let state = self.state();
            let of_account = HookOf::Account(user.to_owned());
            let granted = |client: &str| {
                let mut grants = state.grants.in_force();
                grants.any(|(_, grant)| grant.client == client && grant.user == user)
            };
            let wanted = |hook: &&Hook| match &hook.of {
                HookOf::Client(client) => granted(client),
                own => *own == of_account,
            };
            let all = state.hooks.all.iter().filter(wanted);
            let kind_fits =
                |hook: &&Hook| hook.event.as_deref().is_none_or(|wanted| wanted == kind);
            all.filter(kind_fits).cloned().collect()
        };
        for hook in hooks {
            let Ok(id) = random::credential("d_") else {
                continue;
            };
            let delivery = Delivery {
                id,
                hook,
                body: event.to_string(),
                at: self.0.clock.now_ms().div_euclid(1000),
                answers: Vec::new(),
            };
            self.state().hooks.remember(delivery.clone());
            let vendor = self.clone();
            tokio::spawn(async move { vendor.deliver(&delivery).await });
        }
    }

    async fn deliver(&self, delivery: &Delivery) {
        for tried in 0..TRIES {
            let Some(mut headers) =
                signed(&delivery.hook.secret, delivery.at, delivery.body.as_bytes())
            else {
                return;
            };
            headers.push(("x-vendor-delivery", delivery.id.clone()));
            if tried > 0 {
                headers.push(("x-vendor-retry-num", tried.to_string()));
            }
            let answer = send::post(&delivery.hook.url, &headers, delivery.body.as_bytes()).await;
            let status = answer.map_or(0, |(status, _)| status);
            self.state().hooks.answered(&delivery.id, status);
            if (200..300).contains(&status) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Makes a delivery again, in this way; what was answered, 0 for no answer.
    pub(crate) async fn redeliver(
        &self,
        id: &str,
        how: How,
        account: Option<&str>,
    ) -> Result<Vec<u16>, ApiError> {
        let gone = || {
            ApiError::new(
                StatusCode::NOT_FOUND,
                "not_found",
                "there is no delivery under this id",
            )
        };
        let one = self.state().hooks.delivery(id).cloned().ok_or_else(gone)?;
        let now = self.0.clock.now_ms().div_euclid(1000);
        let mut event: Map<String, Value> =
            serde_json::from_str(&one.body).map_err(|_| ApiError::internal())?;
        let fresh = random::credential("evt_").map_err(|_| ApiError::internal())?;
        let mut at = now;
        let mut secret = one.hook.secret.clone();
        match how {
            How::Again => at = one.at,
            How::Late => at = now - LATE,
            How::Forged => secret = random::credential("").map_err(|_| ApiError::internal())?,
            How::Huge => {
                event.insert("padding".to_owned(), json!("x".repeat(HUGE)));
            }
            How::AboutAccount => {
                let account = account.unwrap_or_default();
                event.insert("account".to_owned(), json!(account));
                event.insert("id".to_owned(), json!(fresh));
            }
            How::Fresh => {
                event.insert("id".to_owned(), json!(fresh));
            }
            How::SignedAnew | How::TenTimes | How::Unsigned | How::Altered => {}
        }
        let body = match how {
            How::Again => one.body.clone(),
            _ => Value::Object(event).to_string(),
        };
        let mut headers = signed(&secret, at, body.as_bytes()).ok_or_else(ApiError::internal)?;
        headers.push(("x-vendor-delivery", one.id.clone()));
        if how == How::Unsigned {
            headers.retain(|(name, _)| *name != SIGNATURE);
        }
        let body = match how {
            How::Altered => body.replace("evt_", "evt_0"),
            _ => body,
        };
        let times = if how == How::TenTimes { 10 } else { 1 };
        let mut sending = tokio::task::JoinSet::new();
        for _ in 0..times {
            let (url, headers, body) = (one.hook.url.clone(), headers.clone(), body.clone());
            sending.spawn(async move {
                let answer = send::post(&url, &headers, body.as_bytes()).await;
                answer.map_or(0, |(status, _)| status)
            });
        }
        Ok(sending.join_all().await)
    }
}

/// The header of the signature.
const SIGNATURE: &str = "x-vendor-signature";

/// The headers of a delivery.
fn signed(secret: &str, at: i64, body: &[u8]) -> Option<Vec<(&'static str, String)>> {
    use hmac::Mac as _;
    let at = at.to_string();
    let mac = random::hmac(secret.as_bytes(), &[at.as_bytes(), b".", body])?;
    let signature = format!("v1={}", random::hex(&mac.finalize().into_bytes()));
    Some(vec![("x-vendor-timestamp", at), (SIGNATURE, signature)])
}
