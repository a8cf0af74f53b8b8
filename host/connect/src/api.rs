//! The engine's methods whose rooms are not built yet. Temporary: each moves to its own module.

use keyport_egress::Body;



use crate::view::*;
use crate::{Actor, ConnectError, Engine, PlatformKey};

fn not_yet<T>() -> Result<T, ConnectError> {
    Err(ConnectError::Unavailable { code: "not_ready", say: "this part of the host is not built yet".into() })
}

#[expect(clippy::unused_async, unused_variables, reason = "signatures first; bodies follow")]
impl Engine {
    pub fn apps(&self, query: &AppQuery) -> Result<Page<AppSummary>, ConnectError> { not_yet() }
    pub async fn app(&self, app: &str) -> Result<AppView, ConnectError> { not_yet() }
    pub fn logo(&self, app: &str) -> Result<bytes::Bytes, ConnectError> { not_yet() }

    pub async fn configure(&self, actor: &Actor, app: &str, new: NewConfiguration) -> Result<ConfigurationView, ConnectError> { not_yet() }
    pub async fn configurations(&self, app: &str) -> Result<Vec<ConfigurationView>, ConnectError> { not_yet() }
    pub async fn configuration(&self, id: &str) -> Result<ConfigurationView, ConnectError> { not_yet() }
    pub async fn update_configuration(&self, actor: &Actor, id: &str, if_match: Option<&str>, patch: ConfigurationPatch) -> Result<ConfigurationView, ConnectError> { not_yet() }
    pub async fn delete_configuration(&self, actor: &Actor, id: &str) -> Result<(), ConnectError> { not_yet() }

    pub async fn create_session(&self, actor: &Actor, new: NewSession) -> Result<SessionCreated, ConnectError> { not_yet() }
    pub async fn open_session(&self, token: &str) -> Result<(SessionView, CookieValue), ConnectError> { not_yet() }
    pub async fn session_by_cookie(&self, cookie: &str) -> Result<SessionCtx, ConnectError> { not_yet() }
    pub async fn session(&self, id: &str) -> Result<SessionView, ConnectError> { not_yet() }
    pub async fn close_session(&self, actor: &Actor, id: &str) -> Result<(), ConnectError> { not_yet() }
    pub async fn complete_session(&self, actor: &Actor, id: &str, complete: CompleteSession) -> Result<SessionCompleted, ConnectError> { not_yet() }
    pub async fn pick(&self, session: &SessionCtx, connection_id: &str) -> Result<Completion, ConnectError> { not_yet() }

    pub async fn list(&self, actor: &Actor, query: &ConnectionQuery) -> Result<Page<ConnectionView>, ConnectError> { not_yet() }
    pub async fn get(&self, actor: &Actor, id: &str) -> Result<ConnectionView, ConnectError> { not_yet() }
    pub async fn import(&self, actor: &Actor, new: NewImport) -> Result<ConnectionView, ConnectError> { not_yet() }
    pub async fn rename(&self, actor: &Actor, id: &str, title: &str, if_match: Option<&str>) -> Result<ConnectionView, ConnectError> { not_yet() }
    pub async fn test(&self, actor: &Actor, id: &str) -> Result<TestReport, ConnectError> { not_yet() }
    pub async fn pause(&self, actor: &Actor, id: &str) -> Result<ConnectionView, ConnectError> { not_yet() }
    pub async fn resume(&self, actor: &Actor, id: &str) -> Result<TestReport, ConnectError> { not_yet() }
    pub async fn update_details(&self, actor: &Actor, id: &str, fields: indexmap::IndexMap<String, String>) -> Result<TestReport, ConnectError> { not_yet() }
    pub async fn disconnect(&self, actor: &Actor, id: &str) -> Result<Disconnected, ConnectError> { not_yet() }
    pub async fn delete(&self, actor: &Actor, id: &str) -> Result<(), ConnectError> { not_yet() }
    pub async fn credentials(&self, actor: &Actor, id: &str) -> Result<IssuedCredentials, ConnectError> { not_yet() }

    pub async fn connect_with_form(&self, session: &SessionCtx, form: FormSubmit) -> Result<FlowView, ConnectError> { not_yet() }
    pub async fn start_oauth(&self, session: &SessionCtx, start: OauthStart) -> Result<FlowStarted, ConnectError> { not_yet() }
    pub async fn go(&self, session: &SessionCtx, flow_id: &str) -> Result<GoOutcome, ConnectError> { not_yet() }
    /// `browser` looks up one cookie of the request by name, so that the flow's own one can be asked for.
    pub async fn callback(&self, configuration_id: &str, params: Vec<(String, String)>, browser: &(dyn Fn(&str) -> Option<String> + Send + Sync)) -> CallbackOutcome {
        CallbackOutcome { flow: None, next: CallbackNext::Neutral, error: None, clear_cookie: None }
    }
    pub async fn flow(&self, session: &SessionCtx, flow_id: &str) -> Result<FlowView, ConnectError> { not_yet() }
    pub async fn cancel_flow(&self, session: &SessionCtx, flow_id: &str) -> Result<FlowView, ConnectError> { not_yet() }

    pub async fn proxy(&self, actor: &Actor, id: &str, request: http::Request<Body>) -> Result<http::Response<Body>, ConnectError> { not_yet() }
    pub async fn run_action(&self, actor: &Actor, id: &str, action: &str, input: &serde_json::Value) -> Result<serde_json::Value, ConnectError> { not_yet() }
    pub async fn poll_trigger(&self, actor: &Actor, id: &str, trigger: &str, input: &serde_json::Value, cursor: Option<&serde_json::Value>) -> Result<PollResult, ConnectError> { not_yet() }

    pub async fn create_key(&self, name: &str, scopes: &[KeyScope]) -> Result<CreatedKey, ConnectError> { not_yet() }
    pub async fn authenticate(&self, secret: &str) -> Result<Option<PlatformKey>, ConnectError> { not_yet() }
    pub async fn list_keys(&self) -> Result<Vec<KeyView>, ConnectError> { not_yet() }
    pub async fn revoke_key(&self, id: &str) -> Result<(), ConnectError> { not_yet() }

    pub async fn events(&self, owner: Option<&str>, cursor: Option<&str>, limit: Option<usize>) -> Result<Page<EventView>, ConnectError> { not_yet() }
    pub async fn sweep(&self) -> Result<SweepReport, ConnectError> { not_yet() }
}
