//! The browser leaves with temporary credentials and comes back with what the person said to them.

use indexmap::IndexMap;
use keyport_vault::Expect;
use url::Url;

use super::broken;
use crate::connection::Fresh;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::flow::callback::{outcome, same_browser, unchanged, used};
use crate::flow::go::{BROWSER, cookie_name};
use crate::flow::problem;
use crate::hidden::Hidden;
use crate::ids;
use crate::record::{self, ConnectionSealed, Flow, Seal, SignedFlow, SignedFlowSealed, Stored};
use crate::view::{CallbackOutcome, CookieValue, FlowStatus, GoOutcome, Problem};

impl Engine {
    /// The browser leaves: temporary credentials are asked for, and bound to it.
    pub(in crate::flow) async fn go_signed(
        &self,
        stored: Stored<Flow>,
        signed: Stored<SignedFlow>,
    ) -> Result<GoOutcome, ConnectError> {
        let mut sealed = signed.sealed()?.clone();
        let asked = self.temporary(stored.owner(), &sealed).await;
        let temporary = match asked {
            Ok(temporary) => temporary,
            Err(error) => {
                let shown = problem(error.code(), &error.to_string(), stored.id());
                self.commit(vec![
                    self.fail_flow(&stored, &shown)?,
                    record::delete(&signed.id, Expect::Exists),
                ])
                .await?;
                self.tell("flow", stored.owner(), stored.id());
                return Err(error);
            }
        };
        let browser = ids::random_secret(self.inner.entropy.as_ref())?;
        let mut url = Url::parse(&sealed.authorize_url).map_err(|_| broken())?;
        url.query_pairs_mut()
            .append_pair("oauth_token", temporary.token.expose());
        sealed.temporary = Some(temporary);
        sealed.browser = Some(ids::hash(BROWSER, &browser));
        let mut clear = stored.clear.clone();
        clear.status = FlowStatus::Authorizing;
        self.commit(vec![
            record::put::<Flow>(&stored.id, Expect::At(stored.rev), &clear, Seal::Keep)?,
            record::put::<SignedFlow>(
                &signed.id,
                Expect::At(signed.rev),
                &signed.clear,
                Seal::Put(&sealed),
            )?,
        ])
        .await?;
        self.tell("flow", stored.owner(), stored.id());
        Ok(GoOutcome {
            authorize_url: self.inner.egress.origins().apply(&url).into(),
            cookie_name: cookie_name(stored.id()),
            cookie_value: CookieValue(browser),
            max_age_seconds: self.inner.options.flow.as_secs(),
        })
    }

    /// The browser comes back, for a flow of OAuth 1.0a; `None` where the flow is not one. The same order: nothing is changed before the
    /// browser has proven that it is its own flow; then one callback of any number gets on.
    pub(in crate::flow) async fn signed_callback<'p>(
        &self,
        configuration_id: &str,
        flow_id: &str,
        get: &(impl Fn(&str) -> Option<&'p str> + Sync),
        browser: &(dyn Fn(&str) -> Option<String> + Send + Sync),
    ) -> Result<Option<CallbackOutcome>, Problem> {
        let Some(signed) = self
            .signed_flow(flow_id)
            .await
            .map_err(|error| unchanged(&error))?
        else {
            // What a flow pins goes when it is spent; the flow itself still says that there was one.
            return match self.load::<Flow>(flow_id).await {
                Ok(flow) if flow.clear.status != FlowStatus::Authorizing => Err(used()),
                _ => Ok(None),
            };
        };
        let stored: Stored<Flow> = self
            .load(flow_id)
            .await
            .map_err(|error| unchanged(&error))?;
        if stored.clear.status != FlowStatus::Authorizing {
            return Err(used());
        }
        let sealed = signed.sealed().map_err(|_| used())?.clone();
        let cookie = browser(&cookie_name(flow_id));
        same_browser(cookie.as_deref(), sealed.browser.as_deref())?;
        let checked = if self.now() >= stored.clear.expires_at {
            Err(problem(
                "expired",
                "this took too long; start again",
                flow_id,
            ))
        } else if sealed.config != configuration_id {
            Err(problem(
                "mixed_up",
                "the answer came back to the wrong address; start again",
                flow_id,
            ))
        } else {
            returned(&sealed, get, flow_id)
        };
        let spent = record::delete(&signed.id, Expect::At(signed.rev));
        let (verifier, capture) = match checked {
            Ok(checked) => checked,
            Err(error) => {
                // Best effort: the sweep takes what is left.
                if let Err(error) = self.commit(vec![spent]).await {
                    tracing::info!(flow = flow_id, code = error.code(), "left to the sweep");
                }
                return Ok(Some(self.end_callback(stored, error).await));
            }
        };
        let flow = self.spend_flow(stored).await?;
        if let Err(error) = self.commit(vec![spent]).await {
            tracing::info!(flow = flow_id, code = error.code(), "left to the sweep");
        }
        let engine = self.clone();
        let finished = tokio::spawn(async move {
            engine.finish_signed(flow, sealed, &verifier, capture).await;
        })
        .await;
        if finished.is_err() {
            tracing::error!(flow = flow_id, "a sign-in failed on this host");
        }
        let flow = self
            .load::<Flow>(flow_id)
            .await
            .map_err(|error| unchanged(&error))?;
        Ok(Some(outcome(self, &flow)))
    }

