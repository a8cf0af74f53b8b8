//! The signed requests of a sign-in by OAuth 1.0a, and what their answers say (RFC 5849, 2.1 and 2.3).

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use keyport_egress::{Body, Credential, Pass, Purpose, Secret};
use keyport_manifest::message::Decode;
use keyport_manifest::{AllowedHosts, HostPattern, Means, Oauth1Place, PlainResponse, Scope, Slot};
use keyport_vault::Owner;
use url::Url;

use super::broken;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::hidden::Hidden;
use crate::record::{Oauth1Token, SignedFlowSealed};
use crate::signing::oauth1::{Keys, Oauth1Signer};
use crate::signing::unsent;
use crate::use_::scope;

/// Answers with credentials are a line of text.
const MAX_ANSWER: u64 = 64 << 10;

impl Engine {
    /// Asks for temporary credentials.
    pub(super) async fn temporary(
        &self,
        owner: &Owner,
        sealed: &SignedFlowSealed,
    ) -> Result<Oauth1Token, ConnectError> {
        let further = vec![("oauth_callback", Hidden::new(sealed.callback.as_str()))];
        let answer = self
            .ask_signed(owner, sealed, &sealed.request_url, None, further)
            .await?;
        let form = answered(&answer)?;
        // RFC 5849, 2.1: it must be there and be true.
        if form.get("oauth_callback_confirmed").map(String::as_str) != Some("true") {
            return Err(refused(
                Means::Other,
                "callback_not_confirmed",
                "the app's sign-in is of a kind that is not safe; tell the operator",
            ));
        }
        token_of(&form)
    }

    /// Sends one signed request of the sign-in; once more where the app's clock turns out to be another one.
    async fn ask_signed(
        &self,
        owner: &Owner,
        sealed: &SignedFlowSealed,
        url: &str,
        token: Option<&Oauth1Token>,
        further: Vec<(&'static str, Hidden)>,
    ) -> Result<PlainResponse, ConnectError> {
        let url = Url::parse(url).map_err(|_| broken())?;
        let only: AllowedHosts = [HostPattern::of_url(&url).map_err(|_| broken())?]
            .into_iter()
            .collect();
        let time = self.time_at(url.host_str().unwrap_or_default());
        let secret = sealed.client.secret.clone().unwrap_or_default();
        let mut scrub = vec![Secret::new(secret.expose())];
        scrub.extend(token.map(|token| Secret::new(token.secret.expose())));
        let mut scope = Scope::new();
        scope.set("fields", scope::object(&sealed.fields));
        scope.set("credentials", scope::object(&sealed.credentials));
        let realm = match &sealed.rule.realm {
            Some(realm) => Some(realm.render(&scope, Slot::Raw).map_err(|_| broken())?),
            None => None,
        };
        let mut tried = false;
        loop {
            let mut pass = Pass::new(owner.as_str(), Purpose::Flow, only.clone());
            pass.limits.total = self.inner.options.token_request;
            pass.credential = Some(Credential {
                signer: Some(Arc::new(Oauth1Signer {
                    keys: Keys {
                        consumer_key: sealed.client.id.clone(),
                        consumer_secret: secret.clone(),
                        token: token
                            .map(|token| (token.token.expose().to_owned(), token.secret.clone())),
                    },
                    method: sealed.rule.signature,
                    // RFC 5849, 3.5.1 is what every server must read; some read nothing else here.
                    place: Oauth1Place::Header,
                    realm: realm.clone(),
                    further: further.clone(),
                    time: time.clone(),
                    entropy: Arc::clone(&self.inner.entropy),
                })),
                scrub: scrub.clone(),
                ..Credential::new(only.clone())
            });
            let request = http::Request::post(url.as_str())
                .body(Body::empty())
                .map_err(|_| broken())?;
            let answer = self
                .send_plain(&pass, request, MAX_ANSWER)
                .await
                .map_err(|error| unsent(&error))?;
            // OAuth Problem Reporting: the body says what the head may not. Nonces are new with every signature.
            let about_time = (400..500).contains(&answer.status)
                && String::from_utf8_lossy(&answer.body).contains("timestamp_refused");
            if !tried && about_time && time.learn(&date_of(&answer), true) {
                tried = true;
                continue;
            }
            return Ok(answer);
        }
    }

    /// Asks for the token that the temporary credentials and the verifier stand for.
    pub(super) async fn access_token(
        &self,
        owner: &Owner,
        sealed: &SignedFlowSealed,
        verifier: &Hidden,
        capture: &mut IndexMap<String, Hidden>,
    ) -> Result<Oauth1Token, ConnectError> {
        let temporary = sealed.temporary.as_ref().ok_or_else(broken)?;
        let answer = self
            .ask_signed(
                owner,
                sealed,
                &sealed.access_url,
                Some(temporary),
                vec![("oauth_verifier", verifier.clone())],
            )
            .await?;
        let form = answered(&answer)?;
        let body = answer.decoded(Decode::Form);
        for (name, declared) in &sealed.rule.capture {
            if declared.callback.is_some() {
                continue;
            }
            let found = declared.read(&answer, &body, None);
            match found.map(|found| declared.check(&found)) {
                Some(Some(value)) => {
                    capture.insert(name.clone(), Hidden::new(value));
                }
                None if !declared.required => {}
                Some(None) | None => {
                    return Err(refused(
                        Means::Other,
                        "capture_missing",
                        "the app's answer is not as its manifest says; tell the operator",
                    ));
                }
            }
        }
        token_of(&form)
    }
}

fn date_of(answer: &PlainResponse) -> http::HeaderMap {
    answer
        .header("date")
        .and_then(|date| http::HeaderValue::from_str(date).ok())
        .map(|date| (http::header::DATE, date))
        .into_iter()
        .collect()
}

/// A success's form; or what the refusal means.
fn answered(answer: &PlainResponse) -> Result<HashMap<String, String>, ConnectError> {
    match answer.status {
        200..=299 => Ok(url::form_urlencoded::parse(answer.body.trim_ascii())
            .into_owned()
            .collect()),
        408 | 429 | 500..=599 => Err(refused(
            Means::ProviderDown,
            "provider_down",
            "the app cannot sign anybody in at the moment; try again later",
        )),
        _ => Err(refused(
            Means::Other,
            "client_refused",
            "the app refuses this sign-in: its client's key or secret, or an answer that came too late",
        )),
    }
}

fn token_of(form: &HashMap<String, String>) -> Result<Oauth1Token, ConnectError> {
    let part = |name: &str| {
        form.get(name)
            .filter(|text| !text.is_empty())
            .map(|text| Hidden::new(text.as_str()))
            .ok_or_else(|| {
                refused(
                    Means::Other,
                    "token_answer_unreadable",
                    "the app gave an answer that cannot be read",
                )
            })
    };
    Ok(Oauth1Token {
        token: part("oauth_token")?,
        secret: part("oauth_token_secret")?,
    })
}

fn refused(means: Means, code: &str, say: &str) -> ConnectError {
    ConnectError::App {
        means,
        code: code.to_owned(),
        say: say.to_owned(),
        retry_after_ms: None,
    }
}
