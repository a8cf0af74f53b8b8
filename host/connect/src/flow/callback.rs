//! The browser comes back from the app: every check before the code is redeemed, and then once.
//!
//! The order matters. Whatever does not prove that it belongs to a flow *of this browser* changes nothing (`Neutral`):
//! unknown state, used state, another browser, doubled parameters. What does belong to it but is wrong (another
//! configuration's path, another issuer, an error from the app) ends the flow without a token request. Only then is the
//! flow moved on by compare-and-swap, which one of any number of parallel callbacks wins, and the code redeemed in a task
//! that outlives the browser's request.

use indexmap::IndexMap;
use keyport_manifest::rules::{CallbackError, query_signed, returned};
use keyport_manifest::{AuthMethod, CallbackVerify, Oauth2, Slot};
use keyport_vault::Expect;

use super::go::{BROWSER, STATE, cookie_name, read_state};
use super::{bare_view, problem, signed};
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::fault;
use crate::hidden::Hidden;
use crate::record::{self, Configuration, Entity as _, Flow, FlowSealed, Seal, Stored, Whose};
use crate::token::exchange::{flow_scope, token_scope};
use crate::view::{CallbackNext, CallbackOutcome, FlowMode, FlowStatus, Problem, SessionKind};
use crate::{ids, jose};

impl Engine {
    /// What a callback of `configuration_id` with these parameters does. `browser` gives the value of one of the
    /// request's cookies by its name (see [`crate::view::GoOutcome::cookie_name`]).
    pub async fn callback(
        &self,
        configuration_id: &str,
        params: Vec<(String, String)>,
        browser: &(dyn Fn(&str) -> Option<String> + Send + Sync),
    ) -> CallbackOutcome {
        self.callback_sent(configuration_id, params, None, browser)
            .await
    }

