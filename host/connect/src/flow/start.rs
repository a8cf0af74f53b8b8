//! Sign-in on the app's own page: everything is pinned and sealed, then the browser leaves.
//!
//! Endpoints, method, OAuth client, redirect URI and PKCE verifier are decided here and used from the sealed record from
//! then on: whoever edits a manifest or a configuration in between cannot send the code or a secret elsewhere. What is
//! found out (RFC 8414, 9728) and registered (RFC 7591) is pinned the same way.

use keyport_manifest::{AuthMethod, Oauth2, Oauth2Grant, Pkce, Scope};
use keyport_vault::Expect;

use super::{client, fields};
use crate::actor::Actor;
use crate::catalogue::AppEntry;
use crate::configuration::check_offered;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::hidden::Hidden;
use crate::ids;
use crate::record::{
    self, ClientKeys, Configuration, Connection, Endpoints, Entity as _, Flow, FlowClear,
    FlowSealed, Seal, Stored, Whose,
};
use crate::token::id_token;
use crate::use_::scope;
use crate::view::{FlowStarted, FlowStatus, OauthStart, SessionCtx};
use keyport_vault::Owner;

/// A sign-in before it begins: where it goes, as whom, and for what.
pub(super) struct Prepared {
    pub(super) oauth: Oauth2,
    pub(super) endpoints: Endpoints,
    pub(super) client: ClientKeys,
    pub(super) scopes: Vec<String>,
}

