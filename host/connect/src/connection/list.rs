//! Finding, listing and showing connections. A listing never decrypts.

use keyport_vault::Owner;

use crate::actor::Actor;
use crate::catalogue::logo_url;
use crate::clock;
use crate::configuration::check_etag;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::record::{self, Connection, ConnectionClear, Entity as _, Stored};
use crate::session::parse_owner;
use crate::view::{ConnectionQuery, ConnectionState, ConnectionView, KeyScope, Page, Reason};

impl Engine {
    /// The connections that this actor may see, by owner and age.
    ///
    /// # Errors
    ///
    /// When the query is not acceptable or the store cannot be read.
    pub async fn list(
        &self,
        actor: &Actor,
        query: &ConnectionQuery,
    ) -> Result<Page<ConnectionView>, ConnectError> {
        let owner = match (actor, &query.owner) {
            (Actor::Session(session), _) => Some(session.owner.clone()),
            (_, Some(owner)) => Some(parse_owner(owner)?),
            (_, None) => None,
        };
        if matches!(actor, Actor::Platform(_)) {
            actor.require_any(&[KeyScope::Manage, KeyScope::Connect])?;
        }
        let limit = query.limit.unwrap_or(50).clamp(1, 200);
        let mut items = Vec::new();
        let mut after = query.cursor.clone();
        loop {
            let wanted = limit - items.len();
            let page = self
                .inner
                .vault
                .list(Connection::KIND, owner.as_ref(), after.as_deref(), wanted)
                .await?;
            for head in page.heads {
                let Some(stored) = record::read_listed::<Connection>(head) else {
                    continue;
                };
                if listed(actor, query, stored.owner(), &stored.clear) {
                    items.push(self.view(&stored));
                }
            }
            after = page.next;
            if after.is_none() || items.len() >= limit {
                return Ok(Page {
                    items,
                    next_cursor: after,
                });
            }
        }
    }

    /// One connection.
    ///
    /// # Errors
    ///
    /// When there is none with this id that this actor may see.
    pub async fn get(&self, actor: &Actor, id: &str) -> Result<ConnectionView, ConnectError> {
        if matches!(actor, Actor::Platform(_)) {
            actor.require_any(&[KeyScope::Manage, KeyScope::Connect])?;
        }
        Ok(self.view(&self.connection_of(actor, id).await?))
    }

    /// The record behind an id, if this actor may see it. Somebody else's is answered like one that does not exist.
    pub(crate) async fn connection_of(
        &self,
        actor: &Actor,
        id: &str,
    ) -> Result<Stored<Connection>, ConnectError> {
        let stored: Stored<Connection> = self.load(id).await?;
        if !actor.sees(stored.owner()) || stored.clear.replaces.is_some() {
            return Err(ConnectError::not_found(Connection::WHAT));
        }
        if let Actor::Session(session) = actor {
            session
                .allows_app(&stored.clear.app)
                .map_err(|_| ConnectError::not_found(Connection::WHAT))?;
        }
        Ok(stored)
    }

    /// As [`Engine::connection_of`], refusing when `if_match` is not its etag.
    pub(crate) async fn connection_at(
        &self,
        actor: &Actor,
        id: &str,
        if_match: Option<&str>,
    ) -> Result<Stored<Connection>, ConnectError> {
        let stored = self.connection_of(actor, id).await?;
        check_etag(if_match, stored.rev)?;
        Ok(stored)
    }

    pub(crate) fn view(&self, stored: &Stored<Connection>) -> ConnectionView {
        let clear = &stored.clear;
        // What is altered must not be acted upon: a state of this one connection, which the person or a backup mends.
        let (state, reason) = if stored.damaged {
            (ConnectionState::NeedsReconnect, Some(damaged()))
        } else {
            (clear.state, clear.reason.clone())
        };
        let app_name = self
            .inner
            .catalogue
            .get(&clear.app)
            .map_or_else(|_| clear.app.clone(), |app| app.manifest.name.clone());
        ConnectionView {
            id: stored.id().to_owned(),
            app: clear.app.clone(),
            app_name,
            logo_url: logo_url(&clear.app),
            owner: stored.owner().to_string(),
            title: clear.title.clone(),
            account: clear.account.clone(),
            method: clear.method.clone(),
            method_kind: clear.kind.clone(),
            state,
            reason,
            enabled: clear.enabled,
            scopes: stored
                .sealed
                .as_ref()
                .map(|sealed| sealed.scopes.clone())
                .unwrap_or_default(),
            missing_scopes: clear.missing_scopes.clone(),
            config: clear.config.clone(),
            imported: clear.imported,
            created_at: clock::rfc3339(clear.created_at),
            updated_at: clock::rfc3339(clear.updated_at),
            last_used_at: clear.last_used_at.map(clock::rfc3339),
            last_tested_at: clear.last_tested_at.map(clock::rfc3339),
            expires_at: clear.expires_at.map(clock::rfc3339),
            sign_in_ends_at: clear.ends_at.map(clock::rfc3339),
            etag: stored.rev.to_string(),
        }
    }
}

fn damaged() -> Reason {
    Reason {
        code: "damaged_record".into(),
        say: "what is stored of this connection is damaged; sign in again, or ask the operator to restore it from a backup"
            .into(),
    }
}

fn listed(actor: &Actor, query: &ConnectionQuery, owner: &Owner, clear: &ConnectionClear) -> bool {
    let in_session = match actor {
        Actor::Session(session) => session.allows_app(&clear.app).is_ok(),
        Actor::Platform(_) | Actor::Host => true,
    };
    actor.sees(owner)
        && in_session
        && clear.replaces.is_none()
        && query.app.as_ref().is_none_or(|app| *app == clear.app)
        && query.state.is_none_or(|state| state == clear.state)
}
