//! App configurations: what the operator sets for an app.
//!
//! An OAuth client belongs to a configuration, and a configuration pins the hosts that the client's secret may be sent
//! to. Threat: an app that people host themselves. Whoever types the address of "their" server would otherwise be sent
//! the operator's client secret. So the pins are fixed when the configuration is made: those the operator names, else the
//! literal hosts of the manifest's endpoints; a host that a person types is never among them by itself.
//!
//! Everything but name, app and times is sealed.
//!
//! | module | what lives in it |
//! |---|---|
//! | this one | configurations are made, changed, looked up |
//! | [`offer`] | which ways to sign in can be used with one |
//! | [`mod@pins`] | where a client's secret may go |

mod offer;
mod pins;

use keyport_manifest::{AppWebhook, AuthMethod, Grant, HostPattern};
use keyport_vault::{Expect, Owner, Write};

pub(crate) use self::offer::{Usable, check_offered, check_runs};
use self::pins::default_pins;
pub(crate) use self::pins::{fixed_hosts, pins};
use crate::actor::Actor;
use crate::catalogue::AppEntry;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::hidden::Hidden;
use crate::record::{
    self, Configuration, ConfigurationClear, ConfigurationSealed, Connection, Entity as _, Seal,
    Stored,
};
use crate::view::{
    AppWebhookView, ConfigurationPatch, ConfigurationView, KeyScope, NewConfiguration,
};
use crate::{clock, ids};

/// Between a configuration's id and the server in a callback's address; in no id.
const SERVER: char = '~';

impl Engine {
    /// Makes a configuration for an app. The first one is the default.
    ///
    /// # Errors
    ///
    /// When there is no such app, or a value is not acceptable.
    pub async fn configure(
        &self,
        actor: &Actor,
        app: &str,
        new: NewConfiguration,
    ) -> Result<ConfigurationView, ConnectError> {
        actor.require(KeyScope::Manage)?;
        let entry = self.inner.catalogue.get(app)?;
        let name = self.check_name("name", new.name.as_deref().unwrap_or("Default"))?;
        let mut sealed = ConfigurationSealed {
            client_id: optional("client_id", new.client_id)?,
            client_secret: secret(new.client_secret)?,
            webhook_secret: optional("webhook_secret", new.webhook_secret)?.map(Hidden::new),
            origins: new.origins,
            redirect_alias: optional("redirect_alias", new.redirect_alias)?,
            scopes: new.scopes,
            methods: new.methods,
            grants: new.grants,
        };
        check(&entry, &mut sealed)?;
        let others = self.configurations_of(app).await?;
        let clear = ConfigurationClear {
            app: app.to_owned(),
            name,
            default: new.default || others.is_empty(),
            created_at: self.now(),
            updated_at: self.now(),
        };
        let id = ids::random_id(self.inner.entropy.as_ref(), Configuration::PREFIX)?;
        let at = record::record_id::<Configuration>(&Owner::keyport(), &id);
        let mut writes = vec![
            record::put::<Configuration>(&at, Expect::Absent, &clear, Seal::Put(&sealed))?,
            self.note(Note::by(actor, "configuration.created").app(app).code(&id))?,
        ];
        if clear.default {
            writes.extend(not_default(&others, &id)?);
        }
        self.commit(writes).await?;
        self.configuration(&id).await
    }

    /// An app's configurations, without their secrets, the default first.
    ///
    /// # Errors
    ///
    /// When there is no such app or the store cannot be read.
    pub async fn configurations(&self, app: &str) -> Result<Vec<ConfigurationView>, ConnectError> {
        self.inner.catalogue.get(app)?;
        let mut views = Vec::new();
        for head in self.configurations_of(app).await? {
            views.push(self.configuration(head.id()).await?);
        }
        views.sort_by_key(|view| !view.default);
        Ok(views)
    }

