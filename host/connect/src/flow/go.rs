//! The browser leaves for the app: a new state, a new cookie, and the address that it goes to.
//!
//! The browser is given a random cookie; only its hash is kept, and without it a callback is nobody's. The state says which
//! flow it is and proves that the callback answers this one; where an app can't bring back so much, it is shorter, and where
//! an app can't bring back any, the cookie alone says which flow it is.

use keyport_manifest::rules::outgoing::{self, Authorizing};
use keyport_manifest::{CallbackRules, Pkce, Scope};
use keyport_vault::Expect;
use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use url::Url;
use zeroize::Zeroizing;

use crate::engine::Engine;
use crate::error::ConnectError;
use crate::ids;
use crate::record::{self, Entity as _, Flow, FlowSealed, Seal};
use crate::use_::scope;
use crate::view::{CookieValue, FlowStatus, GoOutcome, SessionCtx};

pub(super) const STATE: &str = "oauth state";
pub(super) const BROWSER: &str = "browser of a flow";

/// Characters of the secret in a short state: with the 22 of the flow's id they make [`CallbackRules::STATE_LENGTH`].
const SHORT_SECRET: usize = 21;

impl Engine {
    /// The browser leaves for the app: a new state, a new cookie. For a sign-in by a device's code it goes to where the code
    /// is typed.
    ///
    /// # Errors
    ///
    /// When this session has no such flow, or it is past this point.
    pub async fn go(&self, session: &SessionCtx, flow_id: &str) -> Result<GoOutcome, ConnectError> {
        let stored = self.flow_of(session, flow_id).await?;
        let open = matches!(
            stored.clear.status,
            FlowStatus::Started | FlowStatus::Authorizing
        );
        if !open || self.now() >= stored.clear.expires_at {
            return Err(ConnectError::expired(
                "flow_ended",
                "this sign-in has ended or took too long; start again",
            ));
        }
        if let Some(signed) = self.signed_flow(flow_id).await? {
            return self.go_signed(stored, signed).await;
        }
        let entropy = self.inner.entropy.as_ref();
        let browser = ids::random_secret(entropy)?;
        let mut clear = stored.clear.clone();
        let mut sealed = stored.sealed()?.clone();
        let (cookie_name, cookie_value) = match &sealed.oauth.callback.without_state {
            Some(_) => (cookie_name(&sealed.config), ids::bearer(flow_id, &browser)),
            None => (cookie_name(flow_id), browser.clone()),
        };
        let url = if let Some(device) = &sealed.device {
            let at = device.complete.as_ref().unwrap_or(&device.verification_uri);
            Url::parse(at).map_err(|_| broken())?
        } else {
            let state = State::new(&sealed, flow_id, &ids::random_secret(entropy)?)?;
            clear.status = FlowStatus::Authorizing;
            sealed.state = Some(ids::hash(STATE, &state.secret));
            sealed.browser = Some(ids::hash(BROWSER, &browser));
            let url = authorize_url(&sealed, &state.sent)?;
            self.commit(vec![record::put::<Flow>(
                &stored.id,
                Expect::At(stored.rev),
                &clear,
                Seal::Put(&sealed),
            )?])
            .await?;
            self.tell("flow", stored.owner(), flow_id);
            url
        };
        Ok(GoOutcome {
            authorize_url: self.inner.egress.origins().apply(&url).into(),
            cookie_name,
            cookie_value: CookieValue(cookie_value),
            max_age_seconds: self.inner.options.flow.as_secs(),
        })
    }
}

fn broken() -> ConnectError {
    ConnectError::misconfigured(
        "bad_authorize_url",
        "this app's sign-in address cannot be used; tell the operator",
    )
}

/// What is sent as the state, and the part of it that is kept as a hash.
struct State {
    sent: Zeroizing<String>,
    secret: Zeroizing<String>,
}

