//! New details for a connection, tested before they count.

use std::time::Instant;

use indexmap::IndexMap;
use keyport_manifest::AuthMethod;
use keyport_vault::Expect;

use super::check::Subject;
use super::first;
use super::pending::wrong_account;
use super::state::works;
use super::verbs::{Steps, signed_in};
use crate::actor::Actor;
use crate::catalogue::is_three_legged;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::flow::fields;
use crate::record::Seal;
use crate::view::{KeyScope, TestReport};

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
        let entry = self.inner.catalogue.get(&stored.clear.app)?;
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
                let error = first::at_first(error, &entry, &stored.clear.method);
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
        stored.clear.version = Some(entry.manifest.version.to_string());
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
}
