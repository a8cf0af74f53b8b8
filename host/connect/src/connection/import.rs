//! Credentials that were made elsewhere are taken over, so that a customer can move in without asking anybody to reconnect.
//!
//! They are tested like any other before they count, and belong to somebody else until then: what does not pass is
//! forgotten here and not ended at the app. Threat: a value that was never checked gets into a template or a header; so each
//! goes through what a sign-in's own answer goes through.

use indexmap::IndexMap;
use keyport_manifest::{AuthMethod, Capture, Oauth1, Oauth2};

use super::pending::{Fresh, may_pass_later};
use crate::actor::Actor;
use crate::catalogue::is_three_legged;
use crate::clock::parse_rfc3339;
use crate::configuration::{check_offered, check_runs};
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::flow::{client, fields};
use crate::hidden::Hidden;
use crate::record::{Connection, ConnectionSealed, Oauth1Token, Stored, Token};
use crate::session::parse_owner;
use crate::use_::scope;
use crate::view::{ConnectionView, ImportToken, KeyScope, NewImport};

impl Engine {
    /// Takes over credentials that were made elsewhere, so that nobody has to reconnect. They are tested first.
    ///
    /// # Errors
    ///
    /// A field that is not acceptable, or what the app said to the test call; then nothing is kept. One exception: when
    /// the token had to be renewed and the app then went away, the connection is kept as `pending`, because it holds the
    /// only token that still works.
    pub async fn import(
        &self,
        actor: &Actor,
        new: NewImport,
    ) -> Result<ConnectionView, ConnectError> {
        actor.require(KeyScope::Connect)?;
        let owner = parse_owner(&new.owner)?;
        let entry = self.inner.catalogue.get(&new.app)?;
        let auth = entry.method(&new.method)?;
        check_runs(&entry.manifest, &new.method)?;
        let typed = fields::parse(&entry, &new.method, &new.fields, None)?;
        let title = new
            .title
            .as_deref()
            .map(|title| self.check_name("title", title))
            .transpose()?;
        let config = self
            .configuration_for(&new.app, new.config.as_deref())
            .await?;
        let offered = config.as_ref().map(Stored::sealed).transpose()?;

        let mut sealed = ConnectionSealed {
            fields: typed.fields,
            credentials: typed.credentials,
            ..ConnectionSealed::default()
        };
        // A refresh token, and any token of OAuth 1.0a, is bound to the client that it was made with: without that client it
        // could not be used.
        match (auth, new.token) {
            (AuthMethod::Oauth2(oauth), Some(token)) => {
                self.take_token(&mut sealed, oauth, token)?;
                let token = sealed.token.as_ref();
                if token.is_some_and(|token| token.refresh.is_some()) {
                    check_offered(&entry.manifest, &new.method, auth, offered)?;
                    let known = scope::of_connection(&sealed, None);
                    let endpoints = scope::endpoints(&entry, oauth, &known)?;
                    client::choose(oauth, &known, &endpoints, offered)?;
                }
            }
            (AuthMethod::Oauth1(rule), Some(token)) if is_three_legged(auth) => {
                check_offered(&entry.manifest, &new.method, auth, offered)?;
                take_signing_token(&mut sealed, rule, token)?;
            }
            (_, None) if auth.oauth2().is_some() || is_three_legged(auth) => {
                return Err(ConnectError::invalid(
                    "token",
                    "an OAuth connection is imported with its token",
                ));
            }
            (_, Some(_)) => {
                return Err(ConnectError::invalid(
                    "token",
                    "this way to sign in has fields, not a token",
                ));
            }
            (_, None) => {}
        }
        let fresh = Fresh {
            owner,
            app: new.app,
            method: new.method,
            config: config.as_ref().map(|config| config.id().to_owned()),
            title,
            sealed,
            replaces: None,
            imported: true,
        };
        let pending = self.keep_pending(fresh, None).await?;
        let id = pending.id().to_owned();
        match self.try_pending(&id).await {
            Ok(()) => self.get(&Actor::Host, &id).await,
            Err(error) if may_pass_later(&error) => {
                let stored: Stored<Connection> = self.load(&id).await?;
                let renewed = stored
                    .sealed()?
                    .token
                    .as_ref()
                    .is_some_and(|token| token.generation > 1);
                if renewed {
                    return Ok(self.view(&stored));
                }
                self.abandon(stored, "provider_down").await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    fn take_token(
        &self,
        sealed: &mut ConnectionSealed,
        oauth: &Oauth2,
        token: ImportToken,
    ) -> Result<(), ConnectError> {
        if token.token_secret.is_some() {
            return Err(ConnectError::invalid(
                "token.token_secret",
                "only a token of OAuth 1.0a has a secret",
            ));
        }
        take_captures(sealed, &oauth.capture, token.capture)?;
        sealed.scopes = token.scopes;
        sealed.token = Some(Token {
            access: clean("token.access_token", token.access_token)?,
            refresh: token
                .refresh_token
                .map(|text| clean("token.refresh_token", text))
                .transpose()?,
            expires_at: token
                .expires_at
                .as_deref()
                .map(|at| parse_rfc3339("token.expires_at", at))
                .transpose()?,
            obtained_at: self.now(),
            generation: 1,
            // How long the grant was left alone before is not known.
            ..Token::default()
        });
        Ok(())
    }
}

/// A token of OAuth 1.0a: it does not end by itself and cannot be renewed.
fn take_signing_token(
    sealed: &mut ConnectionSealed,
    rule: &Oauth1,
    token: ImportToken,
) -> Result<(), ConnectError> {
    if token.refresh_token.is_some() || token.expires_at.is_some() {
        return Err(ConnectError::invalid(
            "token",
            "a token of OAuth 1.0a has a secret, and neither an end nor a refresh token",
        ));
    }
    let secret = token.token_secret.ok_or_else(|| {
        ConnectError::invalid(
            "token.token_secret",
            "a token of OAuth 1.0a comes with its secret",
        )
    })?;
    take_captures(sealed, &rule.capture, token.capture)?;
    sealed.scopes = token.scopes;
    sealed.oauth1 = Some(Oauth1Token {
        token: clean("token.access_token", token.access_token)?,
        secret: clean("token.token_secret", secret)?,
    });
    Ok(())
}

/// What the manifest captures at a sign-in has to come along.
fn take_captures(
    sealed: &mut ConnectionSealed,
    declared: &IndexMap<String, Capture>,
    given: IndexMap<String, String>,
) -> Result<(), ConnectError> {
    for (id, value) in given {
        let rule = declared.get(&id).ok_or_else(|| {
            ConnectError::invalid("token.capture", format!("this app captures no `{id}`"))
        })?;
        let value = rule.check(&value).ok_or_else(|| {
            ConnectError::invalid(
                "token.capture",
                format!("`{id}` is not of the form that this app gives it"),
            )
        })?;
        sealed.capture.insert(id, Hidden::new(value));
    }
    let missing = declared
        .iter()
        .find(|(id, rule)| rule.required && !sealed.capture.contains_key(*id));
    match missing {
        Some((missing, _)) => Err(ConnectError::invalid(
            "token.capture",
            format!("this app needs `{missing}` as well"),
        )),
        None => Ok(()),
    }
}

fn clean(field: &str, text: String) -> Result<Hidden, ConnectError> {
    let text = text.trim().to_owned();
    if text.is_empty() || text.len() > 16_384 || text.chars().any(char::is_control) {
        return Err(ConnectError::invalid(
            field,
            "this is empty, too long, or holds control characters",
        ));
    }
    Ok(Hidden::new(text))
}
