//! Ways to sign in: what each asks for, and where its credential goes.
//!
//! A credential is attached by the host alone, at the edge, by these injections or by a signature that the host makes. Their
//! templates are the only ones (with token requests, session steps and recipes) that may read secrets.
//!
//! | file | ways |
//! |---|---|
//! | `keys` | `api_key`, `basic`, `bearer`: pasted |
//! | `none` | `none`: public APIs |
//! | `session` | `session`: the app's own log-in requests |
//! | `signed` | `jwt`, `aws_sigv4`, `hmac`, `wsse`: signed by the host |
//! | `oauth1` | `oauth1` |
//! | `mtls` | `mtls`: a client certificate |
//! | `inject` | where a credential goes |
//!
//! `oauth2` has a folder of its own. Which of them this host runs is said in `model::support`.

use serde::{Deserialize, Serialize};

use super::{Capture, Field, Oauth2, Test};
use crate::template::Template;

mod inject;
mod keys;
mod mtls;
mod none;
mod oauth1;
mod session;
mod signed;

use inject::authorization;
pub use inject::{Inject, Place};
pub use keys::{ApiKey, Basic, Bearer};
pub use mtls::{CertificateAt, ClientCertificate, Mtls};
pub use none::NoAuth;
pub use oauth1::{Oauth1, Oauth1Grant, Oauth1Place, Oauth1Signature};
pub use session::{Logout, Session, SessionStep};
pub use signed::{AssumeRole, AwsSigv4, Hmac, HmacAlgorithm, JwtAuth, Wsse, WsseDigest, WsseNonce};

/// One way to sign in, by `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AuthMethod {
    /// OAuth 2.0.
    Oauth2(Box<Oauth2>),
    /// One or more pasted keys, placed anywhere.
    ApiKey(ApiKey),
    /// HTTP Basic.
    Basic(Basic),
    /// A pasted token, sent as `Authorization: Bearer`.
    Bearer(Bearer),
    /// The app's own log-in requests.
    Session(Box<Session>),
    /// A JWT signed by the host.
    Jwt(Box<JwtAuth>),
    /// OAuth 1.0a (RFC 5849).
    Oauth1(Box<Oauth1>),
    /// AWS Signature Version 4.
    AwsSigv4(Box<AwsSigv4>),
    /// Each request signed with HMAC.
    Hmac(Box<Hmac>),
    /// A WS-Security user name token in a header.
    Wsse(Box<Wsse>),
    /// A client certificate.
    Mtls(Box<Mtls>),
    /// Nothing to sign in with.
    None(NoAuth),
}

/// The same of each way, whatever its type.
macro_rules! each {
    ($method:expr, $m:ident => $of:expr) => {
        match $method {
            AuthMethod::Oauth2($m) => $of,
            AuthMethod::ApiKey($m) => $of,
            AuthMethod::Basic($m) => $of,
            AuthMethod::Bearer($m) => $of,
            AuthMethod::Session($m) => $of,
            AuthMethod::Jwt($m) => $of,
            AuthMethod::Oauth1($m) => $of,
            AuthMethod::AwsSigv4($m) => $of,
            AuthMethod::Hmac($m) => $of,
            AuthMethod::Wsse($m) => $of,
            AuthMethod::Mtls($m) => $of,
            AuthMethod::None($m) => $of,
        }
    };
}

impl AuthMethod {
    /// Every `type` that there is.
    pub const KINDS: &'static [&'static str] = &[
        "oauth2",
        "api_key",
        "basic",
        "bearer",
        "session",
        "jwt",
        "oauth1",
        "aws_sigv4",
        "hmac",
        "wsse",
        "mtls",
        "none",
    ];

    /// What people call this way to sign in.
    #[must_use]
    pub fn label(&self) -> &str {
        each!(self, m => &m.label)
    }

    /// One sentence of advice.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        each!(self, m => m.help.as_deref())
    }

    /// Its `type`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Oauth2(_) => "oauth2",
            Self::ApiKey(_) => "api_key",
            Self::Basic(_) => "basic",
            Self::Bearer(_) => "bearer",
            Self::Session(_) => "session",
            Self::Jwt(_) => "jwt",
            Self::Oauth1(_) => "oauth1",
            Self::AwsSigv4(_) => "aws_sigv4",
            Self::Hmac(_) => "hmac",
            Self::Wsse(_) => "wsse",
            Self::Mtls(_) => "mtls",
            Self::None(_) => "none",
        }
    }

    /// What it asks for, beside the app's own fields. In templates these are `credentials.<id>`.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        each!(self, m => &m.fields)
    }

    /// Its own test, if it has one.
    #[must_use]
    pub fn test(&self) -> Option<&Test> {
        each!(self, m => m.test.as_ref())
    }

    /// The base URL of the API for its connections, if it is not the app's.
    #[must_use]
    pub fn base_url(&self) -> Option<&Template> {
        each!(self, m => m.base_url.as_ref())
    }

    /// The OAuth 2.0 part, if it is OAuth 2.0.
    #[must_use]
    pub fn oauth2(&self) -> Option<&Oauth2> {
        match self {
            Self::Oauth2(m) => Some(m),
            _ => None,
        }
    }

    /// What it keeps of answers and callbacks; `capture.<id>` in templates.
    #[must_use]
    pub fn captures(&self) -> Vec<(&str, &Capture)> {
        let named = |(id, capture)| (String::as_str(id), capture);
        match self {
            Self::Oauth2(m) => {
                let exchanged = m.exchange.iter().flat_map(|exchange| &exchange.capture);
                m.capture.iter().chain(exchanged).map(named).collect()
            }
            Self::Oauth1(m) => m.capture.iter().map(named).collect(),
            Self::Session(m) => m.steps.iter().flat_map(|s| &s.capture).map(named).collect(),
            _ => Vec::new(),
        }
    }

    /// One of its captures; the first of that name.
    #[must_use]
    pub fn capture(&self, id: &str) -> Option<&Capture> {
        self.captures()
            .into_iter()
            .find_map(|(name, capture)| (name == id).then_some(capture))
    }

    /// Where its credential goes, with what is usual filled in. Empty where the host signs each request by itself.
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
            Self::Session(m) => m.inject.clone(),
            Self::Jwt(m) if m.inject.is_empty() => vec![authorization("Bearer {{ jwt.token }}")],
            Self::Jwt(m) => m.inject.clone(),
            Self::Hmac(m) => m.inject.clone(),
            Self::Mtls(m) => m.inject.clone(),
            Self::Oauth1(_) | Self::AwsSigv4(_) | Self::Wsse(_) | Self::None(_) => Vec::new(),
        }
    }

    /// Headers that the host fills in while it signs a request, beside the injections. No request may set them.
    #[must_use]
    pub fn signature_headers(&self) -> Vec<&str> {
        match self {
            Self::Oauth1(m) if m.place != Oauth1Place::Query => vec!["Authorization"],
            Self::AwsSigv4(_) => vec![
                "Authorization",
                "X-Amz-Date",
                "X-Amz-Security-Token",
                "X-Amz-Content-Sha256",
            ],
            Self::Wsse(m) => vec![m.header.as_str()],
            _ => Vec::new(),
        }
    }
}

/// A template of this crate's own or composed of parsed ones; a test renders each of them.
pub(super) fn known(source: &str) -> Template {
    Template::parse(source).unwrap_or_else(|_| Template::literal(""))
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
