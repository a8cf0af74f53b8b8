//! Sign-ins under way, as the page sees them.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Problem;

/// A filled-in form: connects with an API key, a password, a token.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FormSubmit {
    /// The app.
    pub app: String,
    /// The auth method.
    pub method: String,
    /// The configuration; the app's default when absent.
    #[serde(default)]
    pub config: Option<String>,
    /// A title; who is connected when absent.
    #[serde(default)]
    pub title: Option<String>,
    /// The app's and the method's fields, by id.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub fields: IndexMap<String, String>,
    /// Sign this connection in again instead of making one.
    #[serde(default)]
    pub connection_id: Option<String>,
}

/// How the browser goes to the app's page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlowMode {
    /// In a second window; the first one asks the server how it went.
    #[default]
    Popup,
    /// In the same window.
    Redirect,
}

/// Begins a sign-in on the app's own page.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OauthStart {
    /// The app.
    pub app: String,
    /// The auth method.
    pub method: String,
    /// The configuration; the app's default when absent.
    #[serde(default)]
    pub config: Option<String>,
    /// A title; who is connected when absent.
    #[serde(default)]
    pub title: Option<String>,
    /// The app's and the method's fields, by id.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub fields: IndexMap<String, String>,
    /// Sign this connection in again instead of making one.
    #[serde(default)]
    pub connection_id: Option<String>,
    /// Popup or redirect.
    #[serde(default)]
    pub mode: FlowMode,
}

/// Where a sign-in stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlowStatus {
    /// Begun; the browser has not gone to the app yet.
    Started,
    /// The person is at the app.
    Authorizing,
    /// The app sent them back; the code is being redeemed.
    Exchanging,
    /// The app lists several things to connect to; the person chooses one (`choose` has them).
    Choosing,
    /// The test call is running, or waits for an app that is down.
    Testing,
    /// Works; the platform's backend has yet to take it over.
    AwaitingCompletion,
    /// Done.
    Connected,
    /// Did not work; the error says why.
    Failed,
    /// The person changed their mind.
    Cancelled,
}

impl FlowStatus {
    /// Whether nothing more will happen.
    pub fn ended(self) -> bool {
        matches!(
            self,
            FlowStatus::Connected | FlowStatus::Failed | FlowStatus::Cancelled
        )
    }
}

/// One sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlowView {
    /// `flow_…`.
    pub id: String,
    /// The app.
    pub app: String,
    /// Where it stands.
    pub status: FlowStatus,
    /// Popup or redirect.
    pub mode: FlowMode,
    /// The connection that it makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
    /// While `choosing`: what there is to choose from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choose: Option<Choose>,
    /// While `authorizing` with a device code: what the person types at the app (RFC 8628, 3.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceCode>,
    /// What the page hands to the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion: Option<Completion>,
}

/// A question in the middle of a sign-in: which of several sites, workspaces or accounts at the app is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Choose {
    /// Names the question; handed back with the answer.
    pub step: String,
    /// What is asked, in a sentence.
    pub say: String,
    /// The answers, in the app's order.
    pub options: Vec<Choice>,
}

/// One answer to [`Choose`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Choice {
    /// Handed back when it is chosen. Means nothing by itself.
    pub value: String,
    /// What the person sees; the app's words, as text.
    pub label: String,
}

/// What a person chose.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    /// [`Choose::step`].
    pub step: String,
    /// [`Choice::value`].
    pub value: String,
}

/// A device code as the person sees it (RFC 8628, 3.3). Both are shown as text; the address becomes a link only if it is
/// https.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceCode {
    /// What the person types at the app.
    pub user_code: String,
    /// Where they type it.
    pub verification_uri: String,
    /// The same with the code in it, where the app offers that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification_uri_complete: Option<String>,
    /// When the code ends, RFC 3339.
    pub expires_at: String,
}

/// What the page hands to the platform so that its backend can take the connection over.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Completion {
    /// The session.
    pub session: String,
    /// One-time, good for two minutes.
    pub code: String,
    /// Origins of the page that may be told by `postMessage`: try each, exactly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_origins: Vec<String>,
    /// Where to go without an opener: the registered return URL with `session` and `code` appended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
}

impl std::fmt::Debug for Completion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The code is a bearer value for two minutes; logs do not get it.
        f.debug_struct("Completion")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// A flow and where its window goes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlowStarted {
    /// The flow.
    pub flow: FlowView,
    /// Path on this host that sends the browser to the app, or to where the code of `flow.device` is typed.
    pub go_url: String,
}

/// Where `go` sends the browser, and what it remembers.
#[derive(Clone)]
pub struct GoOutcome {
    /// The app's authorization page, origin overrides applied.
    pub authorize_url: String,
    /// Name of the cookie that binds this flow to this browser (without any `__Host-` prefix).
    pub cookie_name: String,
    /// Its value; only its hash is kept.
    pub cookie_value: super::CookieValue,
    /// How long the cookie is of use, in seconds.
    pub max_age_seconds: u64,
}

/// Where a callback sends the browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallbackNext {
    /// To this address: the page that began it, or the session's return URL.
    Redirect(String),
    /// The window says that it is done and closes; the page that opened it asks the server.
    ClosePopup,
    /// A page that says what is wrong and leads nowhere: nothing was changed.
    Neutral,
}

/// What a callback did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackOutcome {
    /// The flow, where the callback could be matched to one of this browser's.
    pub flow: Option<FlowView>,
    /// Where the browser goes.
    pub next: CallbackNext,
    /// What went wrong.
    pub error: Option<Problem>,
    /// Name of the cookie that is of no more use.
    pub clear_cookie: Option<String>,
}

/// Somebody's flow or connection changed; whoever watches asks again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// `flow` or `connection`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Whose it is; not sent to pages, which see their own owner's only.
    #[serde(skip)]
    pub owner: String,
}

impl Change {
    /// Anything may have changed, of any owner: whoever watches asks again. No owner has an empty name.
    pub fn look_again() -> Self {
        Change {
            kind: "tick".to_owned(),
            id: String::new(),
            owner: String::new(),
        }
    }
}

/// The page's choice of an account that exists already.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pick {
    /// The connection.
    pub connection_id: String,
}
