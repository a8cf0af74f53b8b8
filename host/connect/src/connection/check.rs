//! The test call: the request that proves that a connection works, run in the sandbox by the app's own component.

use indexmap::IndexMap;
use keyport_manifest::Test;
use keyport_vault::Owner;

use crate::catalogue::AppEntry;
use crate::connection::scopes::insufficient;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::hidden::Hidden;
use crate::record::{ConfigurationSealed, ConnectionSealed};
use crate::use_::call::call_error;
use crate::use_::pass::PassParts;
use crate::use_::scope;
use crate::view::AccountView;

/// What a test call found.
pub(crate) struct Checked {
    /// Who is connected; absent for an app that has no test call.
    pub(crate) account: Option<AccountView>,
    /// What else it said.
    pub(crate) extra: serde_json::Value,
    /// What the component's own code found out, for a connection that is new.
    pub(crate) captures: IndexMap<String, Hidden>,
}

/// What is tested.
pub(crate) struct Subject<'a> {
    pub(crate) entry: &'a AppEntry,
    pub(crate) owner: &'a Owner,
    pub(crate) method: &'a str,
    pub(crate) sealed: &'a ConnectionSealed,
    pub(crate) account: Option<&'a AccountView>,
    pub(crate) config: Option<&'a ConfigurationSealed>,
}

impl Engine {
    /// Runs the test call with these credentials. Writes nothing down.
    ///
    /// # Errors
    ///
    /// What the app said, in its own meaning; or that the component is at fault.
    pub(crate) async fn check(&self, subject: &Subject<'_>) -> Result<Checked, ConnectError> {
        let parts = PassParts {
            entry: subject.entry,
            owner: subject.owner,
            method: subject.method,
            sealed: subject.sealed,
            account: subject.account,
            config: subject.config,
        };
        let call = self.component_call(&parts, true).await?;
        if let Test::None { .. } = subject.entry.manifest.test_for(subject.method) {
            return Ok(Checked {
                account: None,
                extra: serde_json::Value::Null,
                captures: IndexMap::new(),
            });
        }
        let found = subject
            .entry
            .component()?
            .check(call)
            .await
            .map_err(call_error)
            .map_err(|error| insufficient(error, subject))?;
        Ok(Checked {
            account: Some(AccountView {
                id: found.id,
                label: found.label,
            }),
            extra: found.extra,
            captures: IndexMap::new(),
        })
    }

    /// The hosts that calls may go to, as the person agrees to them now.
    pub(crate) fn agreed_hosts(
        &self,
        entry: &AppEntry,
        method: &str,
        sealed: &ConnectionSealed,
    ) -> Result<Vec<String>, ConnectError> {
        let api = scope::api(entry, method, &scope::of_connection(sealed, None))?;
        Ok(api.hosts.iter().map(ToString::to_string).collect())
    }

    /// The same before sign-in is through: where the API's address depends on what only an answer will say, nothing yet.
    pub(crate) fn first_hosts(
        &self,
        entry: &AppEntry,
        method: &str,
        sealed: &ConnectionSealed,
    ) -> Result<Vec<String>, ConnectError> {
        let manifest = &entry.manifest;
        let captures = manifest.discovery.iter().any(|step| step.is_for(method))
            || !entry.method(method)?.captures().is_empty();
        match self.agreed_hosts(entry, method, sealed) {
            Err(_) if captures => Ok(Vec::new()),
            other => other,
        }
    }
}
