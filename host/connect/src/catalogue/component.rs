//! An app's component, as this crate calls it.
//!
//! In the program it is always the sandbox's. This crate's own tests are about the life of a connection, not about
//! WebAssembly, so they may put the same manifest rules in its place, run natively through the same pass and the same
//! door out; that variant exists in test builds only.

use keyport_manifest::{Account, SecretText};
use keyport_plugin::{Call, CallError, LoadedApp, Page, TokenRequest};
use serde_json::Value;

pub(crate) enum Component {
    Sandboxed(LoadedApp),
    #[cfg(test)]
    Native,
}

impl Component {
    pub(crate) async fn check(&self, call: Call) -> Result<Account, CallError> {
        match self {
            Component::Sandboxed(app) => app.check(call).await,
            #[cfg(test)]
            Component::Native => crate::tests::native::check(call).await,
        }
    }

    pub(crate) async fn action(
        &self,
        call: Call,
        name: &str,
        input: &Value,
    ) -> Result<Value, CallError> {
        match self {
            Component::Sandboxed(app) => app.action(call, name, input).await,
            #[cfg(test)]
            Component::Native => crate::tests::native::action(call, name, input).await,
        }
    }

    pub(crate) async fn poll(
        &self,
        call: Call,
        name: &str,
        input: &Value,
        cursor: Option<&Value>,
    ) -> Result<Page, CallError> {
        match self {
            Component::Sandboxed(app) => app.poll(call, name, input, cursor).await,
            #[cfg(test)]
            Component::Native => crate::tests::native::poll(call, name, input, cursor).await,
        }
    }

    /// Code of its own after the test; an object of public captures.
    pub(crate) async fn connected(&self, call: Call) -> Result<Value, CallError> {
        match self {
            Component::Sandboxed(app) => app.connected(call).await,
            #[cfg(test)]
            Component::Native => Ok(Value::Null),
        }
    }

    /// Code of its own before the credentials end.
    pub(crate) async fn disconnecting(&self, call: Call) -> Result<Value, CallError> {
        match self {
            Component::Sandboxed(app) => app.disconnecting(call).await,
            #[cfg(test)]
            Component::Native => Ok(Value::Null),
        }
    }

    /// A token request that it makes.
    pub(crate) async fn exchange(
        &self,
        call: Call,
        step: &str,
        request: TokenRequest,
    ) -> Result<SecretText, CallError> {
        match self {
            Component::Sandboxed(app) => app.exchange(call, step, request).await,
            #[cfg(test)]
            Component::Native => {
                let _ = (call, step, request);
                Err(CallError::BadAnswer {
                    app: "native".to_owned(),
                    why: "rules alone make no token requests",
                })
            }
        }
    }
}
