//! The browser comes back from the app: every check before the code is redeemed, and then once.
//!
//! The order matters. Whatever does not prove that it belongs to a flow *of this browser* changes nothing (`Neutral`):
//! unknown state, used state, another browser, doubled parameters. What does belong to it but is wrong (another
//! configuration's path, another issuer, an error from the app) ends the flow without a token request. Only then is the
//! flow moved on by compare-and-swap, which one of any number of parallel callbacks wins, and the code redeemed in a task
//! that outlives the browser's request.

use indexmap::IndexMap;
use keyport_vault::Expect;

use super::start::{BROWSER, STATE, cookie_name};
use super::{bare_view, problem};
use crate::connection::Fresh;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::hidden::Hidden;
use crate::ids;
use crate::record::{self, ConnectionSealed, Entity as _, Flow, FlowSealed, Seal, Stored};
use crate::token::client::TokenFailure;
use crate::view::{CallbackNext, CallbackOutcome, FlowMode, FlowStatus, Problem, SessionKind};

impl Engine {
    /// What a callback of `configuration_id` with these parameters does. `browser` gives the value of one of the
    /// request's cookies by its name (see [`crate::view::GoOutcome::cookie_name`]).
    pub async fn callback(
        &self,
        configuration_id: &str,
        params: Vec<(String, String)>,
        browser: &(dyn Fn(&str) -> Option<String> + Send + Sync),
    ) -> CallbackOutcome {
        match self.callback_of(configuration_id, &params, browser).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::info!(
                    code = error.code,
                    configuration = configuration_id,
                    "a callback changed nothing"
                );
                CallbackOutcome {
                    flow: None,
                    next: CallbackNext::Neutral,
                    error: Some(error),
                    clear_cookie: None,
                }
            }
        }
    }

    async fn callback_of(
        &self,
        configuration_id: &str,
        params: &[(String, String)],
        browser: &(dyn Fn(&str) -> Option<String> + Send + Sync),
    ) -> Result<CallbackOutcome, Problem> {
        let neutral = |code: &str, say: &str| Problem {
            code: code.to_owned(),
            say: say.to_owned(),
            reference: None,
        };
        if params
            .iter()
            .enumerate()
            .any(|(at, (name, _))| params.iter().skip(at + 1).any(|(other, _)| other == name))
        {
            return Err(neutral(
                "duplicate_parameter",
                "the app's answer is not clear; start again from where you came from",
            ));
        }
        let get = |name: &str| {
            params
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
        };
        let unknown = || {
            neutral(
                "unknown_state",
                "this sign-in is not known here, or has ended; start again from where you came from",
            )
        };
        let (flow_id, state) = get("state")
            .and_then(|state| ids::split_bearer(Flow::PREFIX, state))
            .ok_or_else(unknown)?;
        let stored: Stored<Flow> = match self.load(flow_id).await {
            Ok(stored) => stored,
            Err(ConnectError::NotFound { .. }) => return Err(unknown()),
            Err(other) => return Err(neutral(other.code(), &other.to_string())),
        };
        if stored.clear.status != FlowStatus::Authorizing {
            return Err(neutral(
                "already_used",
                "this sign-in was finished already, or has ended; go back to where you came from",
            ));
        }
        let sealed = stored.sealed().map_err(|_| unknown())?;
        if !sealed
            .state
            .as_deref()
            .is_some_and(|kept| ids::matches(STATE, state, kept))
        {
            return Err(unknown());
        }
        let cookie = browser(&cookie_name(flow_id));
        let same_browser = matches!((&cookie, &sealed.browser), (Some(given), Some(kept)) if ids::matches(BROWSER, given, kept));
        if !same_browser {
            return Err(neutral(
                "wrong_browser",
                "this sign-in was started in another browser; nothing was connected. Start again in this one",
            ));
        }

        // From here on it is this browser's own flow: what is wrong ends it.
        let refused = if self.now() >= stored.clear.expires_at {
            Some(problem(
                "expired",
                "this took too long; start again",
                flow_id,
            ))
        } else if sealed.config != configuration_id {
            Some(problem(
                "mixed_up",
                "the answer came back to the wrong address; start again",
                flow_id,
            ))
        } else if let Some(error) = issuer(sealed, get("iss"), flow_id) {
            Some(error)
        } else if let Some(error) = get("error") {
            Some(app_error(error, flow_id))
        } else if get("code").is_none_or(str::is_empty) {
            Some(problem(
                "missing_code",
                "the app did not say whether you agreed; start again",
                flow_id,
            ))
        } else {
            None
        };
        if let Some(error) = refused {
            return Ok(self.end_callback(stored, error).await);
        }
        let capture = match callback_captures(sealed, &get) {
            Ok(capture) => capture,
            Err(error) => {
                return Ok(self
                    .end_callback(
                        stored,
                        Problem {
                            reference: Some(flow_id.to_owned()),
                            ..error
                        },
                    )
                    .await);
            }
        };

        // The flow is spent here, before the code is: of any number of callbacks one gets past this line.
        let mut clear = stored.clear.clone();
        clear.status = FlowStatus::Exchanging;
        let write = record::put::<Flow>(&stored.id, Expect::At(stored.rev), &clear, Seal::Keep)
            .map_err(|error| neutral(error.code(), &error.to_string()))?;
        let rev = self
            .commit(vec![write])
            .await
            .map_err(|error| match error {
                ConnectError::Stale => neutral(
                    "already_used",
                    "this sign-in was finished already; go back to where you came from",
                ),
                other => neutral(other.code(), &other.to_string()),
            })?;
        let sealed = sealed.clone();
        let flow: Stored<Flow> = Stored {
            rev,
            clear,
            ..stored
        };
        self.tell("flow", flow.owner(), flow.id());
        let (owner, id, code) = (
            flow.owner().clone(),
            flow.id().to_owned(),
            Hidden::new(get("code").unwrap_or_default()),
        );
        let engine = self.clone();
        let finished =
            tokio::spawn(async move { engine.finish_callback(flow, sealed, &code, capture).await })
                .await;
        if finished.is_err() {
            tracing::error!(flow = id, "a sign-in failed on this host");
        }
        match self.load::<Flow>(&id).await {
            Ok(flow) => Ok(outcome(self, &flow)),
            Err(error) => {
                tracing::error!(flow = id, %owner, code = error.code(), "a finished sign-in cannot be read");
                Err(neutral(error.code(), &error.to_string()))
            }
        }
    }

    /// Redeems the code, keeps what came, and tests it. How it went is in the flow.
    async fn finish_callback(
        &self,
        flow: Stored<Flow>,
        sealed: FlowSealed,
        code: &Hidden,
        capture: IndexMap<String, Hidden>,
    ) {
        let id = flow.id().to_owned();
        let granted = match self
            .exchange(flow.owner(), &sealed, code.expose(), &capture)
            .await
        {
            Ok(granted) => granted,
            Err(failure) => {
                tracing::info!(flow = id, code = failure.code(), "a code was not redeemed");
                self.end_callback(flow, exchange_error(&failure, &id)).await;
                return;
            }
        };
        let mut all = capture;
        all.extend(granted.capture);
        let fresh = Fresh {
            owner: flow.owner().clone(),
            app: flow.clear.app.clone(),
            method: sealed.method,
            config: Some(sealed.config),
            title: sealed.title,
            sealed: ConnectionSealed {
                fields: sealed.fields,
                credentials: sealed.credentials,
                token: Some(granted.token),
                capture: all,
                // RFC 6749, 5.1: what is not said was granted as asked.
                scopes: granted.scopes.unwrap_or_else(|| sealed.scopes.clone()),
                asked: sealed.scopes,
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
                    "the person cancelled while the code was redeemed; the grant was let go"
                );
                return;
            }
            Err(error) => {
                self.end_callback(flow, problem(error.code(), &error.to_string(), &id))
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

    /// Ends a flow with an error and says where the browser goes.
    async fn end_callback(&self, stored: Stored<Flow>, error: Problem) -> CallbackOutcome {
        let written = match self.fail_flow(&stored, &error) {
            Ok(write) => self.commit(vec![write]).await,
            Err(unwritable) => Err(unwritable),
        };
        if let Err(unwritten) = written {
            tracing::warn!(
                flow = stored.id(),
                code = unwritten.code(),
                "a failed sign-in was not written down"
            );
        }
        self.tell("flow", stored.owner(), stored.id());
        let mut stored = stored;
        stored.clear.status = FlowStatus::Failed;
        stored.clear.error = Some(error);
        outcome(self, &stored)
    }
}

/// Where the browser goes next. The page there asks the server how it went; nothing of it is in the address.
fn outcome(engine: &Engine, stored: &Stored<Flow>) -> CallbackOutcome {
    let next = match stored.clear.mode {
        FlowMode::Popup => CallbackNext::ClosePopup,
        FlowMode::Redirect => {
            let page = match stored.clear.session_kind {
                SessionKind::Connect => "/connect",
                SessionKind::Manage => "/apps",
            };
            CallbackNext::Redirect(engine.here(&format!("{page}?flow={}", stored.id())))
        }
    };
    CallbackOutcome {
        flow: Some(bare_view(stored)),
        next,
        error: stored.clear.error.clone(),
        clear_cookie: Some(cookie_name(stored.id())),
    }
}

/// RFC 9207: what is sent must be the issuer, exactly; where it is always sent, it must be there. Errors too.
fn issuer(sealed: &FlowSealed, given: Option<&str>, flow_id: &str) -> Option<Problem> {
    let wrong = || {
        Some(problem(
            "wrong_issuer",
            "the answer is not from the app that you went to; nothing was connected",
            flow_id,
        ))
    };
    match (given, sealed.endpoints.issuer.as_deref()) {
        (Some(given), Some(issuer)) if given != issuer => wrong(),
        (None, _) if sealed.oauth.issuer_required => wrong(),
        _ => None,
    }
}

/// An error that the app sent (RFC 6749, 4.1.2.1), in our words; of its own only the code, and only if it is one.
fn app_error(error: &str, flow_id: &str) -> Problem {
    match error {
        "access_denied" => problem(
            "denied",
            "you or the app said no; nothing was connected",
            flow_id,
        ),
        "temporarily_unavailable" | "server_error" => problem(
            "provider_down",
            "the app cannot sign anybody in at the moment; try again later",
            flow_id,
        ),
        "invalid_scope"
        | "unauthorized_client"
        | "invalid_request"
        | "unsupported_response_type"
        | "invalid_target" => problem(
            "client_refused",
            &format!("the app refuses this platform's client ({error}); tell the operator"),
            flow_id,
        ),
        _ => problem(
            "app_refused",
            "the app did not sign you in; nothing was connected",
            flow_id,
        ),
    }
}

fn exchange_error(failure: &TokenFailure, flow_id: &str) -> Problem {
    let code = match failure {
        TokenFailure::Refused { .. } => "code_refused",
        TokenFailure::Misconfigured { .. } => "client_refused",
        TokenFailure::Down { .. } => "provider_down",
        TokenFailure::Unreadable { .. } => "token_answer_unreadable",
    };
    problem(code, &format!("{failure}; start again"), flow_id)
}

/// Declared captures of the callback's own parameters, checked by their declaration.
fn callback_captures<'p>(
    sealed: &FlowSealed,
    get: &impl Fn(&str) -> Option<&'p str>,
) -> Result<IndexMap<String, Hidden>, Problem> {
    let mut capture = IndexMap::new();
    for (id, declared) in &sealed.oauth.capture {
        let Some(name) = &declared.callback else {
            continue;
        };
        match get(name).filter(|value| !value.is_empty()) {
            Some(value) => {
                let value = declared.check(value).ok_or_else(|| {
                    problem("capture_not_allowed", "the app's answer holds something that is not allowed there; tell the operator", "")
                })?;
                capture.insert(id.clone(), Hidden::new(value));
            }
            None if declared.required => {
                return Err(problem(
                    "capture_missing",
                    "the app's answer is not complete; start again",
                    "",
                ));
            }
            None => {}
        }
    }
    Ok(capture)
}