    /// [`Engine::callback`] with the query as it was sent, which some apps sign.
    pub async fn callback_sent(
        &self,
        configuration_id: &str,
        params: Vec<(String, String)>,
        raw: Option<&str>,
        browser: &(dyn Fn(&str) -> Option<String> + Send + Sync),
    ) -> CallbackOutcome {
        match self
            .callback_of(configuration_id, &params, raw, browser)
            .await
        {
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
        raw: Option<&str>,
        browser: &(dyn Fn(&str) -> Option<String> + Send + Sync),
    ) -> Result<CallbackOutcome, Problem> {
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
        if let Some(flow_id) = get(signed::FLOW).filter(|id| ids::is_id(Flow::PREFIX, id))
            && let Some(outcome) = self
                .signed_callback(configuration_id, flow_id, &get, browser)
                .await?
        {
            return Ok(outcome);
        }
        let names = self.callback_names(configuration_id).await;
        let by_state = names.states.iter().find_map(|name| read_state(get(name)?));
        // An app that brings back no state leaves the browser's own cookie to say which flow it is.
        let by_cookie = match &by_state {
            None if names.without_state => browser(&cookie_name(
                Engine::configuration_of_callback(configuration_id),
            )),
            _ => None,
        };
        let by_cookie = by_cookie.as_deref().and_then(|value| {
            let (id, _) = ids::split_bearer(Flow::PREFIX, value)?;
            Some(id.to_owned())
        });
        let flow_id = match (&by_state, by_cookie) {
            (Some((id, _)), _) => id.clone(),
            (None, Some(id)) => id,
            (None, None) => return Err(unknown()),
        };
        let flow_id = flow_id.as_str();
        let stored: Stored<Flow> = match self.load(flow_id).await {
            Ok(stored) => stored,
            Err(ConnectError::NotFound { .. }) => return Err(unknown()),
            Err(other) => return Err(unchanged(&other)),
        };
        if stored.clear.status != FlowStatus::Authorizing {
            return Err(used());
        }
        let sealed = stored.sealed().map_err(|_| unknown())?;
        let stateless = sealed.oauth.callback.without_state.is_some();
        let answers = match (&by_state, &sealed.state) {
            (Some((_, state)), Some(kept)) => ids::matches(STATE, state, kept),
            (None, Some(_)) => stateless && self.comes_back_to(sealed, configuration_id),
            _ => false,
        };
        if !answers {
            return Err(unknown());
        }
        let cookie = match stateless {
            true => browser(&cookie_name(&sealed.config)).and_then(|value| {
                ids::split_bearer(Flow::PREFIX, &value).map(|(_, s)| s.to_owned())
            }),
            false => browser(&cookie_name(flow_id)),
        };
        same_browser(cookie.as_deref(), sealed.browser.as_deref())?;

        // From here on it is this browser's own flow: what is wrong ends it.
        let refused = if self.now() >= stored.clear.expires_at {
            Some(problem(
                "expired",
                "this took too long; start again",
                flow_id,
            ))
        } else if !self.comes_back_to(sealed, configuration_id) {
            Some(problem(
                "mixed_up",
                "the answer came back to the wrong address; start again",
                flow_id,
            ))
        } else if let Some(error) = issuer(sealed, get("iss"), flow_id) {
            Some(error)
        } else {
            get("error").map(|error| app_error(error, flow_id))
        };
        if let Some(error) = refused {
            return Ok(self.end_callback(stored, error).await);
        }
        let Brought { code, capture } = match brought(sealed, params, raw, flow_id) {
            Ok(brought) => brought,
            Err(error) => return Ok(self.end_callback(stored, error).await),
        };

        let sealed = sealed.clone();
        let flow = self.spend_flow(stored).await?;
        let (owner, id) = (flow.owner().clone(), flow.id().to_owned());
        let (engine, returned) = (self.clone(), params.to_vec());
        let finished = tokio::spawn(async move {
            let granted = engine
                .exchange(
                    (flow.owner(), &flow.clear.app),
                    &sealed,
                    code.expose(),
                    &capture,
                    &returned,
                )
                .await;
            fault::point("exchange.answered").await;
            engine.finish_sign_in(flow, sealed, granted, capture).await;
        })
        .await;
        if finished.is_err() {
            tracing::error!(flow = id, "a sign-in failed on this host");
        }
        match self.load::<Flow>(&id).await {
            Ok(flow) => Ok(outcome(self, &flow)),
            Err(error) => {
                tracing::error!(flow = id, %owner, code = error.code(), "a finished sign-in cannot be read");
                Err(unchanged(&error))
            }
        }
    }

    /// The flow is spent here, before the code is: of any number of callbacks one gets past this line.
    pub(super) async fn spend_flow(&self, stored: Stored<Flow>) -> Result<Stored<Flow>, Problem> {
        let mut clear = stored.clear.clone();
        clear.status = FlowStatus::Exchanging;
        let write = record::put::<Flow>(&stored.id, Expect::At(stored.rev), &clear, Seal::Keep)
            .map_err(|error| unchanged(&error))?;
        let rev = self
            .commit(vec![write])
            .await
            .map_err(|error| match error {
                ConnectError::Stale => used(),
                other => unchanged(&other),
            })?;
        let flow: Stored<Flow> = Stored {
            rev,
            clear,
            ..stored
        };
        self.tell("flow", flow.owner(), flow.id());
        Ok(flow)
    }

    /// Ends a flow with an error and says where the browser goes.
    pub(super) async fn end_callback(
        &self,
        stored: Stored<Flow>,
        error: Problem,
    ) -> CallbackOutcome {
        let stored = self.end_flow(stored, error).await;
        outcome(self, &stored)
    }

    /// Whether a flow's callback was to come to this address: its configuration and, where its client belongs to one server
    /// alone, that server.
    fn comes_back_to(&self, sealed: &FlowSealed, segment: &str) -> bool {
        let plain = sealed.config == segment;
        match sealed.client.whose {
            Whose::Operator | Whose::Owner => plain,
            Whose::Registered | Whose::Document => {
                sealed.redirect_uri == self.redirect_uri(segment)
                    && Engine::configuration_of_callback(segment) == sealed.config
            }
        }
    }

    /// What the apps' callbacks at this configuration call a state.
    async fn callback_names(&self, configuration_id: &str) -> Names {
        let mut names = Names {
            states: vec!["state".to_owned()],
            without_state: false,
        };
        let configuration_id = Engine::configuration_of_callback(configuration_id);
        let Ok(config) = self.load::<Configuration>(configuration_id).await else {
            return names;
        };
        let Ok(entry) = self.inner.catalogue.get(&config.clear.app) else {
            return names;
        };
        for oauth in entry.manifest.auth.values().filter_map(|m| m.oauth2()) {
            let rules = &oauth.callback;
            names.without_state |= rules.without_state.is_some();
            names.states.extend(rules.state.clone());
        }
        names
    }
}

/// See [`Engine::callback_names`].
struct Names {
    states: Vec<String>,
    without_state: bool,
}

pub(super) fn neutral(code: &str, say: &str) -> Problem {
    Problem {
        code: code.to_owned(),
        say: say.to_owned(),
        reference: None,
    }
}

/// Why nothing came of a callback on this host's side.
pub(super) fn unchanged(error: &ConnectError) -> Problem {
    neutral(error.code(), &error.to_string())
}

/// Somebody was here before, or the flow has ended.
pub(super) fn used() -> Problem {
    neutral(
        "already_used",
        "this sign-in was finished already, or has ended; go back to where you came from",
    )
}

/// Whether the browser has the cookie that this flow gave it, of which `kept` is the hash.
pub(super) fn same_browser(cookie: Option<&str>, kept: Option<&str>) -> Result<(), Problem> {
    match (cookie, kept) {
        (Some(given), Some(kept)) if ids::matches(BROWSER, given, kept) => Ok(()),
        _ => Err(neutral(
            "wrong_browser",
            "this sign-in was started in another browser; nothing was connected. Start again in this one",
        )),
    }
}

/// Where the browser goes next. The page there asks the server how it went; nothing of it is in the address.
pub(super) fn outcome(engine: &Engine, stored: &Stored<Flow>) -> CallbackOutcome {
    let next = match stored.clear.mode {
        // Begun anew with a client that the server knows: the window goes on to the app once more.
        _ if stored.clear.status == FlowStatus::Started => {
            CallbackNext::Redirect(engine.here(&format!("/page/go/{}", stored.id())))
        }
        FlowMode::Popup => CallbackNext::ClosePopup,
        FlowMode::Redirect => {
            let page = match stored.clear.session_kind {
                SessionKind::Connect => "/connect",
                SessionKind::Manage => "/apps",
            };
            CallbackNext::Redirect(engine.here(&format!("{page}?flow={}", stored.id())))
        }
    };
    // A cookie of a configuration may be another window's by now; it is of no use without its flow.
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
        // Which of the tenants it is, the `id_token` has to say again.
        (Some(given), Some(pattern)) if sealed.endpoints.one_issuer().is_none() => {
            let (before, after) = pattern.split_once(Oauth2::TENANT).unwrap_or((pattern, ""));
            let hole = given
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after));
            let filled = hole.and_then(|tenant| sealed.endpoints.issuer_of(tenant));
            if filled.as_deref() == Some(given) {
                None
            } else {
                wrong()
            }
        }
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

