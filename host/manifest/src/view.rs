//! What a guest gets to know of its manifest: the API, the test, actions and triggers. No ways to sign in, no recipes, no
//! token endpoints.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::model::{Action, Api, Manifest, Test, Trigger};
use crate::template::Template;

/// The parts of a manifest that a guest sees; what `context.manifest` returns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestView {
    /// The API.
    pub api: Api,
    /// The test of the way by which this connection signed in.
    pub test: Test,
    /// Actions.
    #[serde(default)]
    pub actions: IndexMap<String, Action>,
    /// Triggers.
    #[serde(default)]
    pub triggers: IndexMap<String, Trigger>,
}

/// What a guest sees, with the app's own test.
#[must_use]
pub fn guest_view(manifest: &Manifest) -> serde_json::Value {
    view(manifest, &manifest.api.base_url, &manifest.test)
}

/// What a guest sees of a connection that signed in by `method`: its own base URL and test if it has them.
#[must_use]
pub fn guest_view_for(manifest: &Manifest, method: &str) -> serde_json::Value {
    view(
        manifest,
        manifest.base_url_for(method),
        manifest.test_for(method),
    )
}

fn view(manifest: &Manifest, base_url: &Template, test: &Test) -> serde_json::Value {
    let view = GuestView {
        api: Api {
            base_url: base_url.clone(),
            ..manifest.api.clone()
        },
        test: test.clone(),
        actions: manifest.actions.clone(),
        triggers: manifest.triggers.clone(),
    };
    // Every part serialises to JSON: maps have text keys and nothing fails on its own.
    serde_json::to_value(&view).unwrap_or(serde_json::Value::Null)
}
