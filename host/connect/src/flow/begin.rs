//! What every sign-in on an app's own page begins with, whatever its protocol: what the person typed, whose account it is to
//! be, which app configuration it goes by, and the flow that is written down before the browser leaves.

use keyport_manifest::Scope;
use keyport_vault::{Expect, Write};

use super::fields::{self, Typed};
use crate::actor::Actor;
use crate::catalogue::AppEntry;
use crate::configuration::check_offered;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;
use crate::record::{self, Configuration, Connection, Flow, FlowClear, FlowSealed, Seal, Stored};
use crate::use_::scope;
use crate::view::{FlowMode, FlowStatus, OauthStart, SessionCtx};

/// A form that was accepted, and what it belongs to.
pub(super) struct Begun {
    pub(super) typed: Typed,
    pub(super) title: Option<String>,
    pub(super) config: Stored<Configuration>,
    /// What templates of addresses may use.
    pub(super) known: Scope,
    /// The connection that is to be signed in again.
    pub(super) reactivates: Option<String>,
}

impl Engine {
    /// Checks what a sign-in begins with. Nothing is written, but for the app's configuration where it has none yet.
    pub(super) async fn begin(
        &self,
        session: &SessionCtx,
        entry: &AppEntry,
        start: &OauthStart,
    ) -> Result<Begun, ConnectError> {
        let reactivates = self
            .reactivated(session, &start.app, start.connection_id.as_deref())
            .await?;
        let stored = reactivates
            .as_ref()
            .filter(|old| old.clear.method == start.method)
            .and_then(|old| old.sealed.as_ref());
        let typed = fields::parse(entry, &start.method, &start.fields, stored)?;
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
            None => self.ensure_configuration(entry).await?,
        };
        check_offered(
            &entry.manifest,
            &start.method,
            entry.method(&start.method)?,
            Some(config.sealed()?),
        )?;
        Ok(Begun {
            known: entry.manifest.with_variant(&scope::of_typed(&typed)),
            typed,
            title,
            config,
            reactivates: reactivates.map(|old| old.id().to_owned()),
        })
    }

    /// A flow of this session, as it is when it begins.
    pub(super) fn new_flow(&self, session: &SessionCtx, app: String, mode: FlowMode) -> FlowClear {
        FlowClear {
            app,
            session: session.id.clone(),
            session_kind: session.kind,
            status: FlowStatus::Started,
            mode,
            connection_id: None,
            error: None,
            created_at: self.now(),
            expires_at: self.after(self.inner.options.flow),
            choosing: None,
            poll_at: None,
        }
    }

    /// Writes a new flow down with what it pins: in its own record, or in the one `beside` it.
    pub(super) async fn put_flow(
        &self,
        session: &SessionCtx,
        id: &str,
        clear: FlowClear,
        sealed: Option<FlowSealed>,
        beside: Option<Write>,
    ) -> Result<Stored<Flow>, ConnectError> {
        let at = record::record_id::<Flow>(&session.owner, id);
        let actor = Actor::Session(session.clone());
        let mut writes = vec![
            record::put::<Flow>(
                &at,
                Expect::Absent,
                &clear,
                sealed.as_ref().map_or(Seal::Keep, Seal::Put),
            )?,
            self.note(
                Note::by(&actor, "flow.started")
                    .owner(&session.owner)
                    .app(&clear.app)
                    .code(id),
            )?,
        ];
        writes.extend(beside);
        let rev = self.commit(writes).await?;
        Ok(Stored {
            id: at,
            rev,
            clear,
            sealed,
            damaged: false,
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