/// What a callback brought along.
struct Brought {
    code: Hidden,
    capture: IndexMap<String, Hidden>,
}

/// Reads a callback by the manifest's rules: the code, the declared captures, and the declared signature, which must be right
/// before a request is made (A33).
fn brought(
    sealed: &FlowSealed,
    params: &[(String, String)],
    raw: Option<&str>,
    flow_id: &str,
) -> Result<Brought, Problem> {
    let refused = |code: &str, say: &str| problem(code, say, flow_id);
    let scope = token_scope(flow_scope(sealed), &sealed.client, 0);
    let method = AuthMethod::Oauth2(Box::new(sealed.oauth.clone()));
    let returned = returned(&method, params, &scope).map_err(|error| match error {
        CallbackError::CodeMissing(_) => refused(
            "missing_code",
            "the app did not say whether you agreed; start again",
        ),
        CallbackError::CaptureNotAllowed(_) => refused(
            "capture_not_allowed",
            "the app's answer holds something that is not allowed there; tell the operator",
        ),
        CallbackError::SignatureMissing(_) => not_signed(flow_id),
        CallbackError::CaptureMissing(_)
        | CallbackError::StateMissing(_)
        | CallbackError::NoCallback => refused(
            "capture_missing",
            "the app's answer is not complete; start again",
        ),
    })?;
    let signed = match &sealed.oauth.callback.verify {
        None => true,
        Some(CallbackVerify::Jwt { key, param, alg }) => {
            let key = key.render_secret(&scope, Slot::Raw).ok();
            let given = params.iter().find(|(name, _)| name == param);
            matches!((key, given), (Some(key), Some((_, token)))
                if !key.is_empty() && jose::verify_with_text(token, *alg, key.expose()).is_ok())
        }
        Some(rule) => match (returned.signed, raw) {
            (Some(signed), _) => signed,
            (None, Some(raw)) => query_signed(rule, raw, &scope).unwrap_or(false),
            (None, None) => false,
        },
    };
    if !signed {
        return Err(not_signed(flow_id));
    }
    let mut capture: IndexMap<String, Hidden> = returned
        .captures
        .public
        .into_iter()
        .map(|(id, value)| (id, Hidden::new(value)))
        .collect();
    let secret = returned.captures.secret.into_iter();
    capture.extend(secret.map(|(id, value)| (id, Hidden::new(value.expose()))));
    Ok(Brought {
        code: Hidden::new(returned.code.expose()),
        capture,
    })
}

fn not_signed(flow_id: &str) -> Problem {
    problem(
        "callback_not_signed",
        "the answer is not signed by the app as it should be; nothing was connected",
        flow_id,
    )
}
