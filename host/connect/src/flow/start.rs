//! Sign-in on the app's own page: everything is pinned and sealed, then the browser leaves.
//!
//! Endpoints, method, OAuth client, redirect URI and PKCE verifier are decided here and used from the sealed record from
//! then on: whoever edits a manifest or a configuration in between cannot send the code or a secret elsewhere. What is
//! found out (RFC 8414, 9728) and registered (RFC 7591) is pinned the same way.

use keyport_manifest::{AuthMethod, Oauth2, Oauth2Grant, Pkce, Scope};
use keyport_vault::Owner;

use super::begin::Begun;
use super::client;
use crate::catalogue::AppEntry;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::hidden::Hidden;
use crate::ids;
use crate::record::{
    ClientKeys, Configuration, Endpoints, Entity as _, Flow, FlowSealed, Stored, Whose,
};
use crate::token::id_token;
use crate::use_::scope;
use crate::view::{FlowStarted, OauthStart, SessionCtx};

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
        let entry = self.inner.catalogue.get(&start.app)?;
        if let AuthMethod::Oauth1(rule) = entry.method(&start.method)? {
            let rule = rule.as_ref().clone();
            return self.start_signed(session, start, rule).await;
        }
        let oauth = entry.oauth(&start.method)?.clone();
        if oauth.grant.is_unattended() && !oauth.grant.has_page() {
            return Err(ConnectError::invalid(
                "method",
                "this way to sign in has no page of the app; fill in its form",
            ));
        }
        let Begun {
            typed,
            title,
            config,
            known,
            reactivates,
        } = self.begin(session, &entry, &start).await?;
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
            reactivates,
            nonce,
            anew: false,
            device: None,
        };
        let mut clear = self.new_flow(session, start.app, start.mode);
        let by_device = sealed.oauth.grant == Oauth2Grant::Device;
        if by_device {
            self.ask_for_codes(&session.owner, &mut sealed, &mut clear)
                .await?;
        }
        let id = ids::random_id(entropy, Flow::PREFIX)?;
        let stored = self
            .put_flow(session, &id, clear, Some(sealed), None)
            .await?;
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
        // The answer of an administrator's page is whatever the browser says: the operator's client would sign in to any
        // directory that ever agreed to it, for whoever names that directory.
        if oauth.grant == Oauth2Grant::AdminConsent && !matches!(client.whose, Whose::Owner) {
            return Err(ConnectError::misconfigured(
                "own_client_needed",
                "this way to sign in works with a client of the account's own only; tell the operator",
            ));
        }
        match oauth.grant {
            grant if grant.has_page() && endpoints.authorize.is_none() => {
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
    pub(super) fn redirect_for(
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
}
