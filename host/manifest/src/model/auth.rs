//! Ways to sign in: what each asks for, and where its credential goes.
//!
//! A credential is attached by the host alone, at the edge, by these injections. Their templates are the only ones (with
//! token requests and recipes) that may read secrets.

use serde::{Deserialize, Serialize};

use super::{CredentialRef, Field, Format, Oauth2, Test, is_default};
use crate::template::Template;

/// One way to sign in, by `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AuthMethod {
    /// OAuth 2.0 authorization code.
    Oauth2(Box<Oauth2>),
    /// One or more pasted keys, placed anywhere.
    ApiKey(ApiKey),
    /// HTTP Basic.
    Basic(Basic),
    /// A pasted token, sent as `Authorization: Bearer`.
    Bearer(Bearer),
}

/// One or more pasted keys and where they go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// What people call this way.
    pub label: String,
    /// One sentence of advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What it asks for.
    pub fields: Vec<Field>,
    /// Where the credential goes; empty only where the component places it through recipes or handles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inject: Vec<Inject>,
    /// A test of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}

/// HTTP Basic with a name and a password made of the fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// What people call this way.
    pub label: String,
    /// One sentence of advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What it asks for; a user name and a password if not said.
    #[serde(default = "name_and_password")]
    pub fields: Vec<Field>,
    /// The user name.
    #[serde(default = "default_username")]
    pub username: Template,
    /// The password.
    #[serde(default = "default_password")]
    pub password: Template,
    /// A test of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}

/// A pasted token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bearer {
    /// What people call this way.
    pub label: String,
    /// One sentence of advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What it asks for; one secret `token` if not said.
    #[serde(default = "one_token")]
    pub fields: Vec<Field>,
    /// The token.
    #[serde(default = "default_token")]
    pub token: Template,
    /// A test of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}

/// Where a credential goes. Written as `{header: NAME, value}` or `{query: NAME, value}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "InjectText", into = "InjectText")]
pub struct Inject {
    /// Header or query.
    pub place: Place,
    /// Name of the header or parameter.
    pub name: String,
    /// What is put there; may read secrets.
    pub value: Template,
    /// Which credential it is part of; `api.hosts` says which hosts get which.
    pub credential: CredentialRef,
}

/// Where a credential can be put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// A request header.
    Header,
    /// A query parameter.
    Query,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InjectText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    value: Template,
    #[serde(default, skip_serializing_if = "is_default")]
    credential: CredentialRef,
}

impl TryFrom<InjectText> for Inject {
    type Error = &'static str;

    fn try_from(text: InjectText) -> Result<Self, Self::Error> {
        let (place, name) = match (text.header, text.query) {
            (Some(name), None) => (Place::Header, name),
            (None, Some(name)) => (Place::Query, name),
            _ => return Err("an injection goes to either a `header` or a `query` parameter"),
        };
        Ok(Self {
            place,
            name,
            value: text.value,
            credential: text.credential,
        })
    }
}

impl From<Inject> for InjectText {
    fn from(inject: Inject) -> Self {
        let (header, query) = match inject.place {
            Place::Header => (Some(inject.name), None),
            Place::Query => (None, Some(inject.name)),
        };
        Self {
            header,
            query,
            value: inject.value,
            credential: inject.credential,
        }
    }
}

impl AuthMethod {
    /// What people call this way to sign in.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::Oauth2(m) => &m.label,
            Self::ApiKey(m) => &m.label,
            Self::Basic(m) => &m.label,
            Self::Bearer(m) => &m.label,
        }
    }

    /// One sentence of advice.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::Oauth2(m) => m.help.as_deref(),
            Self::ApiKey(m) => m.help.as_deref(),
            Self::Basic(m) => m.help.as_deref(),
            Self::Bearer(m) => m.help.as_deref(),
        }
    }

    /// Its `type`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Oauth2(_) => "oauth2",
            Self::ApiKey(_) => "api_key",
            Self::Basic(_) => "basic",
            Self::Bearer(_) => "bearer",
        }
    }

    /// What it asks for, beside the app's own fields. In templates these are `credentials.<id>`.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        match self {
            Self::Oauth2(m) => &m.fields,
            Self::ApiKey(m) => &m.fields,
            Self::Basic(m) => &m.fields,
            Self::Bearer(m) => &m.fields,
        }
    }

    /// Its own test, if it has one.
    #[must_use]
    pub fn test(&self) -> Option<&Test> {
        match self {
            Self::Oauth2(m) => m.test.as_ref(),
            Self::ApiKey(m) => m.test.as_ref(),
            Self::Basic(m) => m.test.as_ref(),
            Self::Bearer(m) => m.test.as_ref(),
        }
    }

    /// The OAuth part, if it is OAuth.
    #[must_use]
    pub fn oauth2(&self) -> Option<&Oauth2> {
        match self {
            Self::Oauth2(m) => Some(m),
            _ => None,
        }
    }

    /// Where its credential goes, with what is usual filled in.
    #[must_use]
    pub fn injections(&self) -> Vec<Inject> {
        match self {
            Self::Oauth2(m) if m.inject.is_empty() => {
                vec![authorization("Bearer {{ token.access_token }}")]
            }
            Self::Oauth2(m) => m.inject.clone(),
            Self::ApiKey(m) => m.inject.clone(),
            Self::Basic(m) => vec![authorization(&format!(
                "Basic {{{{ ({} ~ \":\" ~ {}) | base64 }}}}",
                m.username.as_expression(),
                m.password.as_expression()
            ))],
            Self::Bearer(m) => vec![authorization(&format!("Bearer {}", m.token.source()))],
        }
    }
}

