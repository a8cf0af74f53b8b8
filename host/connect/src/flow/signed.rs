//! Sign-in by OAuth 1.0a (RFC 5849, part 2): temporary credentials, the app's own page, the token.
//!
//! There is no state in OAuth 1.0a. What binds the answer to the flow is that the callback's path names the app
//! configuration and its query the flow (`keyport_flow`, put there by us and returned by the app), that the browser has the
//! cookie of that flow, and that `oauth_token` is the temporary one that was issued for it (R55, R56). Without
//! `oauth_callback_confirmed=true` the app speaks the first version of the protocol, in which anybody could finish somebody
//! else's sign-in: it is refused.

use indexmap::IndexMap;
use keyport_egress::{Body, Credential, Pass, Purpose, Secret};
use keyport_manifest::message::Decode;
use keyport_manifest::resolve::url_of;
use keyport_manifest::{
    AllowedHosts, HostPattern, Means, Oauth1, Oauth1Place, PlainResponse, Scope, Slot, Template,
};
use keyport_vault::{Expect, Owner};
use std::sync::Arc;
use url::Url;

use super::callback::{neutral, outcome};
use super::go::{BROWSER, cookie_name};
use super::problem;
use crate::actor::Actor;
use crate::configuration::{check_offered, pins};
use crate::connection::Fresh;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::flow::fields;
use crate::hidden::Hidden;
use crate::ids;
use crate::record::{
    self, ConnectionSealed, Entity as _, Flow, FlowClear, Oauth1Token, Seal, SignedFlow,
    SignedFlowClear, SignedFlowSealed, Stored,
};
use crate::signing::oauth1::{Keys, Oauth1Signer};
use crate::signing::{oauth1_client, unsent};
use crate::use_::scope;
use crate::view::{
    CallbackOutcome, CookieValue, FlowStarted, FlowStatus, GoOutcome, OauthStart, Problem,
    SessionCtx,
};

/// The parameter of our callback that names the flow.
pub(super) const FLOW: &str = "keyport_flow";
/// Answers with credentials are a line of text.
const MAX_ANSWER: u64 = 64 << 10;

impl Engine {
    /// Begins a sign-in. Nothing leaves this host yet.
    pub(super) async fn start_signed(
        &self,
        session: &SessionCtx,
        start: OauthStart,
        rule: Oauth1,
    ) -> Result<FlowStarted, ConnectError> {
        let entry = self.inner.catalogue.get(&start.app)?.clone();
        let reactivates = self
            .reactivated(session, &start.app, start.connection_id.as_deref())
            .await?;
        let stored = reactivates
            .as_ref()
            .filter(|old| old.clear.method == start.method)
            .and_then(|old| old.sealed.as_ref());
        let typed = fields::parse(&entry, &start.method, &start.fields, stored)?;
        let title = start
            .title
            .as_deref()
            .map(|title| self.check_name("title", title))
            .transpose()?;
        let wanted = start.config.as_deref().or(reactivates
            .as_ref()
            .and_then(|old| old.clear.config.as_deref()));
        let config = match self.configuration_for(entry.id(), wanted).await? {
            Some(config) => config,
            None => self.ensure_configuration(&entry).await?,
        };
        check_offered(
            &entry.manifest,
            &start.method,
            entry.method(&start.method)?,
            Some(config.sealed()?),
        )?;
        let known = entry.manifest.with_variant(&scope::of_typed(&typed));
        let request_url = endpoint(rule.request_token_url.as_ref(), &known)?;
        let authorize_url = endpoint(rule.authorize_url.as_ref(), &known)?;
        let access_url = endpoint(rule.access_token_url.as_ref(), &known)?;
        let authorize_url = with_params(authorize_url, &rule, &known)?;
        let operators = pins(config.sealed()?);
        let client = oauth1_client(&rule, &known, Some(config.sealed()?), || {
            [&request_url, &access_url]
                .into_iter()
                .all(|url| operators.allows(url))
        })?;
        let entropy = self.inner.entropy.as_ref();
        let id = ids::random_id(entropy, Flow::PREFIX)?;
        let mut callback = Url::parse(&self.redirect_uri(config.id())).map_err(|_| broken())?;
        callback.query_pairs_mut().append_pair(FLOW, &id);
        let sealed = SignedFlowSealed {
            method: start.method,
            config: config.id().to_owned(),
            rule,
            client,
            request_url: request_url.into(),
            authorize_url: authorize_url.into(),
            access_url: access_url.into(),
            callback: callback.into(),
            temporary: None,
            browser: None,
            fields: typed.fields,
            credentials: typed.credentials,
            title,
            reactivates: reactivates.map(|old| old.id().to_owned()),
        };
        let expires_at = self.after(self.inner.options.flow);
        let clear = FlowClear {
            app: start.app,
            session: session.id.clone(),
            session_kind: session.kind,
            status: FlowStatus::Started,
            mode: start.mode,
            connection_id: None,
            error: None,
            created_at: self.now(),
            expires_at,
            choosing: None,
            poll_at: None,
        };
        let at = record::record_id::<Flow>(&session.owner, &id);
        let beside = record::record_id::<SignedFlow>(&session.owner, &id);
        let actor = Actor::Session(session.clone());
        let rev = self
            .commit(vec![
                record::put::<Flow>(&at, Expect::Absent, &clear, Seal::Keep)?,
                record::put::<SignedFlow>(
                    &beside,
                    Expect::Absent,
                    &SignedFlowClear { expires_at },
                    Seal::Put(&sealed),
                )?,
                self.note(
                    Note::by(&actor, "flow.started")
                        .owner(&session.owner)
                        .app(&clear.app)
                        .code(&id),
                )?,
            ])
            .await?;
        let stored: Stored<Flow> = Stored {
            id: at,
            rev,
            clear,
            sealed: None,
            damaged: false,
        };
        Ok(FlowStarted {
            flow: super::bare_view(&stored),
            go_url: format!("/page/go/{id}"),
        })
    }

