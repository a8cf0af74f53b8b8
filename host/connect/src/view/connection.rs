//! Connections as the API shows them.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a connection stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// Signed in, and not yet tested or not yet taken over by the platform's backend. Not usable.
    #[default]
    Pending,
    /// Works.
    Connected,
    /// The app cannot be reached or limits calls; mends itself.
    Failing,
    /// Only the person can mend it; the reason says how.
    NeedsReconnect,
    /// Signed out. The row stays, the secret is destroyed.
    Disconnected,
}

/// Why a connection is in its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// Stable, `snake_case`: `revoked`, `refresh_interrupted`, `insufficient_scope`, `provider_down` …
    pub code: String,
    /// A sentence for the person.
    pub say: String,
}

/// Who is connected, as the app says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    /// The app's own id of the account.
    pub id: String,
    /// What the person knows it by.
    pub label: String,
}

/// Which connections to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub struct ConnectionQuery {
    /// Only this owner's. A session sees its own owner's only.
    #[serde(default)]
    pub owner: Option<String>,
    /// Only this app's.
    #[serde(default)]
    pub app: Option<String>,
    /// Only in this state.
    #[serde(default)]
    pub state: Option<ConnectionState>,
    /// From an earlier page's `next_cursor`.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most this many, 1 to 200; 50 when absent.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionView {
    /// `con_…`.
    pub id: String,
    /// The app's id.
    pub app: String,
    /// The app's name.
    pub app_name: String,
    /// Path of the app's logo on this host.
    pub logo_url: String,
    /// Whose it is.
    pub owner: String,
    /// What the person calls it.
    pub title: String,
    /// Connected as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountView>,
    /// The auth method's id.
    pub method: String,
    /// The auth method's kind.
    pub method_kind: String,
    /// Where it stands.
    pub state: ConnectionState,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// `false` while it is paused.
    pub enabled: bool,
    /// Scopes that the app granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Scopes that were asked for and that the app did not grant; signing in again asks for them anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_scopes: Vec<String>,
    /// The configuration that it was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Whether it was imported rather than signed in here.
    pub imported: bool,
    /// When it was made.
    pub created_at: String,
    /// When it was last changed.
    pub updated_at: String,
    /// When it was last used, to the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    /// When it was last tested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_tested_at: Option<String>,
    /// When its access token ends; it is refreshed before, where the app allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// When the app ends the sign-in whatever is done, where it says so: by then the person signs in again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in_ends_at: Option<String>,
    /// Hand this back as `If-Match`.
    pub etag: String,
}

/// One step of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestStep {
    /// `fields`, `token`, `request` or `account`.
    pub step: String,
    /// Whether it went well.
    pub ok: bool,
    /// What happened, in a sentence.
    pub say: String,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// What a test found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TestReport {
    /// Whether the connection works.
    pub ok: bool,
    /// The steps, in order, up to the first that failed.
    pub steps: Vec<TestStep>,
    /// Who is connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountView>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Reason>,
    /// The connection after the test.
    pub connection: ConnectionView,
}

/// What became of the grant at the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Revoked {
    /// The app confirmed it.
    Yes,
    /// The app could not be asked or refused; the credentials are destroyed here all the same.
    No,
    /// The app has no way to be asked.
    NotSupported,
}

/// The answer to a disconnect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Disconnected {
    /// What became of the grant.
    pub revoked: Revoked,
    /// In a sentence.
    pub say: String,
    /// The connection, signed out.
    pub connection: ConnectionView,
}

/// Existing credentials to take over.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewImport {
    /// Whose they are.
    pub owner: String,
    /// The app.
    pub app: String,
    /// The auth method.
    pub method: String,
    /// The configuration whose OAuth client they were made with; the app's default when absent.
    #[serde(default)]
    pub config: Option<String>,
    /// A title; who is connected when absent.
    #[serde(default)]
    pub title: Option<String>,
    /// The app's and the method's fields.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub fields: IndexMap<String, String>,
    /// For OAuth: the token.
    #[serde(default)]
    pub token: Option<ImportToken>,
}

/// An OAuth grant to take over.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportToken {
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    #[serde(default)]
    pub refresh_token: Option<String>,
    /// The token's secret, for OAuth 1.0a, whose tokens have one.
    #[serde(default)]
    pub token_secret: Option<String>,
    /// When the access token ends, RFC 3339.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// Scopes that were granted.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Values that the manifest captures from a token answer, such as `instance_url`.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub capture: IndexMap<String, String>,
}

/// Credentials in the clear, for a key that may read them. Never a refresh token, a client secret or a signing key.
#[derive(Clone, Serialize, ToSchema)]
pub struct IssuedCredentials {
    /// The auth method's kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// For OAuth: the access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<String>,
    /// For the other kinds: the secret fields, by id.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub fields: IndexMap<String, String>,
    /// When they end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// What a poll of a trigger found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PollResult {
    /// New events, oldest first.
    pub events: Vec<serde_json::Value>,
    /// Hand this back at the next poll.
    pub cursor: serde_json::Value,
    /// Whether there is more to fetch right away.
    pub more: bool,
}