fn authorization(value: &str) -> Inject {
    Inject {
        place: Place::Header,
        name: "Authorization".to_owned(),
        value: known(value),
        credential: CredentialRef::Main,
    }
}

/// A template of this crate's own or composed of parsed ones; a test renders each of them.
fn known(source: &str) -> Template {
    Template::parse(source).unwrap_or_else(|_| Template::literal(""))
}

fn secret(id: &str, label: &str) -> Field {
    Field {
        secret: true,
        ..public(id, label)
    }
}

fn public(id: &str, label: &str) -> Field {
    Field::named(id, label, Format::Text)
}

fn name_and_password() -> Vec<Field> {
    vec![
        public("username", "User name"),
        secret("password", "Password"),
    ]
}

fn one_token() -> Vec<Field> {
    vec![secret("token", "Token")]
}

fn default_username() -> Template {
    known("{{ credentials.username }}")
}

fn default_password() -> Template {
    known("{{ credentials.password }}")
}

fn default_token() -> Template {
    known("{{ credentials.token }}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Scope;
    use crate::template::Slot;
    use serde_json::json;

    fn method(value: serde_json::Value) -> AuthMethod {
        serde_json::from_value(value).unwrap()
    }

    fn header(m: &AuthMethod, scope: &Scope) -> String {
        let all = m.injections();
        let [one] = all.as_slice() else {
            panic!("one injection")
        };
        assert_eq!(
            (one.place, one.name.as_str()),
            (Place::Header, "Authorization")
        );
        one.value.render(scope, Slot::Header).unwrap()
    }

    #[test]
    fn usual_injections_need_not_be_written() {
        let scope = Scope::new()
            .with(
                "credentials",
                json!({"username": "u", "password": "p:x", "token": "t"}),
            )
            .with("token", json!({"access_token": "at"}));
        assert_eq!(
            header(&method(json!({"type": "bearer", "label": "T"})), &scope),
            "Bearer t"
        );
        assert_eq!(
            header(&method(json!({"type": "basic", "label": "T"})), &scope),
            "Basic dTpwOng="
        );
        let oauth = json!({"type": "oauth2", "label": "O", "authorize_url": "https://a.example/a", "token_url": "https://a.example/t"});
        assert_eq!(header(&method(oauth), &scope), "Bearer at");
    }

    #[test]
    fn basic_takes_a_name_composed_of_text_and_fields() {
        let m = method(
            json!({"type": "basic", "label": "API token", "username": "{{ credentials.email }}/token",
            "password": "{{ credentials.token }}", "fields": [{"id": "email", "label": "Email"}, {"id": "token", "label": "T", "secret": true}]}),
        );
        let scope = Scope::new().with(
            "credentials",
            json!({"email": "a@b.example", "token": "k\"\\"}),
        );
        assert_eq!(
            header(&m, &scope),
            format!("Basic {}", base64("a@b.example/token:k\"\\"))
        );
    }

    fn base64(text: &str) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(text)
    }

    #[test]
    fn an_unknown_key_or_kind_is_refused() {
        assert!(
            serde_json::from_value::<AuthMethod>(
                json!({"type": "bearer", "label": "x", "tokn": "y"})
            )
            .is_err()
        );
        assert!(
            serde_json::from_value::<AuthMethod>(json!({"type": "password", "label": "x"}))
                .is_err()
        );
        assert!(
            serde_json::from_value::<Inject>(json!({"header": "a", "query": "b", "value": "c"}))
                .is_err()
        );
    }
}
