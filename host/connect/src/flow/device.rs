//! Sign-in by a code that the person types on the app's own page (RFC 8628).
//!
//! Nothing comes back to this host, so it asks: one request per tick, at the server's pace, by whoever's turn it is. The
//! codes are sealed with the flow and the time of the next question stands beside them, so a host that starts again goes on
//! where the last one stopped, and of two hosts one asks. A question begins by moving that time on: whoever does not get to
//! write it does not ask. Cancelling the flow ends the questions.
//!
//! Threat (A34): a code that somebody else is made to type connects their account here. The page says what is connected and
//! for whom, the code is good once and for at most ten minutes, and only the session that began sees it.

use keyport_manifest::PlainResponse;
use keyport_vault::{Expect, Owner};
use serde_json::Value;
use url::Url;

use super::finish::exchange_error;
use super::problem;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::hidden::Hidden;
use crate::record::{self, DeviceCode, Flow, FlowClear, FlowSealed, Seal, Stored};
use crate::token::client::{For, TokenClient, TokenFailure};
use crate::token::exchange::{flow_scope, known, token_scope};
use crate::view::{self, FlowStatus};

/// The grant (RFC 8628, 3.4).
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Milliseconds between questions where the server says nothing, and what `slow_down` adds (RFC 8628, 3.5).
const STEP: i64 = 5_000;
/// The longest pause, however often the server could not be reached.
const LONGEST_PAUSE: i64 = 60_000;
/// The longest code that a person can be asked to type.
const LONGEST_CODE: usize = 64;

impl Engine {
    /// Asks the app for a device's codes and puts them into the flow.
    pub(super) async fn ask_for_codes(
        &self,
        owner: &Owner,
        sealed: &mut FlowSealed,
        clear: &mut FlowClear,
    ) -> Result<(), ConnectError> {
        let response = {
            let seen = token_scope(flow_scope(sealed), &sealed.client, self.now());
            let client = self.device_client(owner, &clear.app, sealed, &seen, For::Other);
            let url = known(sealed.endpoints.device.as_ref(), "bad_device_url")?;
            let scopes = sealed.scopes.iter().map(String::as_str);
            let params: Vec<(String, String)> = sealed
                .oauth
                .scopes
                .join(scopes)
                .map(|scopes| (sealed.oauth.scopes.param.clone(), scopes))
                .into_iter()
                .collect();
            client.send(&url, &params).await?
        };
        let (code, lives) = read(&response)?;
        let now = self.now();
        clear.expires_at = clear.expires_at.min(now.saturating_add(lives));
        clear.poll_at = Some(now.saturating_add(code.interval));
        clear.status = FlowStatus::Authorizing;
        sealed.device = Some(code);
        Ok(())
    }

