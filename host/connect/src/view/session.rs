//! Sessions as the API shows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ConnectionView;

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionKind {
    /// Connect one account, or pick one that exists, and hand it to the platform.
    Connect,
    /// The owner's Apps page.
    Manage,
}

/// What a platform asks for when it opens a session for one of its users.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// The platform's own id of the user or team.
    pub owner: String,
    /// How the page names them; the id when absent.
    #[serde(default)]
    pub owner_label: Option<String>,
    /// What it is for.
    pub kind: SessionKind,
    /// Only these apps; all when absent.
    #[serde(default)]
    pub apps: Option<Vec<String>>,
    /// Sign this connection in again, instead of making one.
    #[serde(default)]
    pub connection_id: Option<String>,
    /// What the pick is for, such as the name of an action: shown, nothing else.
    #[serde(default, rename = "for")]
    pub purpose: Option<String>,
    /// Exact origins (`https://app.example.com`) whose page may open this session and be told of its end.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Where the browser returns to without a popup. Used exactly as given, with `session` and `code` appended.
    #[serde(default)]
    pub return_url: Option<String>,
    /// For a link that is sent to the person, by e-mail for instance: it lives longer, and its page says what it is for and waits
    /// for a click before it opens. Only with `kind: connect` and a `return_url`, for whoever opens it has to sign in there.
    #[serde(default)]
    pub link: Option<SentLink>,
}

/// How long a link that is sent to somebody opens.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SentLink {
    /// Minutes: 60 if not said, at most 1440.
    #[serde(default)]
    pub minutes: Option<u32>,
}

/// What the page of a sent link says before it opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LinkView {
    /// Who sent it: the host of the address that it returns to.
    pub platform: String,
    /// Who will have the account.
    pub owner: String,
    /// How they are called.
    pub owner_label: String,
    /// The apps that are asked for, by their names; any, if there are none.
    pub apps: Vec<String>,
    /// What the account is for.
    #[serde(skip_serializing_if = "Option::is_none", rename = "for")]
    pub purpose: Option<String>,
    /// Until when it opens.
    pub expires_at: String,
}

/// A session as it is handed out once.
#[derive(Clone, Serialize, ToSchema)]
pub struct SessionCreated {
    /// `ses_…`.
    pub id: String,
    /// Opens the session once, within 60 seconds or as long as a sent `link` lives. The token is in the fragment.
    pub url: String,
    /// Until when the URL opens.
    pub expires_at: String,
}

/// A session as its page and its platform see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// `ses_…`.
    pub id: String,
    /// What it is for.
    pub kind: SessionKind,
    /// Whose it is.
    pub owner: String,
    /// How the page names them.
    pub owner_label: String,
    /// `created`, `opened`, `completed`, `closed` or `expired`.
    pub status: String,
    /// Only these apps, when not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apps: Option<Vec<String>>,
    /// The connection that is to be signed in again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
    /// What the pick is for.
    #[serde(skip_serializing_if = "Option::is_none", rename = "for")]
    pub purpose: Option<String>,
    /// Exact origins that take part.
    pub origins: Vec<String>,
    /// Where the browser returns to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
    /// Until when it can be used, at most.
    pub expires_at: String,
}

/// The value of the cookie that a session is traded for. It is not printable on purpose.
#[derive(Clone)]
pub struct CookieValue(pub(crate) zeroize::Zeroizing<String>);

impl CookieValue {
    /// The value to set; it goes into `Set-Cookie` and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The one who holds a session's cookie: what every page call is checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionCtx {
    /// `ses_…`.
    pub id: String,
    /// Whose session it is.
    pub owner: keyport_vault::Owner,
    /// How the page names them.
    pub owner_label: String,
    /// What it is for.
    pub kind: SessionKind,
    /// Only these apps, when not all.
    pub apps: Option<Vec<String>>,
    /// The connection that is to be signed in again.
    pub connection_id: Option<String>,
    /// What the pick is for.
    pub purpose: Option<String>,
    /// Exact origins that take part.
    pub origins: Vec<String>,
    /// Where the browser returns to.
    pub return_url: Option<String>,
}

/// What a platform's backend sends to take over the connection that its user made.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteSession {
    /// The one-time code that the browser delivered.
    pub code: String,
    /// The signed-in user, as the platform's own server knows them: must be the session's owner.
    pub owner: String,
}

/// The answer to a completed session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionCompleted {
    /// The session.
    pub session_id: String,
    /// The connection, now usable.
    pub connection: ConnectionView,
}
