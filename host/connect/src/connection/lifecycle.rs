//! Code of a component's own around the life of a connection: what `lifecycle` of the manifest names, and nothing else.
//!
//! `connected` runs after the test call has passed and before the connection counts; what it returns is kept where the manifest
//! names it, as public captures, and its failure is the sign-in's. `disconnecting` runs while the credentials still work, for
//! at most a few seconds; its failure is logged and stops nothing, for nobody may be kept from leaving.
//!
//! Left out: telling a component of a pause, a renewal or a reconnect.

use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Value;

use super::check::Subject;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::hidden::Hidden;
use crate::record::{Connection, Stored};
use crate::use_::call::call_error;
use crate::use_::pass::PassParts;
use crate::view::AccountView;

/// A person waits for the disconnect.
const GOODBYE: Duration = Duration::from_secs(10);
/// A capture is a name, a number, an address: not a document.
const MAX_CAPTURE: usize = 4 << 10;

impl Engine {
    /// What the component finds out once a connection works.
    pub(crate) async fn connected(
        &self,
        subject: &Subject<'_>,
        account: Option<&AccountView>,
    ) -> Result<IndexMap<String, Hidden>, ConnectError> {
        let Some(declared) = &subject.entry.manifest.lifecycle.connected else {
            return Ok(IndexMap::new());
        };
        let parts = PassParts {
            entry: subject.entry,
            owner: subject.owner,
            method: subject.method,
            sealed: subject.sealed,
            account,
            config: subject.config,
        };
        let call = self.component_call(&parts, false).await?;
        let found = subject
            .entry
            .component()?
            .connected(call)
            .await
            .map_err(call_error)?;
        let mut captures = IndexMap::new();
        for id in &declared.captures {
            let text = match found.get(id) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                Some(Value::Bool(truth)) => truth.to_string(),
                _ => continue,
            };
            if text.len() > MAX_CAPTURE || text.chars().any(char::is_control) {
                return Err(ConnectError::internal(
                    "component_bad_answer",
                    format!(
                        "the component of {} returned a value for `{id}` that is not one short line",
                        subject.entry.id()
                    ),
                ));
            }
            captures.insert(id.clone(), Hidden::new(text));
        }
        Ok(captures)
    }

    /// Lets the component say goodbye with credentials that still work.
    pub(crate) async fn disconnecting(&self, stored: &Stored<Connection>) {
        if let Err(error) = self.say_goodbye(stored).await {
            tracing::warn!(
                connection = stored.id(),
                app = stored.clear.app,
                code = error.code(),
                "the component's code before a disconnect failed; the disconnect goes on"
            );
        }
    }

    async fn say_goodbye(&self, stored: &Stored<Connection>) -> Result<(), ConnectError> {
        let Ok(entry) = self.inner.catalogue.get(&stored.clear.app) else {
            return Ok(());
        };
        if !entry.manifest.lifecycle.disconnecting {
            return Ok(());
        }
        let config = self.config_of(stored).await?;
        let parts = PassParts {
            entry: &entry,
            owner: stored.owner(),
            method: &stored.clear.method,
            sealed: stored.sealed()?,
            account: stored.clear.account.as_ref(),
            config: config.as_ref(),
        };
        let mut call = self.component_call(&parts, false).await?;
        call.deadline = call.deadline.min(GOODBYE);
        entry
            .component()?
            .disconnecting(call)
            .await
            .map(drop)
            .map_err(call_error)
    }
}