    /// One configuration, without its secret.
    ///
    /// # Errors
    ///
    /// When there is none with this id.
    pub async fn configuration(&self, id: &str) -> Result<ConfigurationView, ConnectError> {
        let stored: Stored<Configuration> = self.load(id).await?;
        let sealed = stored.sealed()?;
        // An app that was removed still has its configurations.
        let entry = self.inner.catalogue.get(&stored.clear.app).ok();
        let webhook = entry.as_ref().and_then(|it| it.manifest.webhook.as_ref());
        Ok(ConfigurationView {
            id: id.to_owned(),
            app: stored.clear.app.clone(),
            name: stored.clear.name.clone(),
            default: stored.clear.default,
            client_id: sealed.client_id.clone(),
            has_client_secret: sealed.client_secret.is_some(),
            origins: sealed.origins.clone(),
            redirect_alias: sealed.redirect_alias.clone(),
            scopes: sealed.scopes.clone(),
            methods: sealed.methods.clone(),
            grants: sealed.grants.clone(),
            redirect_uri: self.redirect_uri(id),
            webhook: webhook.map(|webhook| AppWebhookView {
                url: self.app_hook_url(id),
                say: webhook.manual.clone(),
                has_secret: sealed.webhook_secret.is_some(),
            }),
            created_at: clock::rfc3339(stored.clear.created_at),
            updated_at: clock::rfc3339(stored.clear.updated_at),
            etag: stored.rev.to_string(),
        })
    }

    /// Changes a configuration; what the patch leaves out stays.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Stale`] when `if_match` is not its current etag.
    pub async fn update_configuration(
        &self,
        actor: &Actor,
        id: &str,
        if_match: Option<&str>,
        patch: ConfigurationPatch,
    ) -> Result<ConfigurationView, ConnectError> {
        actor.require(KeyScope::Manage)?;
        let stored: Stored<Configuration> = self.load(id).await?;
        check_etag(if_match, stored.rev)?;
        let entry = self.inner.catalogue.get(&stored.clear.app)?;
        let mut clear = stored.clear.clone();
        let mut sealed = stored.sealed()?.clone();
        if let Some(name) = &patch.name {
            clear.name = self.check_name("name", name)?;
        }
        if patch.client_id.is_some() {
            sealed.client_id = optional("client_id", patch.client_id)?;
        }
        if patch.client_secret.is_some() {
            sealed.client_secret = secret(patch.client_secret)?;
        }
        if patch.webhook_secret.is_some() {
            sealed.webhook_secret =
                optional("webhook_secret", patch.webhook_secret)?.map(Hidden::new);
        }
        if patch.redirect_alias.is_some() {
            sealed.redirect_alias = optional("redirect_alias", patch.redirect_alias)?;
        }
        if let Some(origins) = patch.origins {
            sealed.origins = origins;
        }
        sealed.scopes = patch.scopes.or(sealed.scopes);
        sealed.methods = patch.methods.or(sealed.methods);
        sealed.grants = patch.grants.unwrap_or(sealed.grants);
        check(&entry, &mut sealed)?;
        clear.updated_at = self.now();
        let mut writes = vec![
            self.note(
                Note::by(actor, "configuration.updated")
                    .app(&clear.app)
                    .code(id),
            )?,
        ];
        if patch.default == Some(true) && !clear.default {
            clear.default = true;
            writes.extend(not_default(&self.configurations_of(&clear.app).await?, id)?);
        }
        writes.push(record::put::<Configuration>(
            &stored.id,
            Expect::At(stored.rev),
            &clear,
            Seal::Put(&sealed),
        )?);
        self.commit(writes).await?;
        self.configuration(id).await
    }

