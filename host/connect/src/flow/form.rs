//! Sign-in by a form: an API key, a password, a token; and the grants of OAuth that need no page.

use keyport_vault::Expect;

use super::fields;
use crate::actor::Actor;
use crate::catalogue::is_three_legged;
use crate::configuration::check_offered;
use crate::connection::Fresh;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::ids;
use crate::record::{self, ConnectionSealed, Entity as _, Flow, FlowClear, Seal, Stored};
use crate::view::{FlowMode, FlowStatus, FlowView, FormSubmit, SessionCtx};

impl Engine {
    /// Connects with what a person typed. The answer says how the test call went: connected, waiting for the platform's
    /// backend, waiting for an app that is down, or failed and nothing kept.
    ///
    /// # Errors
    ///
    /// A field that is not acceptable, with its id; nothing was sent then.
    pub async fn connect_with_form(
        &self,
        session: &SessionCtx,
        form: FormSubmit,
    ) -> Result<FlowView, ConnectError> {
        session.allows_app(&form.app)?;
        let entry = self.inner.catalogue.get(&form.app)?;
        let auth = entry.method(&form.method)?;
        let unattended = auth
            .oauth2()
            .is_some_and(|oauth| oauth.grant.is_unattended() && !oauth.grant.has_page());
        if (auth.oauth2().is_some() && !unattended) || is_three_legged(auth) {
            return Err(ConnectError::invalid(
                "method",
                "this way to sign in goes through the app's own page",
            ));
        }
        let reactivates = self
            .reactivated(session, &form.app, form.connection_id.as_deref())
            .await?;
        let stored = reactivates
            .as_ref()
            .filter(|old| old.clear.method == form.method)
            .and_then(|old| old.sealed.as_ref());
        let typed = fields::parse(&entry, &form.method, &form.fields, stored)?;
        let title = form
            .title
            .as_deref()
            .map(|title| self.check_name("title", title))
            .transpose()?;
        let wanted = form.config.as_deref().or(reactivates
            .as_ref()
            .and_then(|old| old.clear.config.as_deref()));
        let config = self.configuration_for(&form.app, wanted).await?;
        check_offered(
            &entry.manifest,
            &form.method,
            auth,
            config.as_ref().map(Stored::sealed).transpose()?,
        )?;

        // Where the token is asked for, and as whom, is decided before anything is kept: what is wrong with it is the form's.
        let prepared = match unattended {
            true => {
                let typed = fields::Typed {
                    fields: typed.fields.clone(),
                    credentials: typed.credentials.clone(),
                };
                let mut prepared = self
                    .prepare_unattended(
                        &session.owner,
                        &entry,
                        &form.method,
                        typed,
                        config.as_ref(),
                    )
                    .await?;
                prepared.title.clone_from(&title);
                prepared.reactivates = reactivates.as_ref().map(|old| old.id().to_owned());
                Some(prepared)
            }
            false => None,
        };
        let clear = FlowClear {
            app: form.app.clone(),
            session: session.id.clone(),
            session_kind: session.kind,
            status: match unattended {
                true => FlowStatus::Exchanging,
                false => FlowStatus::Testing,
            },
            mode: FlowMode::Popup,
            connection_id: None,
            error: None,
            created_at: self.now(),
            expires_at: self.after(self.inner.options.flow),
            poll_at: None,
            choosing: None,
        };
        let id = ids::random_id(self.inner.entropy.as_ref(), Flow::PREFIX)?;
        let at = record::record_id::<Flow>(&session.owner, &id);
        let actor = Actor::Session(session.clone());
        let rev = self
            .commit(vec![
                record::put::<Flow>(&at, Expect::Absent, &clear, Seal::Keep)?,
                self.note(
                    Note::by(&actor, "flow.started")
                        .owner(&session.owner)
                        .app(&form.app)
                        .code(&id),
                )?,
            ])
            .await?;
        let flow: Stored<Flow> = Stored {
            id: at,
            rev,
            clear,
            sealed: None,
            damaged: false,
        };
        if let Some(prepared) = prepared {
            let engine = self.clone();
            let done =
                tokio::spawn(async move { engine.sign_in_unattended(flow, prepared).await }).await;
            done.map_err(|_| failed_here())?;
            return self.flow(session, &id).await;
        }
        let mut sealed = ConnectionSealed {
            fields: typed.fields,
            credentials: typed.credentials,
            ..ConnectionSealed::default()
        };
        sealed.hosts = self.first_hosts(&entry, &form.method, &sealed)?;
        let fresh = Fresh {
            owner: session.owner.clone(),
            app: form.app,
            method: form.method,
            config: config.as_ref().map(|config| config.id().to_owned()),
            title,
            sealed,
            replaces: reactivates.map(|old| old.id().to_owned()),
            imported: false,
        };
        // In a task of its own: a page that goes away does not leave a half-made connection.
        let engine = self.clone();
        let done = tokio::spawn(async move {
            let pending = engine.keep_pending(fresh, Some(&flow)).await?;
            match engine.try_pending(pending.id()).await {
                // How it went is in the flow.
                Ok(())
                | Err(
                    ConnectError::App { .. }
                    | ConnectError::State { .. }
                    | ConnectError::Internal { .. },
                ) => Ok(()),
                Err(
                    ConnectError::Invalid { .. }
                    | ConnectError::Refused { .. }
                    | ConnectError::Misconfigured { .. },
                ) => Ok(()),
                Err(other) => Err(other),
            }
        });
        done.await.map_err(|_| failed_here())??;
        self.flow(session, &id).await
    }
}

fn failed_here() -> ConnectError {
    ConnectError::internal(
        "connect_failed",
        "connecting failed on this host; try again",
    )
}
