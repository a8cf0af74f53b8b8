//! Apps and their configurations as the API shows them.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What to list of the catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub struct AppQuery {
    /// Words to look for in names, aliases, ids and summaries.
    #[serde(default)]
    pub q: Option<String>,
    /// Only apps of this category.
    #[serde(default)]
    pub category: Option<String>,
    /// From an earlier page's `next_cursor`.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most this many, 1 to 200; 50 when absent.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// One line of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppSummary {
    /// The app's id, as in its manifest.
    pub id: String,
    /// Its name.
    pub name: String,
    /// One sentence about it.
    pub summary: String,
    /// Where it is filed.
    pub categories: Vec<String>,
    /// Path of its logo on this host.
    pub logo_url: String,
    /// Whether at least one way to sign in can be used right now.
    pub available: bool,
    /// Whether the operator made a configuration for it.
    pub configured: bool,
    /// Whether a connection to it can be tested.
    pub testable: bool,
}

/// One app, with everything that a form or a builder needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AppView {
    /// The app's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The manifest's own version.
    pub version: String,
    /// One sentence about it.
    pub summary: String,
    /// Where it is filed.
    pub categories: Vec<String>,
    /// `home`, `docs`, `support` … → URL.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub links: IndexMap<String, String>,
    /// Path of its logo on this host.
    pub logo_url: String,
    /// Whether the operator made a configuration for it.
    pub configured: bool,
    /// Whether a connection to it can be tested; otherwise `test_reason` says why not.
    pub testable: bool,
    /// Why there is no safe request to test with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_reason: Option<String>,
    /// Fields that every method of this app asks for.
    pub fields: Vec<FieldView>,
    /// The ways to sign in, in the manifest's order.
    pub methods: Vec<MethodView>,
    /// What can be done with it.
    pub actions: Vec<ActionView>,
    /// What can start an automation.
    pub events: Vec<TriggerView>,
    /// Where calls to this app really go, when the operator overrides one of its origins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin_override: Option<String>,
}

/// One way to sign in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MethodView {
    /// The method's id in the manifest.
    pub id: String,
    /// What the person chooses by.
    pub label: String,
    /// One sentence of advice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// `oauth2`, `api_key`, `basic`, `bearer` …
    pub kind: String,
    /// What this method asks for, beside the app's own fields.
    pub fields: Vec<FieldView>,
    /// Whether it can be used now.
    pub available: bool,
    /// Why not, in a sentence for the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// Whether the sign-in happens on the app's own page (a redirect or a popup).
    pub redirects: bool,
    /// Whether the person gets a code here and types it there, on whatever device (RFC 8628).
    pub device: bool,
    /// What the person registers at the app as the redirect URI, where the OAuth client is their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
}

/// One field of a form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FieldView {
    /// Its id: the key in `fields`.
    pub id: String,
    /// Its label.
    pub label: String,
    /// Never shown again and never filled in by the host.
    pub secret: bool,
    /// May not be left empty.
    pub required: bool,
    /// `email`, `host`, `dns-label` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Shown before the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Shown after the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// What one may choose from, when it is a choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<ChoiceView>,
    /// Filled in beforehand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What a value looks like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
    /// Where the person finds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// A page that says more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help_url: Option<String>,
    /// Whether line breaks are part of the value (keys in PEM).
    pub multiline: bool,
    /// The heading under which it stands, with the fields around it that have the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Asked for only while another field has one of these values; while it has not, nothing is stored for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown_when: Option<ShownWhenView>,
    /// The value may come as a file, which is read as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileView>,
}

/// When a field is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownWhenView {
    /// The other field's id.
    pub field: String,
    /// The stored values of that field at which this one is asked for.
    pub values: Vec<String>,
}

/// A value that may come as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileView {
    /// Endings of the file's name: `.pem`, `.p8`; any if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<String>,
    /// Largest file, in bytes.
    pub max: usize,
}

/// One choice of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChoiceView {
    /// What is stored.
    pub value: String,
    /// What is shown.
    pub label: String,
}

