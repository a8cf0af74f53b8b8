//! From an answer of the token endpoint to a connection: kept, tested, or told why not.
//!
//! Every grant ends here: a code, a device's code, an assertion, the client's own. How it went is in the flow.

use indexmap::IndexMap;
use keyport_manifest::Oauth2Grant;
use keyport_vault::Expect;

use super::problem;
use crate::connection::Fresh;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::fault;
use crate::hidden::Hidden;
use crate::ids;
use crate::record::{
    self, Configuration, ConnectionSealed, Endpoints, Flow, FlowSealed, Seal, Stored, Whose,
};
use crate::token::client::TokenFailure;
use crate::token::exchange::{Granted, flow_scope};
use crate::view::{FlowStatus, Problem};

impl Engine {
    /// Keeps what came, and tests it. `capture` is what the callback brought.
    pub(super) async fn finish_sign_in(
        &self,
        flow: Stored<Flow>,
        sealed: FlowSealed,
        granted: Result<Granted, TokenFailure>,
        capture: IndexMap<String, Hidden>,
    ) {
        let id = flow.id().to_owned();
        let granted = match granted {
            Ok(granted) => granted,
            Err(failure) => {
                tracing::info!(flow = id, code = failure.code(), "a sign-in gave no token");
                if sealed.client.whose == Whose::Registered && failure.code() == "invalid_client" {
                    // The server does not know the client that it made any more: this sign-in registers anew, once.
                    self.forget_registration(
                        flow.owner(),
                        &sealed.endpoints,
                        &sealed.config,
                        Some(&sealed.client.id),
                    )
                    .await;
                    // Apart from the rest of this future: it is large, and seldom needed.
                    match Box::pin(self.begin_anew(&flow, &sealed)).await {
                        Ok(true) => return,
                        Ok(false) => {}
                        Err(error) => {
                            tracing::info!(
                                flow = id,
                                code = error.code(),
                                "a client that was forgotten could not be registered anew"
                            );
                        }
                    }
                }
                self.end_flow(flow, exchange_error(&failure, &id)).await;
                return;
            }
        };
        let mut all = capture;
        all.extend(granted.capture);
        let found = sealed.endpoints.found.then(|| Endpoints {
            tenant: granted.tenant,
            ..sealed.endpoints.clone()
        });
        let fresh = Fresh {
            owner: flow.owner().clone(),
            app: flow.clear.app.clone(),
            method: sealed.method,
            config: Some(sealed.config).filter(|config| !config.is_empty()),
            title: sealed.title,
            sealed: ConnectionSealed {
                fields: sealed.fields,
                credentials: sealed.credentials,
                token: Some(granted.token),
                tokens: granted.tokens,
                endpoints: found,
                capture: all,
                // RFC 6749, 5.1: what is not said was granted as asked.
                scopes: granted.scopes.unwrap_or_else(|| sealed.scopes.clone()),
                asked: sealed.scopes,
                ..ConnectionSealed::default()
            },
            replaces: sealed.reactivates,
            imported: false,
        };
        self.keep_and_test(flow, fresh).await;
    }

    /// Keeps what a sign-in brought as a connection that is not in use yet, and tests it. How it went is in the flow.
    pub(super) async fn keep_and_test(&self, flow: Stored<Flow>, fresh: Fresh) {
        let id = flow.id().to_owned();
        let tried = match self.keep_pending(fresh, Some(&flow)).await {
            Ok(pending) => {
                fault::point("exchange.kept").await;
                self.try_pending(pending.id()).await
            }
            Err(ConnectError::Stale) => {
                tracing::info!(
                    flow = id,
                    "the person cancelled while the token was asked for; the grant was let go"
                );
                return;
            }
            Err(error) => {
                self.end_flow(flow, problem(error.code(), &error.to_string(), &id))
                    .await;
                return;
            }
        };
        if let Err(error) = tried {
            tracing::info!(
                flow = id,
                code = error.code(),
                "a fresh sign-in did not pass its test"
            );
        }
    }

    /// Begins a flow anew with another client, where its server has forgotten the one that it had: its code was that client's
    /// and is of no use to another, so the person is sent to the app once more. `false` where that was tried already.
    async fn begin_anew(
        &self,
        flow: &Stored<Flow>,
        sealed: &FlowSealed,
    ) -> Result<bool, ConnectError> {
        if sealed.anew || sealed.oauth.grant != Oauth2Grant::AuthorizationCode {
            return Ok(false);
        }
        let entry = self.inner.catalogue.get(&flow.clear.app)?.clone();
        let config: Stored<Configuration> = self.load(&sealed.config).await?;
        let known = entry.manifest.with_variant(&flow_scope(sealed));
        // The method stays the one that was pinned.
        let prepared = self
            .prepare(
                flow.owner(),
                &entry,
                sealed.oauth.clone(),
                &known,
                Some(&config),
            )
            .await?;
        if prepared.endpoints.issuer != sealed.endpoints.issuer {
            return Ok(false);
        }
        let redirect_uri = self.redirect_for(
            &prepared.oauth,
            &config,
            &prepared.endpoints,
            &prepared.client,
        )?;
        let fresh = |old: &Option<Hidden>| match old {
            Some(_) => ids::random_secret(self.inner.entropy.as_ref())
                .map(|secret| Some(Hidden::new(secret.as_str()))),
            None => Ok(None),
        };
        let again = FlowSealed {
            anew: true,
            oauth: prepared.oauth,
            client: prepared.client,
            endpoints: prepared.endpoints,
            scopes: prepared.scopes,
            redirect_uri,
            verifier: fresh(&sealed.verifier)?,
            nonce: fresh(&sealed.nonce)?,
            state: None,
            browser: None,
            ..sealed.clone()
        };
        let mut clear = flow.clear.clone();
        clear.status = FlowStatus::Started;
        let write = record::put::<Flow>(&flow.id, Expect::At(flow.rev), &clear, Seal::Put(&again))?;
        match self.commit(vec![write]).await {
            Ok(_) => {
                self.tell("flow", flow.owner(), flow.id());
                Ok(true)
            }
            // Cancelled meanwhile.
            Err(ConnectError::Stale) => Ok(true),
            Err(other) => Err(other),
        }
    }

    /// Ends a flow with an error.
    pub(super) async fn end_flow(&self, mut stored: Stored<Flow>, error: Problem) -> Stored<Flow> {
        let written = match self.fail_flow(&stored, &error) {
            Ok(write) => self.commit(vec![write]).await,
            Err(unwritable) => Err(unwritable),
        };
        if let Err(unwritten) = written {
            tracing::warn!(
                flow = stored.id(),
                code = unwritten.code(),
                "a failed sign-in was not written down"
            );
        }
        self.tell("flow", stored.owner(), stored.id());
        stored.clear.status = FlowStatus::Failed;
        stored.clear.error = Some(error);
        stored
    }
}

pub(super) fn exchange_error(failure: &TokenFailure, flow_id: &str) -> Problem {
    if let TokenFailure::Misconfigured { code } = failure
        && code == "capture_not_allowed"
    {
        return problem(
            code,
            "the app's answer holds something that is not allowed there; tell the operator",
            flow_id,
        );
    }
    let code = match failure {
        TokenFailure::Refused { .. } => "code_refused",
        TokenFailure::Misconfigured { .. } => "client_refused",
        TokenFailure::Down { .. } => "provider_down",
        TokenFailure::Unreadable { .. } => "token_answer_unreadable",
    };
    problem(code, &format!("{failure}; start again"), flow_id)
}
