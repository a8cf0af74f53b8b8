//! What the call is about. Public values only: the caller put nothing secret into them.

use crate::bindings::keyport::provider::context;
use crate::state::State;

impl context::Host for State {
    async fn manifest(&mut self) -> wasmtime::Result<String> {
        Ok(self.call.manifest.to_string())
    }

    async fn value(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.call.values.get(&name).cloned())
    }
}
