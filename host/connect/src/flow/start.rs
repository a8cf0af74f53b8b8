//! Sign-in on the app's own page: everything is pinned and sealed, then the browser leaves.
//!
//! Endpoints, method, OAuth client, redirect URI and PKCE verifier are decided here and used from the sealed record from
//! then on: whoever edits a manifest or a configuration in between cannot send the code or a secret elsewhere. When the
//! browser leaves it is given a random cookie; only its hash is kept, and without it a callback is nobody's.

use keyport_manifest::{Pkce, Scope, Slot};
use keyport_vault::Expect;
use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use url::Url;

use super::{client, fields};
use crate::actor::Actor;
use crate::configuration::check_offered;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::hidden::Hidden;
use crate::ids;
use crate::record::{self, Connection, Entity as _, Flow, FlowClear, FlowSealed, Seal, Stored};
use crate::use_::scope;
use crate::view::{CookieValue, FlowStarted, FlowStatus, GoOutcome, OauthStart, SessionCtx};

pub(super) const STATE: &str = "oauth state";
pub(super) const BROWSER: &str = "browser of a flow";

impl Engine {
    /// Begins a sign-in on the app's own page. Nothing leaves this host yet.
    ///
    /// # Errors
    ///
    /// What is wrong with the form, `not_configured`, `client_not_for_this_host`.
    pub async fn start_oauth(
        &self,
        session: &SessionCtx,
        start: OauthStart,
    ) -> Result<FlowStarted, ConnectError> {
        session.allows_app(&start.app)?;
        let entry = self.inner.catalogue.get(&start.app)?.clone();
        let oauth = entry.oauth(&start.method)?.clone();
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

        // Signing in again uses the configuration that the connection was made with, unless another one is named.
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

        let known = scope::of_typed(&typed);
        let endpoints = scope::endpoints(&entry, &oauth, &known)?;
        let client = client::choose(&oauth, &known, &endpoints, Some(config.sealed()?))?;
        let values = entry.manifest.with_variant(&known);
        let scopes = match &config.sealed()?.scopes {
            Some(chosen) => oauth.scopes.chosen(chosen, &values),
            None => oauth.scopes.defaults(&values),
        }
        .map_err(|error| ConnectError::invalid("fields", error.to_string()))?;
        let entropy = self.inner.entropy.as_ref();
        let verifier = match oauth.pkce {
            Pkce::Off(_) => None,
            Pkce::S256 | Pkce::Plain(_) => Some(Hidden::new(ids::random_secret(entropy)?.as_str())),
        };
        let variant = entry.manifest.variant_values(
            typed
                .fields
                .get(keyport_manifest::VARIANT_FIELD)
                .map(|key| key.expose()),
        );
        let sealed = FlowSealed {
            variant,
            method: start.method,
            config: config.id().to_owned(),
            redirect_uri: self.redirect_uri(config.id()),
            oauth,
            client,
            endpoints,
            scopes,
            verifier,
            state: None,
            browser: None,
            fields: typed.fields,
            credentials: typed.credentials,
            title,
            reactivates: reactivates.map(|old| old.id().to_owned()),
        };
        let clear = FlowClear {
            app: start.app,
            session: session.id.clone(),
            session_kind: session.kind,
            status: FlowStatus::Started,
            mode: start.mode,
            connection_id: None,
            error: None,
            created_at: self.now(),
            expires_at: self.after(self.inner.options.flow),
        };
        let id = ids::random_id(entropy, Flow::PREFIX)?;
        let at = record::record_id::<Flow>(&session.owner, &id);
        let actor = Actor::Session(session.clone());
        let rev = self
            .commit(vec![
                record::put::<Flow>(&at, Expect::Absent, &clear, Seal::Put(&sealed))?,
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

    /// The connection that is to be signed in again: the session's own one, or the one named, of this owner and app.
    pub(super) async fn reactivated(
        &self,
        session: &SessionCtx,
        app: &str,
        named: Option<&str>,
    ) -> Result<Option<Stored<Connection>>, ConnectError> {
        let id = match (session.connection_id.as_deref(), named) {
            (Some(bound), Some(other)) if bound != other => {
                return Err(ConnectError::forbidden(
                    "not_this_connection",
                    "this session was opened to sign in another account again",
                ));
            }
            (bound, named) => bound.or(named),
        };
        let Some(id) = id else { return Ok(None) };
        let stored = self
            .connection_of(&Actor::Session(session.clone()), id)
            .await?;
        if stored.clear.app != app {
            return Err(ConnectError::invalid(
                "app",
                "the account that is to be signed in again is of another app",
            ));
        }
        Ok(Some(stored))
    }

    /// The browser leaves for the app: a new state, a new cookie.
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
        let entropy = self.inner.entropy.as_ref();
        let (state, browser) = (ids::random_secret(entropy)?, ids::random_secret(entropy)?);
        let mut clear = stored.clear.clone();
        let mut sealed = stored.sealed()?.clone();
        clear.status = FlowStatus::Authorizing;
        sealed.state = Some(ids::hash(STATE, &state));
        sealed.browser = Some(ids::hash(BROWSER, &browser));
        let url = authorize_url(&sealed, &ids::bearer(flow_id, &state))?;
        self.commit(vec![record::put::<Flow>(
            &stored.id,
            Expect::At(stored.rev),
            &clear,
            Seal::Put(&sealed),
        )?])
        .await?;
        self.tell("flow", stored.owner(), flow_id);
        Ok(GoOutcome {
            authorize_url: self.inner.egress.origins().apply(&url).into(),
            cookie_name: cookie_name(flow_id),
            cookie_value: CookieValue(browser),
            max_age_seconds: self.inner.options.flow.as_secs(),
        })
    }
}

/// Name of the cookie that binds a flow to a browser: one per flow, so that two windows do not disturb each other.
pub(super) fn cookie_name(flow_id: &str) -> String {
    let tail = flow_id
        .get(flow_id.len().saturating_sub(10)..)
        .unwrap_or_default();
    format!("kp_flow_{tail}")
}

/// The authorization URL. What the endpoint's own query or the manifest says never overrides the flow's own parameters,
/// and no parameter is there twice.
fn authorize_url(sealed: &FlowSealed, state: &str) -> Result<Url, ConnectError> {
    let broken = || {
        ConnectError::misconfigured(
            "bad_authorize_url",
            "this app's sign-in address cannot be used; tell the operator",
        )
    };
    let mut url = Url::parse(&sealed.endpoints.authorize).map_err(|_| broken())?;
    let oauth = &sealed.oauth;
    let mut params: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    for (name, template) in &oauth.authorize_params {
        let value = template
            .render_optional(&authorize_scope(sealed), Slot::Raw)
            .map_err(|_| broken())?;
        set(&mut params, name, value.unwrap_or_default());
    }
    set(&mut params, "response_type", "code".to_owned());
    set(&mut params, "client_id", sealed.client.id.clone());
    set(&mut params, "redirect_uri", sealed.redirect_uri.clone());
    if let Some(scope) = oauth.scopes.join(sealed.scopes.iter().map(String::as_str)) {
        set(&mut params, &oauth.scopes.param, scope);
    }
    set(&mut params, "state", state.to_owned());
    if let Some(verifier) = &sealed.verifier {
        let verifier = PkceCodeVerifier::new(verifier.expose().to_owned());
        // `plain` exists for the app that can do nothing else and says why in its manifest; the crate leaves it out.
        let (challenge, method) = match oauth.pkce {
            Pkce::Plain(_) => (verifier.secret().clone(), "plain"),
            Pkce::S256 | Pkce::Off(_) => (
                PkceCodeChallenge::from_code_verifier_sha256(&verifier)
                    .as_str()
                    .to_owned(),
                "S256",
            ),
        };
        set(&mut params, "code_challenge", challenge);
        set(&mut params, "code_challenge_method", method.to_owned());
    }
    // Empty parameters are left out: several apps refuse them, none needs them.
    params.retain(|(_, value)| !value.is_empty());
    url.query_pairs_mut().clear().extend_pairs(params);
    Ok(url)
}

fn set(params: &mut Vec<(String, String)>, name: &str, value: String) {
    params.retain(|(known, _)| known != name);
    params.push((name.to_owned(), value));
}

fn authorize_scope(sealed: &FlowSealed) -> Scope {
    // The browser sees this URL: no credentials in it.
    let mut scope = Scope::new();
    scope.set("fields", scope::object(&sealed.fields));
    if let Some(variant) = &sealed.variant {
        scope.set("variant", variant.clone());
    }
    scope.set("app", serde_json::json!({ "client_id": sealed.client.id }));
    scope
}
