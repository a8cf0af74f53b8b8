//! An app as far as it is known: plain values in the order that people think of them, and blanks.
//!
//! It is not the manifest's typed model: that one has no place for "not known yet", and a half-known app is what this is for.

use serde_json::Value;

use crate::author::build::Lang;

/// A value that is known, or a placeholder that the author replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The value, or what stands there until it is known.
    pub text: String,
    /// What belongs there, if it is a blank.
    pub todo: Option<String>,
}

impl Said {
    /// A value that is known.
    pub fn known(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            todo: None,
        }
    }

    /// A placeholder, and what belongs there.
    pub fn blank(text: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            todo: Some(todo.into()),
        }
    }
}

/// An app as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The app's id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// One sentence about it.
    pub summary: Said,
    /// Its home page.
    pub home: Said,
    /// Its API's documentation.
    pub docs: Said,
    /// Where its users get help.
    pub support: Option<String>,
    /// Whether people run it on hosts of their own.
    pub self_hosted: bool,
    /// What every connection asks for.
    pub fields: Vec<Field>,
    /// Constants that differ between environments.
    pub variants: Vec<Variant>,
    /// The API's base URL, with holes.
    pub base_url: Said,
    /// Headers that every request needs.
    pub headers: Vec<(String, String)>,
    /// Ways to sign in, best first.
    pub methods: Vec<Method>,
    /// The call that proves a connection.
    pub test: Test,
    /// The language of its own code, if it is to have any.
    pub lang: Option<Lang>,
    /// Where the facts come from.
    pub sources: Vec<Said>,
    /// What could not be carried over, and why.
    pub remarks: Vec<String>,
}

/// One environment: its key, what people call it, and the host that it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Its key.
    pub id: String,
    /// What people call it.
    pub label: String,
    /// Its host.
    pub host: String,
}

/// Something that people are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    /// Its name in templates.
    pub id: String,
    /// Its label.
    pub label: String,
    /// Whether it is secret; such a field gets blanks for where people find it.
    pub secret: bool,
    /// Its format, if it is not plain text.
    pub format: Option<&'static str>,
    /// What is shown before the input.
    pub prefix: Option<String>,
    /// What is shown after the input.
    pub suffix: Option<String>,
    /// The values that it can have.
    pub choices: Vec<String>,
    /// The value if none is given.
    pub default: Option<String>,
    /// A value to show.
    pub example: Option<String>,
    /// Whether line breaks are part of it.
    pub multiline: bool,
}

/// One way to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// Its key under `auth`.
    pub id: String,
    /// What people call it.
    pub label: String,
    /// What it asks for.
    pub fields: Vec<Field>,
    /// How it works.
    pub kind: Kind,
    /// What the author has to check about the whole of it.
    pub todo: Option<String>,
}

/// How a way to sign in works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// OAuth 2.0.
    Oauth2(Box<Oauth2>),
    /// Pasted keys, placed anywhere.
    ApiKey(Vec<Inject>),
    /// HTTP Basic: templates of the name and the password.
    Basic(String, String),
    /// A pasted token.
    Bearer,
    /// Amazon's request signing, for this service.
    AwsSigv4(Said),
    /// A client certificate.
    Mtls,
}

/// OAuth 2.0 as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Oauth2 {
    /// Whether there is no person: client credentials.
    pub client_credentials: bool,
    /// The issuer whose metadata says the rest.
    pub issuer: Option<String>,
    /// Where people are sent.
    pub authorize_url: Option<Said>,
    /// Where tokens come from.
    pub token_url: Option<Said>,
    /// Where they are refreshed, if elsewhere.
    pub refresh_url: Option<String>,
    /// What is always asked for.
    pub scopes: Vec<String>,
    /// What an operator may add.
    pub optional: Vec<String>,
    /// What to check about the scopes.
    pub scopes_todo: Option<String>,
    /// Further parameters of the authorization URL.
    pub authorize_params: Vec<(String, String)>,
    /// Whether clients prove themselves by HTTP Basic.
    pub client_basic: bool,
    /// Where a grant is ended, if that is known.
    pub revoke_url: Option<String>,
    /// Where credentials go, if it is not only the bearer token.
    pub inject: Vec<Inject>,
}

/// Where a credential goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inject {
    /// Whether it is a query parameter; a header if not.
    pub query: bool,
    /// Name of the header or parameter.
    pub name: Said,
    /// Template of its value.
    pub value: String,
}

/// The call that proves a connection, and an answer to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// Its path under the base URL.
    pub path: Said,
    /// Constants of its query.
    pub query: Vec<(String, String)>,
    /// The status of success.
    pub status: u16,
    /// JSONPath of what only a success has.
    pub ok: Option<String>,
    /// Template of the account's id.
    pub account_id: Said,
    /// Template of the account's label.
    pub account_label: Said,
    /// A body that a success answers with.
    pub body: Value,
    /// Whether the values in it are the vendor's.
    pub from_vendor: bool,
    /// What the account's id is for that body, with example fields.
    pub expect_id: String,
    /// What its label is.
    pub expect_label: String,
}

impl Draft {
    /// Example values for the fields of the app, as a fixture gives them.
    pub fn given(&self) -> Vec<(String, String)> {
        self.fields
            .iter()
            .map(|f| (f.id.clone(), f.sample()))
            .collect()
    }
}

impl Field {
    /// A value that the field takes.
    pub fn sample(&self) -> String {
        self.example
            .clone()
            .or_else(|| self.default.clone())
            .or_else(|| self.choices.first().cloned())
            .unwrap_or_else(|| match self.format {
                Some("host") => "api.acme.example".to_owned(),
                Some("dns-label") | None => "acme".to_owned(),
                Some(_) => "1".to_owned(),
            })
    }

    /// The secret that a way to sign in asks for.
    pub fn secret(id: &str, label: &str) -> Self {
        Self {
            id: id.to_owned(),
            label: label.to_owned(),
            secret: true,
            ..Self::default()
        }
    }
}
