//! From an answer of the token endpoint to a connection: kept, tested, or told why not.
//!
//! Every grant ends here: a code, a device's code, an assertion, the client's own. How it went is in the flow.

use indexmap::IndexMap;

use super::problem;
use crate::connection::Fresh;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::hidden::Hidden;
use crate::record::{ConnectionSealed, Flow, FlowSealed, Stored, Whose};
use crate::token::client::TokenFailure;
use crate::token::exchange::Granted;
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
                    // The server does not know the client that it made: the next sign-in registers anew.
                    self.forget_registration(flow.owner(), &sealed.endpoints, &sealed.config)
                        .await;
                }
                self.end_flow(flow, exchange_error(&failure, &id)).await;
                return;
            }
        };
        let mut all = capture;
        all.extend(granted.capture);
        let found = sealed.endpoints.found.then(|| sealed.endpoints.clone());
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
        let tried = match self.keep_pending(fresh, Some(&flow)).await {
            Ok(pending) => self.try_pending(pending.id()).await,
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
    let code = match failure {
        TokenFailure::Refused { .. } => "code_refused",
        TokenFailure::Misconfigured { .. } => "client_refused",
        TokenFailure::Down { .. } => "provider_down",
        TokenFailure::Unreadable { .. } => "token_answer_unreadable",
    };
    problem(code, &format!("{failure}; start again"), flow_id)
}