impl Engine {
    /// Begins a sign-in on the app's own page, or with a code that the person types there. Nothing of the person's leaves
    /// this host yet; endpoints that are found out, and a device's code, are asked for here.
    ///
    /// # Errors
    ///
    /// What is wrong with the form, `not_configured`, `client_not_for_this_host`; what a server answered that was asked.
    pub async fn start_oauth(
        &self,
        session: &SessionCtx,
        start: OauthStart,
    ) -> Result<FlowStarted, ConnectError> {
        session.allows_app(&start.app)?;
        let entry = self.inner.catalogue.get(&start.app)?.clone();
        if let AuthMethod::Oauth1(rule) = entry.method(&start.method)? {
            let rule = rule.as_ref().clone();
            return self.start_signed(session, start, rule).await;
        }
        let oauth = entry.oauth(&start.method)?.clone();
        if matches!(
            oauth.grant,
            Oauth2Grant::ClientCredentials | Oauth2Grant::JwtBearer
        ) {
            return Err(ConnectError::invalid(
                "method",
                "this way to sign in has no page of the app; fill in its form",
            ));
        }
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

        let known = entry.manifest.with_variant(&scope::of_typed(&typed));
        let Prepared {
            oauth,
            endpoints,
            client,
            scopes,
        } = self
            .prepare(&session.owner, &entry, oauth, &known, Some(&config))
            .await?;
        let redirect_uri = self.redirect_for(&oauth, &config, &endpoints, &client)?;
        let entropy = self.inner.entropy.as_ref();
        let secret = || Ok::<_, ConnectError>(Hidden::new(ids::random_secret(entropy)?.as_str()));
        let with_page = oauth.grant == Oauth2Grant::AuthorizationCode;
        let verifier = match oauth.pkce {
            Pkce::Off(_) => None,
            Pkce::S256 | Pkce::Plain(_) => with_page.then(secret).transpose()?,
        };
        // Only where it comes back: in a token that the manifest keeps something of.
        let nonce =
            (with_page && id_token::wanted(&oauth) && scopes.iter().any(|scope| scope == "openid"))
                .then(secret)
                .transpose()?;
        let variant = entry.manifest.variant_values(
            typed
                .fields
                .get(keyport_manifest::VARIANT_FIELD)
                .map(|key| key.expose()),
        );
        let mut sealed = FlowSealed {
            variant,
            method: start.method,
            config: config.id().to_owned(),
            redirect_uri,
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
            nonce,
            device: None,
        };
        let mut clear = FlowClear {
            app: start.app,
            session: session.id.clone(),
            session_kind: session.kind,
            status: FlowStatus::Started,
            mode: start.mode,
            connection_id: None,
            error: None,
            created_at: self.now(),
            expires_at: self.after(self.inner.options.flow),
            choosing: None,
            poll_at: None,
        };
        let by_device = sealed.oauth.grant == Oauth2Grant::Device;
        if by_device {
            self.ask_for_codes(&session.owner, &mut sealed, &mut clear)
                .await?;
        }
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
            sealed: Some(sealed),
            damaged: false,
        };
        if by_device {
            self.follow_device(&id);
        }
        Ok(FlowStarted {
            flow: self.flow_view(session, &stored).await?,
            go_url: format!("/page/go/{id}"),
        })
    }

    /// Where a sign-in goes, as which client, and for which scopes. What was found out is written into `oauth`, which is
    /// pinned as it then is.
    pub(super) async fn prepare(
        &self,
        owner: &Owner,
        entry: &AppEntry,
        mut oauth: Oauth2,
        known: &Scope,
        config: Option<&Stored<Configuration>>,
    ) -> Result<Prepared, ConnectError> {
        let sealed = config.map(Stored::sealed).transpose()?;
        let mut scopes = match sealed.and_then(|sealed| sealed.scopes.as_ref()) {
            Some(chosen) => oauth.scopes.chosen(chosen, known),
            None => oauth.scopes.defaults(known),
        }
        .map_err(|error| ConnectError::invalid("fields", error.to_string()))?;
        let checked = entry
            .manifest
            .checked(known)
            .map_err(scope::address_error)?;
        let (endpoints, client) = match self.find_out(owner, &oauth, &checked).await? {
            None => {
                let endpoints = scope::endpoints(entry, &oauth, known)?;
                let client = client::choose(&oauth, known, &endpoints, sealed)?;
                (endpoints, client)
            }
            Some(found) => {
                if scopes.is_empty() {
                    scopes.clone_from(&found.scopes);
                }
                oauth.issuer_required |= found.issuer_required;
                let client = match client::choose(&oauth, known, &found.endpoints, sealed) {
                    Err(_) if oauth.register => {
                        let config = config.ok_or_else(|| {
                            ConnectError::internal(
                                "no_configuration",
                                "a client is registered for a configuration, and there is none",
                            )
                        })?;
                        self.client_found(owner, &oauth, &found, config.id(), &scopes)
                            .await?
                    }
                    chosen => chosen?,
                };
                (found.endpoints, client)
            }
        };
        let broken = |what: &str| {
            ConnectError::misconfigured(
                "no_endpoint",
                format!("this app's sign-in server names no {what}; tell the operator"),
            )
        };
        match oauth.grant {
            Oauth2Grant::AuthorizationCode if endpoints.authorize.is_none() => {
                return Err(broken("authorization endpoint"));
            }
            Oauth2Grant::Device if endpoints.device.is_none() => {
                return Err(broken("device authorization endpoint"));
            }
            _ => {}
        }
        Ok(Prepared {
            oauth,
            endpoints,
            client,
            scopes,
        })
    }

    /// What is sent as the callback's address: ours, or the alias that the app has registered for it.
    fn redirect_for(
        &self,
        oauth: &Oauth2,
        config: &Stored<Configuration>,
        endpoints: &Endpoints,
        client: &ClientKeys,
    ) -> Result<String, ConnectError> {
        if matches!(client.whose, Whose::Registered | Whose::Document) {
            let issuer = endpoints.issuer.as_deref().unwrap_or_default();
            let segment = Engine::callback_of_server(config.id(), issuer);
            return Ok(self.redirect_uri(&segment));
        }
        if !oauth.authorize.redirect_alias {
            return Ok(self.redirect_uri(config.id()));
        }
        config.sealed()?.redirect_alias.clone().ok_or_else(|| {
            ConnectError::misconfigured(
                "no_redirect_alias",
                "this app gives each callback address a name of its own; the operator has to enter it in the configuration as redirect_alias",
            )
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
}