    /// What a flow pins, if it is one of OAuth 1.0a.
    pub(super) async fn signed_flow(
        &self,
        flow_id: &str,
    ) -> Result<Option<Stored<SignedFlow>>, ConnectError> {
        match self.load::<SignedFlow>(flow_id).await {
            Ok(signed) => Ok(Some(signed)),
            Err(ConnectError::NotFound { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// The browser leaves: temporary credentials are asked for, and bound to it.
    pub(super) async fn go_signed(
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

    async fn temporary(
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

    /// The browser comes back, for a flow of OAuth 1.0a; `None` where the flow is not one. The same order: nothing is changed before the
    /// browser has proven that it is its own flow; then one callback of any number gets on.
    pub(super) async fn signed_callback<'p>(
        &self,
        configuration_id: &str,
        flow_id: &str,
        get: &(impl Fn(&str) -> Option<&'p str> + Sync),
        browser: &(dyn Fn(&str) -> Option<String> + Send + Sync),
    ) -> Result<Option<CallbackOutcome>, Problem> {
        let broken = |error: ConnectError| neutral(error.code(), &error.to_string());
        let used = || {
            neutral(
                "already_used",
                "this sign-in was finished already, or has ended; go back to where you came from",
            )
        };
        let Some(signed) = self.signed_flow(flow_id).await.map_err(broken)? else {
            return Ok(None);
        };
        let stored: Stored<Flow> = self.load(flow_id).await.map_err(broken)?;
        if stored.clear.status != FlowStatus::Authorizing {
            return Err(used());
        }
        let sealed = signed.sealed().map_err(|_| used())?.clone();
        let cookie = browser(&cookie_name(flow_id));
        let same_browser = matches!((&cookie, &sealed.browser), (Some(given), Some(kept)) if ids::matches(BROWSER, given, kept));
        if !same_browser {
            return Err(neutral(
                "wrong_browser",
                "this sign-in was started in another browser; nothing was connected. Start again in this one",
            ));
        }
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
        // The flow is spent here, before the verifier is: of any number of callbacks one gets past this line.
        let mut clear = stored.clear.clone();
        clear.status = FlowStatus::Exchanging;
        let write = record::put::<Flow>(&stored.id, Expect::At(stored.rev), &clear, Seal::Keep)
            .map_err(broken)?;
        let committed = self.commit(vec![write]).await;
        let rev = committed.map_err(|error| match error {
            ConnectError::Stale => used(),
            other => broken(other),
        })?;
        if let Err(error) = self.commit(vec![spent]).await {
            tracing::info!(flow = flow_id, code = error.code(), "left to the sweep");
        }
        let flow: Stored<Flow> = Stored {
            rev,
            clear,
            ..stored
        };
        self.tell("flow", flow.owner(), flow.id());
        let engine = self.clone();
        let finished = tokio::spawn(async move {
            engine.finish_signed(flow, sealed, &verifier, capture).await;
        })
        .await;
        if finished.is_err() {
            tracing::error!(flow = flow_id, "a sign-in failed on this host");
        }
        let flow = self.load::<Flow>(flow_id).await.map_err(broken)?;
        Ok(Some(outcome(self, &flow)))
    }

    /// Gets the token for what the callback brought (R55), keeps it, and tests it. How it went is in the flow.
    pub(super) async fn finish_signed(
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
        let tried = match self.keep_pending(fresh, Some(&flow)).await {
            Ok(pending) => self.try_pending(pending.id()).await,
            Err(ConnectError::Stale) => {
                tracing::info!(
                    flow = id,
                    "the person cancelled while the token was on its way"
                );
                return;
            }
            Err(error) => {
                self.end_flow(flow, problem(error.code(), &error.to_string(), &id))
                    .await;
                return;
            }
        };
        if let Err(error) = tried {
            tracing::info!(
                flow = id,
                code = error.code(),
                "a fresh sign-in did not pass its test"
            );
        }
    }

    async fn access_token(
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

/// What a callback of OAuth 1.0a brings, checked against its flow. The error ends the flow.
pub(super) fn returned<'p>(
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

fn endpoint(template: Option<&Template>, known: &Scope) -> Result<Url, ConnectError> {
    let template = template.ok_or_else(broken)?;
    url_of(template, known).map_err(|error| {
        ConnectError::invalid(
            "fields",
            format!("no safe address can be made of what was entered: {error}"),
        )
    })
}

fn with_params(mut url: Url, rule: &Oauth1, known: &Scope) -> Result<Url, ConnectError> {
    let mut params: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    for (name, template) in &rule.authorize_params {
        // The browser sees this URL, and what the flow itself puts there is the flow's.
        if name.starts_with("oauth_") {
            continue;
        }
        let value = template
            .render_optional(known, Slot::Raw)
            .map_err(|_| broken())?
            .unwrap_or_default();
        params.retain(|(known, _)| known != name);
        params.push((name.clone(), value));
    }
    params.retain(|(name, value)| name != "oauth_token" && !value.is_empty());
    url.query_pairs_mut().clear().extend_pairs(params);
    if url.query() == Some("") {
        url.set_query(None);
    }
    Ok(url)
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
fn answered(
    answer: &PlainResponse,
) -> Result<std::collections::HashMap<String, String>, ConnectError> {
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

fn token_of(form: &std::collections::HashMap<String, String>) -> Result<Oauth1Token, ConnectError> {
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

fn broken() -> ConnectError {
    ConnectError::misconfigured(
        "bad_authorize_url",
        "this app's sign-in address cannot be used; tell the operator",
    )
}