    /// Gets the token for what the callback brought (R55), keeps it, and tests it. How it went is in the flow.
    async fn finish_signed(
        &self,
        flow: Stored<Flow>,
        sealed: SignedFlowSealed,
        verifier: &Hidden,
        mut capture: IndexMap<String, Hidden>,
    ) {
        let id = flow.id().to_owned();
        let granted = match self
            .access_token(flow.owner(), &sealed, verifier, &mut capture)
            .await
        {
            Ok(granted) => granted,
            Err(error) => {
                tracing::info!(flow = id, code = error.code(), "a token was not given");
                let shown = problem(error.code(), &format!("{error}; start again"), &id);
                self.end_flow(flow, shown).await;
                return;
            }
        };
        let fresh = Fresh {
            owner: flow.owner().clone(),
            app: flow.clear.app.clone(),
            method: sealed.method,
            config: Some(sealed.config),
            title: sealed.title,
            sealed: ConnectionSealed {
                fields: sealed.fields,
                credentials: sealed.credentials,
                oauth1: Some(granted),
                capture,
                ..ConnectionSealed::default()
            },
            replaces: sealed.reactivates,
            imported: false,
        };
        self.keep_and_test(flow, fresh).await;
    }
}

/// What a callback of OAuth 1.0a brings, checked against its flow. The error ends the flow.
fn returned<'p>(
    sealed: &SignedFlowSealed,
    get: &impl Fn(&str) -> Option<&'p str>,
    flow_id: &str,
) -> Result<(Hidden, IndexMap<String, Hidden>), Problem> {
    // Some apps say no by leaving the verifier out, some by a parameter of their own.
    if get("denied").is_some() || get("oauth_problem") == Some("user_refused") {
        return Err(problem(
            "denied",
            "you or the app said no; nothing was connected",
            flow_id,
        ));
    }
    let ours = sealed
        .temporary
        .as_ref()
        .is_some_and(|temporary| get("oauth_token") == Some(temporary.token.expose()));
    if !ours {
        return Err(problem(
            "mixed_up",
            "the answer is of another sign-in; nothing was connected. Start again",
            flow_id,
        ));
    }
    let verifier = get("oauth_verifier")
        .filter(|text| !text.is_empty())
        .ok_or_else(|| {
            problem(
                "missing_code",
                "the app did not say whether you agreed; start again",
                flow_id,
            )
        })?;
    let mut capture = IndexMap::new();
    for (id, declared) in &sealed.rule.capture {
        let Some(name) = &declared.callback else {
            continue;
        };
        match get(name).filter(|value| !value.is_empty()) {
            Some(value) => {
                let value = declared.check(value).ok_or_else(|| {
                    problem(
                        "capture_not_allowed",
                        "the app's answer holds something that is not allowed there; tell the operator",
                        flow_id,
                    )
                })?;
                capture.insert(id.clone(), Hidden::new(value));
            }
            None if declared.required => {
                return Err(problem(
                    "capture_missing",
                    "the app's answer is not complete; start again",
                    flow_id,
                ));
            }
            None => {}
        }
    }
    Ok((Hidden::new(verifier), capture))
}
