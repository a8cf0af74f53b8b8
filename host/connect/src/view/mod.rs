//! The shapes that leave this crate: what the API answers with and the page shows.
//!
//! They are plain data, serialised as they stand. The rule that makes them safe is that no type here has a field for
//! a secret, with exceptions that say so in their names: [`IssuedCredentials`], which a key with the right scope
//! asked for and which was audited first, [`CreatedKey`] and [`CreatedWebhook`], shown once, and [`ManualView`], which a person has
//! to enter at an app.
//!
//! Times are RFC 3339 in UTC. Ids are opaque. Optional fields are left out when they are empty.

mod app;
mod connection;
mod flow;
mod session;
mod trigger;

pub use app::*;
pub use connection::*;
pub use flow::*;
pub use session::*;
pub use trigger::*;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One page of a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The entries of this page, in the list's order.
    pub items: Vec<T>,
    /// Hand this back as `cursor` to get the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// What went wrong, in a code for programs and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Stable, `snake_case`.
    pub code: String,
    /// One sentence that a person can act on.
    pub say: String,
    /// What to quote to support: the id of the flow or of the event.
    #[serde(skip_serializing_if = "Option::is_none", rename = "ref")]
    pub reference: Option<String>,
}

/// One thing that happened: the audit trail and the product's events are the same list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// `evt_…`, sorts by time.
    pub id: String,
    /// When it happened.
    pub at: String,
    /// What happened: `connection.connected`, `credentials.read`, `session.opened` …
    pub kind: String,
    /// Who did it: `key:<id>`, `session:<id>`, `keyport`.
    pub actor: String,
    /// Whose connection it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The app it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The connection it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
    /// A code that says more, such as the reason of a state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// A sentence that says more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
}

/// A platform key, without the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyView {
    /// `key_…`.
    pub id: String,
    /// What the operator called it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<KeyScope>,
    /// When it was made.
    pub created_at: String,
    /// When it was last used, to the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
}

/// A platform key as it is shown once, when it is made.
#[derive(Clone, Serialize, ToSchema)]
pub struct CreatedKey {
    /// What is kept of it.
    pub key: KeyView,
    /// `kp_…`: only its hash is kept, so this is the one time that it can be read.
    pub secret: String,
}

/// What a platform key may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum KeyScope {
    /// Read everything that is not a secret; configure apps; rename, pause, disconnect, delete connections.
    Manage,
    /// Create sessions, complete them, import connections.
    Connect,
    /// Run actions and poll triggers.
    Actions,
    /// Send any request with the connection's credentials attached.
    Proxy,
    /// Read access tokens and keys in the clear. Every read is audited first.
    ReadCredentials,
}

impl KeyScope {
    /// Every scope there is.
    pub const ALL: [KeyScope; 5] = [
        KeyScope::Manage,
        KeyScope::Connect,
        KeyScope::Actions,
        KeyScope::Proxy,
        KeyScope::ReadCredentials,
    ];

    /// The name used in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyScope::Manage => "manage",
            KeyScope::Connect => "connect",
            KeyScope::Actions => "actions",
            KeyScope::Proxy => "proxy",
            KeyScope::ReadCredentials => "read-credentials",
        }
    }
}

impl std::str::FromStr for KeyScope {
    type Err = crate::ConnectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        KeyScope::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| {
            crate::ConnectError::invalid(
                "scopes",
                "this is not a scope; the scopes are manage, connect, actions, proxy and read-credentials",
            )
        })
    }
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Grants revoked because nobody took the connection over in time.
    pub abandoned: usize,
    /// Fresh grants whose test call was tried again.
    pub retried: usize,
    /// Sessions and flows removed.
    pub removed: usize,
    /// Tokens renewed before anybody had to wait for it.
    pub renewed: usize,
    /// Connections tested because it was time.
    pub tested: usize,
}