/// One action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ActionView {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `read` or `write`.
    pub effect: String,
    /// JSON Schema of its input.
    pub input: serde_json::Value,
    /// JSON Schema of its output.
    pub output: serde_json::Value,
    /// An example of its output.
    pub sample: serde_json::Value,
    /// Input properties whose choices the app lists (`GET /v1/connections/{id}/actions/{action}/choices/{property}`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// One trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TriggerView {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What starts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `polling`, `webhook`, `webhook_manual` (a person enters an address at the app) or `webhook_app` (the operator has, in the
    /// app configuration).
    pub kind: String,
    /// JSON Schema of its input.
    pub input: serde_json::Value,
    /// JSON Schema of one event.
    pub output: serde_json::Value,
    /// An example of one event.
    pub sample: serde_json::Value,
    /// Input properties whose choices the app lists (`GET /v1/connections/{id}/triggers/{trigger}/choices/{property}`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// What one may choose from for an input property, as the app lists it now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InputChoices {
    /// The choices, in the app's order.
    pub choices: Vec<InputChoiceView>,
    /// Whether there are more than are listed here.
    pub more: bool,
}

/// One choice of an input property.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InputChoiceView {
    /// What to put into the input: a text, a number or a boolean.
    pub value: serde_json::Value,
    /// What people see.
    pub label: String,
}

/// What the operator sets for an app.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConfiguration {
    /// A name for it; "Default" when absent.
    #[serde(default)]
    pub name: Option<String>,
    /// The OAuth client's id.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The OAuth client's secret. Write-only.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// What the app signs its events with, where it sends those of all connections to one address (Slack's signing secret).
    /// Write-only.
    #[serde(default)]
    pub webhook_secret: Option<String>,
    /// Origins that this client's secret may be sent to (token, revocation). Empty: the literal origins of the
    /// manifest's endpoints. Endpoints whose host a person types are only ever allowed by being listed here.
    #[serde(default)]
    pub origins: Vec<String>,
    /// What the app calls this configuration's redirect URI, where it gives each a name of its own (eBay's RuName).
    #[serde(default)]
    pub redirect_alias: Option<String>,
    /// Asked for instead of the manifest's default scopes.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// The only methods offered; all of them when absent.
    #[serde(default)]
    pub methods: Option<Vec<String>>,
    /// What the operator allows the app beyond its manifest's common measure.
    #[serde(default)]
    pub grants: GrantsView,
    /// Whether sessions that name no configuration use this one. The first one is the default anyway.
    #[serde(default)]
    pub default: bool,
}

/// A change to a configuration: what is absent stays.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigurationPatch {
    /// A new name.
    #[serde(default)]
    pub name: Option<String>,
    /// A new client id.
    #[serde(default)]
    pub client_id: Option<String>,
    /// A new client secret. Write-only.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// A new secret of the app's events; empty removes it. Write-only.
    #[serde(default)]
    pub webhook_secret: Option<String>,
    /// The new list of origins.
    #[serde(default)]
    pub origins: Option<Vec<String>>,
    /// The new alias of the redirect URI.
    #[serde(default)]
    pub redirect_alias: Option<String>,
    /// The new list of scopes.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// The new list of methods.
    #[serde(default)]
    pub methods: Option<Vec<String>>,
    /// The new grants.
    #[serde(default)]
    pub grants: Option<GrantsView>,
    /// `true` makes it the default.
    #[serde(default)]
    pub default: Option<bool>,
}

/// What the operator allows an app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantsView {
    /// When present, only these of the manifest's hosts may be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<String>>,
    /// Whether the app's component may see credentials in the clear. Only for an app whose manifest asks for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub raw_credentials: bool,
}

/// What the operator enters at an app that sends the events of all connections to one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppWebhookView {
    /// The address to enter. It is no secret: calls count by their signature.
    pub url: String,
    /// What to do, as the app's manifest says.
    pub say: String,
    /// Whether `webhook_secret` is stored; where the app signs with it, nothing that comes is believed without it.
    pub has_secret: bool,
}

/// A configuration, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigurationView {
    /// `cfg_…`.
    pub id: String,
    /// The app.
    pub app: String,
    /// Its name.
    pub name: String,
    /// Whether it is the app's default.
    pub default: bool,
    /// The OAuth client's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Whether a client secret is stored.
    pub has_client_secret: bool,
    /// Origins that the client's secret may be sent to.
    pub origins: Vec<String>,
    /// What the app calls the redirect URI, where it gives each a name of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_alias: Option<String>,
    /// Scopes asked for, when they are not the manifest's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// The methods offered, when not all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    /// What is allowed.
    pub grants: GrantsView,
    /// What to register at the app as the redirect URI (callback URL).
    pub redirect_uri: String,
    /// Where the app sends the events of all connections of this configuration, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<AppWebhookView>,
    /// When it was made.
    pub created_at: String,
    /// When it was last changed.
    pub updated_at: String,
    /// Hand this back as `If-Match`.
    pub etag: String,
}