    /// Removes a configuration that no connection was made with.
    ///
    /// # Errors
    ///
    /// `in_use` while a connection still needs it to refresh or to sign out.
    pub async fn delete_configuration(&self, actor: &Actor, id: &str) -> Result<(), ConnectError> {
        actor.require(KeyScope::Manage)?;
        let stored: Stored<Configuration> = self.load(id).await?;
        let connections = self.heads::<Connection>(None).await?;
        if connections
            .iter()
            .any(|it| it.clear.config.as_deref() == Some(id))
        {
            return Err(ConnectError::state(
                "in_use",
                "connections were made with this configuration; delete them first",
            ));
        }
        let mut writes = vec![
            record::delete(&stored.id, Expect::At(stored.rev)),
            self.note(
                Note::by(actor, "configuration.deleted")
                    .app(&stored.clear.app)
                    .code(id),
            )?,
        ];
        if stored.clear.default {
            // The oldest that is left becomes the default, so that there is always one while there are any.
            let mut others = self.configurations_of(&stored.clear.app).await?;
            others.retain(|other| other.id() != id);
            others.sort_by_key(|other| other.clear.created_at);
            if let Some(next) = others.first() {
                let mut clear = next.clear.clone();
                clear.default = true;
                writes.push(record::put::<Configuration>(
                    &next.id,
                    Expect::At(next.rev),
                    &clear,
                    Seal::Keep,
                )?);
            }
        }
        self.commit(writes).await?;
        Ok(())
    }

    /// What to register at an app: the callback belongs to one configuration, so that a code cannot be carried from one
    /// app to another.
    pub(crate) fn redirect_uri(&self, configuration: &str) -> String {
        self.here(&format!("/oauth/callback/{configuration}"))
    }

    /// The part of a callback's address that says whose it is: a configuration, and for a client that was registered at a
    /// server that was found out, that server. One address for all servers would let one of them have another one's code
    /// brought to itself (A1; RFC 9700, 4.4).
    pub(crate) fn callback_of_server(configuration: &str, issuer: &str) -> String {
        let digest = ids::hash("server of a callback", issuer);
        let short = digest.get(..16).unwrap_or(&digest);
        format!("{configuration}{SERVER}{short}")
    }

    /// The configuration of a callback's address.
    pub(crate) fn configuration_of_callback(segment: &str) -> &str {
        segment.split_once(SERVER).map_or(segment, |(id, _)| id)
    }

    async fn configurations_of(
        &self,
        app: &str,
    ) -> Result<Vec<Stored<Configuration>>, ConnectError> {
        let mut all = self.heads::<Configuration>(Some(&Owner::keyport())).await?;
        all.retain(|config| config.clear.app == app);
        Ok(all)
    }

    /// The configuration that was asked for, or the app's default, if it has one.
    pub(crate) async fn configuration_for(
        &self,
        app: &str,
        wanted: Option<&str>,
    ) -> Result<Option<Stored<Configuration>>, ConnectError> {
        if let Some(id) = wanted {
            let stored: Stored<Configuration> = self.load(id).await?;
            return if stored.clear.app == app {
                Ok(Some(stored))
            } else {
                Err(ConnectError::not_found(Configuration::WHAT))
            };
        }
        let heads = self.configurations_of(app).await?;
        match heads.iter().find(|config| config.clear.default) {
            Some(head) => Ok(Some(self.load(head.id()).await?)),
            None => Ok(None),
        }
    }

    /// Makes the empty configuration that a sign-in with the owner's own OAuth client needs for its callback address.
    pub(crate) async fn ensure_configuration(
        &self,
        entry: &AppEntry,
    ) -> Result<Stored<Configuration>, ConnectError> {
        if let Some(stored) = self.configuration_for(entry.id(), None).await? {
            return Ok(stored);
        }
        let made = self
            .configure(&Actor::Host, entry.id(), NewConfiguration::default())
            .await?;
        self.load(&made.id).await
    }
}

