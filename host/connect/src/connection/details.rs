//! New details for a connection, and credentials that were made elsewhere: both tested before they count.

use std::time::Instant;

use indexmap::IndexMap;
use keyport_manifest::AuthMethod;
use keyport_vault::Expect;

use super::check::Subject;
use super::pending::{Fresh, may_pass_later, wrong_account};
use super::state::works;
use super::verbs::{Steps, signed_in};
use crate::actor::Actor;
use crate::catalogue::is_three_legged;
use crate::clock::parse_rfc3339;
use crate::configuration::{check_offered, check_runs};
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::flow::{client, fields};
use crate::hidden::Hidden;
use crate::record::{Connection, ConnectionSealed, Seal, Stored, Token};
use crate::session::parse_owner;
use crate::use_::scope;
use crate::view::{ConnectionView, ImportToken, KeyScope, NewImport, TestReport};

impl Engine {
    /// Replaces a connection's fields. What is left out stays as it is. The new values are tested first; the old ones go
    /// only when the new ones pass and are of the same account.
    ///
    /// # Errors
    ///
    /// A field that is not acceptable; `sign_in_again` for a sign-in on the app's own page. A test that failed is a
    /// report, and changes nothing.
    pub async fn update_details(
        &self,
        actor: &Actor,
        id: &str,
        typed: IndexMap<String, String>,
    ) -> Result<TestReport, ConnectError> {
        actor.require_or_session(KeyScope::Manage)?;
        let stored = self.connection_of(actor, id).await?;
        signed_in(&stored)?;
        let entry = self.inner.catalogue.get(&stored.clear.app)?.clone();
        let auth = entry.method(&stored.clear.method)?;
        if auth.oauth2().is_some() || is_three_legged(auth) {
            return Err(ConnectError::state(
                "sign_in_again",
                "to change the details of this account, sign in to it again",
            ));
        }
        let old = stored.sealed()?;
        let parsed = fields::parse(&entry, &stored.clear.method, &typed, Some(old))?;
        let mut sealed = old.clone();
        let moved = !fields::same(&old.fields, &parsed.fields);
        if moved && !old.discovered.is_empty() {
            // What was found out about the account belongs to the old address, and finding it out may ask something.
            return Err(ConnectError::state(
                "sign_in_again",
                "to use this account at another address, sign in to it again",
            ));
        }
        sealed.fields = parsed.fields;
        sealed.credentials = parsed.credentials;
        let mut steps = Steps::new();
        let since = Instant::now();
        // What the new values resolve to is what the person agrees to by giving them.
        sealed.hosts = match self.first_hosts(&entry, &stored.clear.method, &sealed) {
            Ok(hosts) => hosts,
            Err(error) => {
                steps.failed("fields", since, error.to_string());
                return Ok(steps.report(Some(&error), self.view(&stored)));
            }
        };
        steps.done("fields", since, "the account details are complete");

        let since = Instant::now();
        if let AuthMethod::Session(session) = entry.method(&stored.clear.method)?
            && let Err(error) = self
                .log_in(
                    &entry,
                    stored.owner(),
                    &stored.clear.method,
                    session,
                    &mut sealed,
                )
                .await
        {
            steps.failed("token", since, error.to_string());
            return Ok(steps.report(Some(&error), self.view(&stored)));
        }
        let since = Instant::now();
        let config = self.config_of(&stored).await?;
        let subject = Subject {
            entry: &entry,
            owner: stored.owner(),
            method: &stored.clear.method,
            sealed: &sealed,
            account: None,
            config: config.as_ref(),
        };
        let checked = match self.check(&subject).await {
            Ok(checked) => checked,
            Err(error) => {
                steps.failed("request", since, error.to_string());
                return Ok(steps.report(Some(&error), self.view(&stored)));
            }
        };
        steps.done(
            "request",
            since,
            format!("{} accepted the new details", entry.manifest.name),
        );
        if let (Some(before), Some(now)) = (&stored.clear.account, &checked.account)
            && before.id != now.id
        {
            let error = wrong_account(&before.label, &now.label);
            steps.failed("account", since, error.to_string());
            return Ok(steps.report(Some(&error), self.view(&stored)));
        }
        if let Some(account) = &checked.account {
            steps.done("account", since, format!("connected as {}", account.label));
        }
        sealed.account_extra = checked.extra;
        sealed.hosts = self.agreed_hosts(&entry, &stored.clear.method, &sealed)?;
        let mut stored = stored;
        stored.clear.expires_at = sealed.session.as_ref().and_then(|life| life.expires_at);
        works(&mut stored.clear);
        stored.clear.account = checked.account.or(stored.clear.account);
        stored.clear.updated_at = self.now();
        stored.clear.last_tested_at = Some(self.now());
        let note = Note::by(actor, "connection.details_updated")
            .owner(stored.owner())
            .app(&stored.clear.app)
            .connection(id);
        let note = self.note(note)?;
        let mut writes = self.put_connection(
            &stored.id,
            Expect::At(stored.rev),
            &mut stored.clear,
            Seal::Put(&sealed),
        )?;
        writes.push(note);
        stored.rev = self.commit(writes).await?;
        stored.sealed = Some(sealed);
        self.tell("connection", stored.owner(), id);
        Ok(steps.report(None, self.view(&stored)))
    }

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
        let entry = self.inner.catalogue.get(&new.app)?.clone();
        let auth = entry.method(&new.method)?;
        check_runs(&entry.manifest, &new.method)?;
        if is_three_legged(auth) {
            return Err(ConnectError::invalid(
                "method",
                "a sign-in by OAuth 1.0a is bound to the client that it was made with, and cannot be taken over; connect it in the window",
            ));
        }
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
        match (auth.oauth2(), new.token) {
            (Some(oauth), Some(token)) => {
                self.take_token(&mut sealed, oauth, token)?;
                if sealed
                    .token
                    .as_ref()
                    .is_some_and(|token| token.refresh.is_some())
                {
                    // A refresh token is bound to the client that it was made with: without one it could not be used.
                    check_offered(&entry.manifest, &new.method, auth, offered)?;
                    let known = scope::of_connection(&sealed, None);
                    let endpoints = scope::endpoints(&entry, oauth, &known)?;
                    client::choose(oauth, &known, &endpoints, offered)?;
                }
            }
            (Some(_), None) => {
                return Err(ConnectError::invalid(
                    "token",
                    "an OAuth connection is imported with its token",
                ));
            }
            (None, Some(_)) => {
                return Err(ConnectError::invalid(
                    "token",
                    "this way to sign in has fields, not a token",
                ));
            }
            (None, None) => {}
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
        oauth: &keyport_manifest::Oauth2,
        token: ImportToken,
    ) -> Result<(), ConnectError> {
        let clean = |field: &str, text: String| {
            let text = text.trim().to_owned();
            if text.is_empty() || text.len() > 16_384 || text.chars().any(char::is_control) {
                return Err(ConnectError::invalid(
                    field,
                    "this is empty, too long, or holds control characters",
                ));
            }
            Ok(Hidden::new(text))
        };
        for (id, value) in token.capture {
            let declared = oauth.capture.get(&id).ok_or_else(|| {
                ConnectError::invalid("token.capture", format!("this app captures no `{id}`"))
            })?;
            let value = declared.check(&value).ok_or_else(|| {
                ConnectError::invalid(
                    "token.capture",
                    format!("`{id}` is not of the form that this app gives it"),
                )
            })?;
            sealed.capture.insert(id, Hidden::new(value));
        }
        if let Some((missing, _)) = oauth
            .capture
            .iter()
            .find(|(id, declared)| declared.required && !sealed.capture.contains_key(*id))
        {
            return Err(ConnectError::invalid(
                "token.capture",
                format!("this app needs `{missing}` as well"),
            ));
        }
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
        });
        Ok(())
    }
}