impl State {
    fn new(sealed: &FlowSealed, flow_id: &str, secret: &str) -> Result<Self, ConnectError> {
        let whole = ids::bearer(flow_id, secret);
        let fits = |max: u32| usize::try_from(max).is_ok_and(|max| whole.len() <= max);
        if sealed.oauth.callback.max_state.is_none_or(fits) {
            return Ok(Self {
                sent: whole,
                secret: Zeroizing::new(secret.to_owned()),
            });
        }
        let id = flow_id.strip_prefix(Flow::PREFIX).ok_or_else(broken)?;
        let secret = secret.get(..SHORT_SECRET).ok_or_else(broken)?;
        Ok(Self {
            sent: Zeroizing::new(format!("{id}{secret}")),
            secret: Zeroizing::new(secret.to_owned()),
        })
    }
}

/// The flow and the secret that a state names, in either of its two forms.
pub(super) fn read_state(state: &str) -> Option<(String, &str)> {
    if let Some((id, secret)) = ids::split_bearer(Flow::PREFIX, state) {
        return Some((id.to_owned(), secret));
    }
    let short = usize::try_from(CallbackRules::STATE_LENGTH).ok()?;
    let (id, secret) = state.split_at_checked(short - SHORT_SECRET)?;
    let id = format!("{}{id}", Flow::PREFIX);
    (secret.len() == SHORT_SECRET && ids::is_id(Flow::PREFIX, &id)).then_some((id, secret))
}

/// Name of the cookie that binds a flow to a browser: one per flow, so that two windows do not disturb each other. For an app
/// that brings back no state it is one per configuration, and says which flow it is.
pub(super) fn cookie_name(id: &str) -> String {
    let tail = id.get(id.len().saturating_sub(10)..).unwrap_or_default();
    format!("kp_flow_{tail}")
}

fn authorize_url(sealed: &FlowSealed, state: &str) -> Result<Url, ConnectError> {
    let endpoint = sealed.endpoints.authorize.as_deref().ok_or_else(broken)?;
    let endpoint = Url::parse(endpoint).map_err(|_| broken())?;
    let challenge = match (&sealed.verifier, &sealed.oauth.pkce) {
        (None, _) => String::new(),
        // `plain` exists for the app that can do nothing else and says why in its manifest; the crate leaves it out.
        (Some(verifier), Pkce::Plain(_)) => verifier.expose().to_owned(),
        (Some(verifier), _) => {
            let verifier = PkceCodeVerifier::new(verifier.expose().to_owned());
            PkceCodeChallenge::from_code_verifier_sha256(&verifier)
                .as_str()
                .to_owned()
        }
    };
    let scopes: Vec<&str> = sealed.scopes.iter().map(String::as_str).collect();
    let nonce = sealed.nonce.as_ref().map(|it| ("nonce", it.expose()));
    let resources = sealed.endpoints.resources().map(|uri| ("resource", uri));
    let own: Vec<(&str, &str)> = nonce.into_iter().chain(resources).collect();
    let without_state = sealed.oauth.callback.without_state.is_some();
    let flow = Authorizing {
        client_id: &sealed.client.id,
        redirect_uri: &sealed.redirect_uri,
        scopes: &scopes,
        state: if without_state { "" } else { state },
        challenge: &challenge,
        own: &own,
    };
    outgoing::authorize_url(&sealed.oauth, &endpoint, &flow, &authorize_scope(sealed))
        .map_err(|_| broken())
}

fn authorize_scope(sealed: &FlowSealed) -> Scope {
    // The browser sees this URL: no secret in it.
    let mut scope = Scope::new();
    scope.set("fields", scope::object(&sealed.fields));
    if let Some(variant) = &sealed.variant {
        scope.set("variant", variant.clone());
    }
    let public = |id: &str| {
        let mut fields = sealed.oauth.fields.iter();
        fields.any(|field| field.id == id && !field.secret)
    };
    let mut credentials = sealed.credentials.clone();
    credentials.retain(|id, _| public(id));
    scope.set("credentials", scope::object(&credentials));
    scope.set("app", serde_json::json!({ "client_id": sealed.client.id }));
    scope
}