/// Checks values against the app, and fills in the pins when the operator named none.
fn check(entry: &AppEntry, sealed: &mut ConfigurationSealed) -> Result<(), ConnectError> {
    let manifest = &entry.manifest;
    if sealed.client_secret.is_some() && sealed.client_id.is_none() {
        return Err(ConnectError::invalid(
            "client_id",
            "a client secret needs its client id",
        ));
    }
    if sealed.webhook_secret.is_some()
        && !manifest
            .webhook
            .as_ref()
            .is_some_and(AppWebhook::by_own_secret)
    {
        return Err(ConnectError::invalid(
            "webhook_secret",
            "this app signs no events with a secret of their own; leave it out, or send an empty one to remove what is stored",
        ));
    }
    if let Some(methods) = &sealed.methods {
        for id in methods {
            entry.method(id)?;
        }
        if methods.is_empty() {
            return Err(ConnectError::invalid(
                "methods",
                "offer at least one way to sign in, or leave methods out",
            ));
        }
    }
    // One that is built from fields is named as the manifest writes it.
    let declared = |text: &str| {
        let mut all = manifest.auth.values().filter_map(AuthMethod::oauth2);
        all.any(|oauth| oauth.scopes.declares(text))
    };
    let chosen = sealed.scopes.iter().flatten();
    for scope in chosen.filter(|scope| !declared(scope.as_str())) {
        // RFC 6749, 3.3: printable ASCII without space, quote and backslash.
        if scope.is_empty()
            || !scope
                .bytes()
                .all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
        {
            return Err(ConnectError::invalid(
                "scopes",
                "a scope is one word of printable ASCII without quotes and backslashes",
            ));
        }
    }
    for host in sealed.grants.hosts.iter().flatten() {
        parse_host("grants.hosts", host)?;
    }
    if sealed.grants.raw_credentials && !manifest.asks_for(Grant::RawCredentials) {
        return Err(ConnectError::invalid(
            "grants.raw_credentials",
            "this app's manifest does not ask for credentials in the clear; leave it out",
        ));
    }
    sealed.origins = if sealed.origins.is_empty() {
        default_pins(manifest)
            .iter()
            .map(ToString::to_string)
            .collect()
    } else {
        sealed
            .origins
            .iter()
            .map(|origin| parse_host("origins", origin).map(|pattern| pattern.to_string()))
            .collect::<Result<_, _>>()?
    };
    Ok(())
}

fn parse_host(field: &str, text: &str) -> Result<HostPattern, ConnectError> {
    text.parse()
        .map_err(|error: keyport_manifest::hosts::HostError| {
            ConnectError::invalid(field, error.to_string())
        })
}

/// A client's secret. A private key in its place (`private_key_jwt`) keeps its lines.
fn secret(value: Option<String>) -> Result<Option<Hidden>, ConnectError> {
    if let Some(key) = value
        .as_deref()
        .map(str::trim)
        .filter(|text| text.starts_with("-----BEGIN "))
    {
        let lines = key
            .chars()
            .all(|c| !c.is_control() || matches!(c, '\n' | '\r'));
        return if key.len() <= 16_384 && lines {
            Ok(Some(Hidden::new(key)))
        } else {
            Err(ConnectError::invalid(
                "client_secret",
                "use at most 16384 bytes, without control characters",
            ))
        };
    }
    Ok(optional("client_secret", value)?.map(Hidden::new))
}

/// `None` for what is left empty; refuses control characters and outer whitespace that would break a request.
fn optional(field: &str, value: Option<String>) -> Result<Option<String>, ConnectError> {
    let Some(value) = value
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
    else {
        return Ok(None);
    };
    if value.len() > 4096 || value.chars().any(char::is_control) {
        return Err(ConnectError::invalid(
            field,
            "use at most 4096 bytes, without line breaks or control characters",
        ));
    }
    Ok(Some(value))
}

/// Compares an `If-Match` with what is stored; quotes and a weak mark are accepted.
pub(crate) fn check_etag(
    if_match: Option<&str>,
    rev: keyport_vault::Rev,
) -> Result<(), ConnectError> {
    match if_match.map(|given| given.trim_start_matches("W/").trim_matches('"')) {
        Some(given) if given != "*" && given != rev.to_string() => Err(ConnectError::Stale),
        _ => Ok(()),
    }
}

fn not_default(others: &[Stored<Configuration>], except: &str) -> Result<Vec<Write>, ConnectError> {
    others
        .iter()
        .filter(|other| other.clear.default && other.id() != except)
        .map(|other| {
            let mut clear = other.clear.clone();
            clear.default = false;
            record::put::<Configuration>(&other.id, Expect::At(other.rev), &clear, Seal::Keep)
        })
        .collect()
}
