//! Sign-ins under way.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`fields`] | what a person typed, checked against the manifest |
//! | [`form`] | sign-in by a form: an API key, a password, a token |
//! | [`begin`] | what every sign-in on a page begins with: the form, the configuration, the flow itself |
//! | [`start`] | sign-in on the app's own page: everything pinned and sealed |
//! | [`signed`] | the same by OAuth 1.0a, which has no state: what binds an answer to its flow |
//! | [`go`] | the browser leaves: state, cookie, authorization URL |
//! | [`device`] | sign-in by a code that the person types: asked for at the server's pace |
//! | [`unattended`] | sign-in without a page: as the client itself, or with a signed assertion |
//! | [`finish`] | from an answer of the token endpoint to a connection |
//! | [`client`] | whose OAuth client is used, and which hosts may see its secret |
//! | [`callback`] | the browser comes back: every check before the code is redeemed, once |
//!
//! The server is the truth about a flow; windows and messages between them only make it faster.

mod begin;
mod callback;
pub(crate) mod client;
pub(crate) mod device;
pub(crate) mod fields;
pub(crate) mod finish;
mod form;
mod go;
mod signed;
mod start;
mod unattended;

use keyport_vault::{Expect, Write};

use crate::engine::Engine;
use crate::error::ConnectError;
use crate::record::{self, Connection, Entity as _, Flow, Seal, Stored};
use crate::view::{FlowStatus, FlowView, Problem, SessionCtx};

impl Engine {
    /// Where a sign-in of this session stands.
    ///
    /// # Errors
    ///
    /// When this session has no such flow.
    pub async fn flow(
        &self,
        session: &SessionCtx,
        flow_id: &str,
    ) -> Result<FlowView, ConnectError> {
        let stored = self.flow_of(session, flow_id).await?;
        self.flow_view(session, &stored).await
    }

    /// The person changed their mind. A grant that came in already is let go.
    ///
    /// # Errors
    ///
    /// When this session has no such flow, or it has ended.
    pub async fn cancel_flow(
        &self,
        session: &SessionCtx,
        flow_id: &str,
    ) -> Result<FlowView, ConnectError> {
        let mut stored = self.flow_of(session, flow_id).await?;
        if stored.clear.status.ended() {
            return Err(ConnectError::state(
                "flow_ended",
                "this sign-in has ended already",
            ));
        }
        stored.clear.status = FlowStatus::Cancelled;
        let rev = self
            .commit(vec![record::put::<Flow>(
                &stored.id,
                Expect::At(stored.rev),
                &stored.clear,
                Seal::Destroy,
            )?])
            .await?;
        stored.rev = rev;
        self.tell("flow", stored.owner(), flow_id);
        let pending = [&stored.clear.choosing, &stored.clear.connection_id];
        for connection in pending.into_iter().flatten() {
            if let Ok(pending) = self.load::<Connection>(connection).await {
                self.abandon(pending, "cancelled").await?;
            }
        }
        self.flow_view(session, &stored).await
    }

    pub(crate) async fn flow_of(
        &self,
        session: &SessionCtx,
        flow_id: &str,
    ) -> Result<Stored<Flow>, ConnectError> {
        let stored: Stored<Flow> = self.load(flow_id).await?;
        if *stored.owner() != session.owner || stored.clear.session != session.id {
            return Err(ConnectError::not_found(Flow::WHAT));
        }
        Ok(stored)
    }

    pub(crate) async fn flow_view(
        &self,
        session: &SessionCtx,
        stored: &Stored<Flow>,
    ) -> Result<FlowView, ConnectError> {
        let mut view = bare_view(stored);
        if view.status == FlowStatus::AwaitingCompletion
            && let Some(connection) = &stored.clear.connection_id
            && let Ok(pending) = self.load::<Connection>(connection).await
            && let Some(awaiting) = &pending.clear.awaiting
        {
            view.completion = self.completion(session, connection, awaiting.until)?;
        }
        if device::waits(&stored.clear)
            && let Some(device) = stored.sealed.as_ref().and_then(|it| it.device.as_ref())
        {
            view.device = Some(device::shown(device, stored.clear.expires_at));
        }
        view.choose = self.question_of(stored).await;
        // A flow that nobody came back from has ended, whether or not the sweep has been by.
        if matches!(
            view.status,
            FlowStatus::Started | FlowStatus::Authorizing | FlowStatus::Choosing
        ) && self.now() >= stored.clear.expires_at
        {
            view.status = FlowStatus::Failed;
            view.error = Some(problem(
                "expired",
                "this took too long; start again",
                stored.id(),
            ));
        }
        Ok(view)
    }

    /// The write that ends a flow with an error. What it pinned is destroyed.
    pub(crate) fn fail_flow(
        &self,
        stored: &Stored<Flow>,
        error: &Problem,
    ) -> Result<Write, ConnectError> {
        let mut clear = stored.clear.clone();
        clear.status = FlowStatus::Failed;
        clear.error = Some(error.clone());
        record::put::<Flow>(&stored.id, Expect::At(stored.rev), &clear, Seal::Destroy)
    }
}

/// A flow without what only its session may see.
pub(crate) fn bare_view(stored: &Stored<Flow>) -> FlowView {
    FlowView {
        id: stored.id().to_owned(),
        app: stored.clear.app.clone(),
        status: stored.clear.status,
        mode: stored.clear.mode,
        connection_id: stored.clear.connection_id.clone(),
        error: stored.clear.error.clone(),
        choose: None,
        device: None,
        completion: None,
    }
}

pub(crate) fn problem(code: &str, say: &str, reference: &str) -> Problem {
    Problem {
        code: code.to_owned(),
        say: say.to_owned(),
        reference: Some(reference.to_owned()),
    }
}