    fn device_client<'a>(
        &'a self,
        owner: &'a Owner,
        app: &'a str,
        sealed: &'a FlowSealed,
        scope: &'a keyport_manifest::Scope,
        purpose: For,
    ) -> TokenClient<'a> {
        TokenClient {
            engine: self,
            owner,
            app,
            method: &sealed.method,
            oauth: &sealed.oauth,
            keys: &sealed.client,
            endpoints: &sealed.endpoints,
            scope,
            purpose,
        }
    }

    /// Asks at the server's pace until the flow has ended. A host that stops leaves the rest to the sweep of another.
    pub(super) fn follow_device(&self, flow_id: &str) {
        let (engine, id) = (self.clone(), flow_id.to_owned());
        tokio::spawn(async move {
            while let Ok(stored) = engine.load::<Flow>(&id).await {
                let Some(at) = stored.clear.poll_at.filter(|_| waits(&stored.clear)) else {
                    return;
                };
                let pause = u64::try_from(at.saturating_sub(engine.now())).unwrap_or(0);
                tokio::time::sleep(std::time::Duration::from_millis(pause.max(100))).await;
                if engine.poll_device(&id).await.is_err() {
                    return;
                }
            }
        });
    }

    /// One question, if it is time for one: whether the person has agreed.
    ///
    /// # Errors
    ///
    /// When the store cannot be read. How the app answered is in the flow.
    pub(crate) async fn poll_device(&self, flow_id: &str) -> Result<(), ConnectError> {
        let stored: Stored<Flow> = self.load(flow_id).await?;
        let now = self.now();
        let due = stored.clear.poll_at.is_some_and(|at| now >= at);
        if !waits(&stored.clear) || !due {
            return Ok(());
        }
        if now >= stored.clear.expires_at {
            let late = problem("expired", "this took too long; start again", flow_id);
            self.end_flow(stored, late).await;
            return Ok(());
        }
        if self.session_is_closed(&stored.clear.session).await? {
            let over = problem(
                "session_over",
                "this sign-in was left; start again",
                flow_id,
            );
            self.end_flow(stored, over).await;
            return Ok(());
        }
        let sealed = stored.sealed()?.clone();
        let Some(device) = sealed.device.clone() else {
            return Ok(());
        };
        // The turn is taken before the question leaves: whoever comes second finds the time moved on.
        let Some(stored) = self.move_on(stored, device.interval, None).await? else {
            return Ok(());
        };
        let answer = {
            let seen = token_scope(flow_scope(&sealed), &sealed.client, now);
            let client = self.device_client(
                stored.owner(),
                &stored.clear.app,
                &sealed,
                &seen,
                For::Grant,
            );
            let url = known(sealed.endpoints.token.as_ref(), "bad_token_url")?;
            let params = [
                ("grant_type".to_owned(), DEVICE_CODE.to_owned()),
                ("device_code".to_owned(), device.code.expose().to_owned()),
            ];
            match client.ask(&url, &params).await {
                Ok(answer) => Box::pin(self.granted(&client, answer, 1, None, None)).await,
                Err(failure) => Err(failure),
            }
        };
        match answer {
            Ok(granted) => Box::pin(self.device_agreed(stored, sealed, granted)).await,
            Err(failure) => self.device_waits(stored, sealed, device, failure).await,
        }
    }

    async fn device_agreed(
        &self,
        stored: Stored<Flow>,
        sealed: FlowSealed,
        granted: crate::token::exchange::Granted,
    ) -> Result<(), ConnectError> {
        let mut clear = stored.clear.clone();
        clear.status = FlowStatus::Exchanging;
        clear.poll_at = None;
        let write = record::put::<Flow>(&stored.id, Expect::At(stored.rev), &clear, Seal::Keep)?;
        let flow = match self.commit(vec![write]).await {
            Ok(rev) => Stored {
                rev,
                clear,
                ..stored
            },
            // Cancelled while the question was out: what came is kept just long enough to be ended at the app.
            Err(ConnectError::Stale) => stored,
            Err(other) => return Err(other),
        };
        self.finish_sign_in(flow, sealed, Ok(granted), indexmap::IndexMap::new())
            .await;
        Ok(())
    }

    /// The person has not typed the code yet, or never will.
    async fn device_waits(
        &self,
        stored: Stored<Flow>,
        mut sealed: FlowSealed,
        mut device: DeviceCode,
        failure: TokenFailure,
    ) -> Result<(), ConnectError> {
        let id = stored.id().to_owned();
        let ended = match (failure.code(), &failure) {
            ("authorization_pending", _) => return Ok(()),
            // It stays slower (RFC 8628, 3.5).
            ("slow_down", _) => {
                device.interval = device.interval.saturating_add(STEP);
                None
            }
            ("access_denied", _) => Some(problem(
                "denied",
                "you or the app said no; nothing was connected",
                &id,
            )),
            ("expired_token", _) => Some(problem(
                "expired",
                "the code was not typed in time; start again",
                &id,
            )),
            // Twice as long each time the server cannot be reached.
            (_, TokenFailure::Down { .. }) => {
                device.interval = device.interval.saturating_mul(2).min(LONGEST_PAUSE);
                None
            }
            _ => Some(exchange_error(&failure, &id)),
        };
        match ended {
            Some(error) => {
                self.end_flow(stored, error).await;
            }
            None => {
                let interval = device.interval;
                sealed.device = Some(device);
                self.move_on(stored, interval, Some(&sealed)).await?;
            }
        }
        Ok(())
    }

    /// Sets the time of the next question. `None` when somebody else has changed the flow: it is theirs then.
    async fn move_on(
        &self,
        mut stored: Stored<Flow>,
        interval: i64,
        sealed: Option<&FlowSealed>,
    ) -> Result<Option<Stored<Flow>>, ConnectError> {
        stored.clear.poll_at = Some(self.now().saturating_add(interval));
        let seal = sealed.map_or(Seal::Keep, Seal::Put);
        let write = record::put::<Flow>(&stored.id, Expect::At(stored.rev), &stored.clear, seal)?;
        match self.commit(vec![write]).await {
            Ok(rev) => {
                stored.rev = rev;
                Ok(Some(stored))
            }
            Err(ConnectError::Stale) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

/// Whether a flow waits for a device's code to be typed.
pub(crate) fn waits(clear: &FlowClear) -> bool {
    clear.status == FlowStatus::Authorizing && clear.poll_at.is_some()
}

/// What the page shows of a device's code.
pub(super) fn shown(device: &DeviceCode, expires_at: i64) -> view::DeviceCode {
    view::DeviceCode {
        user_code: device.user_code.clone(),
        verification_uri: device.verification_uri.clone(),
        verification_uri_complete: device.complete.clone(),
        expires_at: crate::clock::rfc3339(expires_at),
    }
}

/// The codes of an answer (RFC 8628, 3.2), and how long they live. What a person is to see is held to what can be shown as
/// text and gone to: an https address without user-info, a code of printable characters (R39).
fn read(response: &PlainResponse) -> Result<(DeviceCode, i64), TokenFailure> {
    let unreadable = |code: &str| TokenFailure::Unreadable { code: code.into() };
    let document = response.json();
    if response.status != 200 {
        let error = document
            .as_ref()
            .and_then(|document| document.get("error")?.as_str())
            .unwrap_or_default();
        return Err(match (response.status, error) {
            (408 | 425 | 429 | 500..=599, _) => TokenFailure::Down {
                code: format!("http_{}", response.status),
                unseen: false,
                retry_after_ms: None,
            },
            (_, "invalid_client" | "unauthorized_client" | "invalid_scope" | "invalid_request") => {
                TokenFailure::misconfigured(error)
            }
            (status, _) => unreadable(&format!("http_{status}")),
        });
    }
    let document = document.ok_or_else(|| unreadable("not_json"))?;
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let code = text("device_code").filter(|code| !code.is_empty());
    let code = code.ok_or_else(|| unreadable("no_device_code"))?;
    let user_code = text("user_code")
        .filter(|code| !code.is_empty() && code.len() <= LONGEST_CODE)
        .filter(|code| code.chars().all(|c| c.is_ascii_graphic() || c == ' '))
        .ok_or_else(|| unreadable("bad_user_code"))?;
    // `verification_url` is what servers from before the standard say.
    let page = text("verification_uri")
        .or_else(|| text("verification_url"))
        .and_then(page)
        .ok_or_else(|| unreadable("bad_verification_uri"))?;
    let complete = text("verification_uri_complete")
        .and_then(self::page)
        .filter(|whole| whole.origin() == page.origin());
    let seconds = |name: &str| match document.get(name) {
        Some(Value::Number(n)) => n.as_i64(),
        Some(Value::String(s)) => s.trim().parse().ok(),
        _ => None,
    };
    let lives = seconds("expires_in")
        .filter(|s| (1..=86_400).contains(s))
        .ok_or_else(|| unreadable("no_expires_in"))?;
    let interval = seconds("interval").filter(|s| (1..=300).contains(s));
    let device = DeviceCode {
        code: Hidden::new(code),
        user_code: user_code.to_owned(),
        verification_uri: page.into(),
        complete: complete.map(String::from),
        interval: interval.map_or(STEP, |s| s * 1000),
    };
    Ok((device, lives * 1000))
}

/// An address that a person can be sent to.
fn page(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|_| text.len() <= 2048)?;
    let plain = url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
    plain.then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(document: Value) -> Result<(DeviceCode, i64), TokenFailure> {
        read(&PlainResponse {
            status: 200,
            headers: Vec::new(),
            body: document.to_string().into_bytes(),
        })
    }

    /// R39: what is shown is text, and what is gone to is https.
    #[test]
    fn r39_only_a_plain_code_and_an_https_page_are_shown_to_a_person() {
        let sound = json!({"device_code": "d", "user_code": "WDJB-MJHT", "verification_uri": "https://a.example/device", "expires_in": 1800});
        let with = |name: &str, value: Value| {
            let mut document = sound.clone();
            document[name] = value;
            answer(document)
        };
        let (device, lives) = answer(sound.clone()).unwrap();
        assert_eq!((device.interval, lives), (5_000, 1_800_000));
        for uri in [
            "http://a.example/device",
            "javascript:alert(1)",
            "https://u:p@a.example/",
            "/device",
        ] {
            let refused = with("verification_uri", json!(uri)).err().unwrap();
            assert_eq!(refused.code(), "bad_verification_uri", "{uri}");
        }
        for code in ["", "<b>\u{7}</b>", "пароль", &"A".repeat(65)] {
            let refused = with("user_code", json!(code)).err().unwrap();
            assert_eq!(refused.code(), "bad_user_code", "{code}");
        }
        // A shortcut to another site is no shortcut.
        let (device, _) = with(
            "verification_uri_complete",
            json!("https://evil.example/device?user_code=WDJB-MJHT"),
        )
        .unwrap();
        assert_eq!(device.complete, None);
        assert_eq!(with("interval", json!("7")).unwrap().0.interval, 7_000);
    }
}
