//! A draft from flags and answers: what a person knows about an app before reading anything.

use super::draft::{Draft, Inject, Kind, Method, Oauth2, Said};
use super::openapi::{keys, oauth, servers, testcall};
use super::text::app_id;

/// Ways to sign in that can be asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthKind {
    /// OAuth 2.0 authorization code.
    Oauth2,
    /// A pasted key.
    ApiKey,
    /// A user name and a password.
    Basic,
    /// A pasted token.
    Bearer,
}

/// What a person said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// The app's id.
    pub id: Option<String>,
    /// What people call it.
    pub name: Option<String>,
    /// One sentence about it.
    pub summary: Option<String>,
    /// Its base URL; `{name}` is asked for.
    pub base_url: Option<String>,
    /// The way to sign in.
    pub auth: Option<AuthKind>,
    /// The path of the test call.
    pub test_path: Option<String>,
    /// Where people are sent (oauth2).
    pub authorize_url: Option<String>,
    /// Where codes are exchanged (oauth2).
    pub token_url: Option<String>,
    /// What is asked for (oauth2).
    pub scopes: Vec<String>,
    /// The header that a key goes into (api_key).
    pub header: Option<String>,
    /// The query parameter that a key goes into (api_key).
    pub query: Option<String>,
}

/// An answer that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// Not an app id.
    #[error(
        "`{0}` is not an app id; use lower-case letters, digits and inner hyphens, starting with a letter, at most 63"
    )]
    Id(String),
    /// Not a name.
    #[error("a name has 1 to 60 characters on one line")]
    Name,
    /// Not a sentence.
    #[error("a summary has 10 to 300 characters on one line")]
    Summary,
    /// Not an address.
    #[error(
        "`{0}` is not an https address; write it like https://api.acme.com/v1, with {{name}} where people fill something in"
    )]
    Address(String),
    /// Not a path.
    #[error("`{0}` is not a path; write it like /v1/me")]
    Path(String),
    /// Not a header or parameter.
    #[error("`{0}` is not a name that a key can be sent under")]
    Place(String),
    /// Not a scope.
    #[error("`{0}` is not a scope")]
    Scope(String),
}

impl AuthKind {
    /// The kind of a name, as the flag and the manifest write it.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "oauth2" => Some(Self::Oauth2),
            "api_key" => Some(Self::ApiKey),
            "basic" => Some(Self::Basic),
            "bearer" => Some(Self::Bearer),
            _ => None,
        }
    }
}

impl Answers {
    /// The flags that are still missing for a draft without a document.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        [
            ("--name", self.name.is_none() && self.id.is_none()),
            ("--base-url", self.base_url.is_none()),
            ("--auth", self.auth.is_none()),
        ]
        .into_iter()
        .filter_map(|(flag, missing)| missing.then_some(flag))
        .collect()
    }

    /// Whether every answer that was given can be used.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<(), Mistake> {
        let line = |text: &str| !text.trim().is_empty() && !text.chars().any(char::is_control);
        if let Some(id) = &self.id
            && id.parse::<keyport_manifest::AppId>().is_err()
        {
            return Err(Mistake::Id(id.clone()));
        }
        if self
            .name
            .as_deref()
            .is_some_and(|n| !line(n) || n.chars().count() > 60)
        {
            return Err(Mistake::Name);
        }
        if self
            .summary
            .as_deref()
            .is_some_and(|s| !line(s) || !(10..=300).contains(&s.chars().count()))
        {
            return Err(Mistake::Summary);
        }
        if let Some(url) = &self.base_url
            && (!url.starts_with("https://") || !servers::typed(url).known)
        {
            return Err(Mistake::Address(url.clone()));
        }
        for url in [&self.authorize_url, &self.token_url].into_iter().flatten() {
            if !oauth::is_address(url) {
                return Err(Mistake::Address(url.clone()));
            }
        }
        if let Some(path) = &self.test_path
            && !(path.starts_with('/')
                && !path.starts_with("//")
                && path
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"/-._~@:".contains(&b)))
        {
            return Err(Mistake::Path(path.clone()));
        }
        for (name, query) in [(&self.header, false), (&self.query, true)] {
            if let Some(name) = name
                && !keys::legal(name, query)
            {
                return Err(Mistake::Place(name.clone()));
            }
        }
        if let Some(scope) = self.scopes.iter().find(|s| !oauth::is_scope(s)) {
            return Err(Mistake::Scope(scope.clone()));
        }
        Ok(())
    }

    /// The app as far as the answers say it.
    ///
    /// # Errors
    /// An answer that cannot be used.
    pub fn draft(&self) -> Result<Draft, Mistake> {
        self.check()?;
        let name = self
            .name
            .clone()
            .or_else(|| self.id.as_deref().map(super::text::title))
            .ok_or(Mistake::Name)?;
        let id = match &self.id {
            Some(id) => id.clone(),
            None => app_id(&name).ok_or_else(|| Mistake::Id(name.clone()))?,
        };
        let url = self.base_url.clone().unwrap_or_default();
        let base = servers::typed(&url);
        let prefix = base
            .fields
            .iter()
            .find(|f| f.format == Some("dns-label"))
            .map(|f| f.id.clone());
        let mut test = testcall::blank(
            &name,
            self.test_path.as_deref().unwrap_or("/TODO"),
            prefix.as_deref(),
        );
        if let Some(path) = &self.test_path {
            test.path = Said::known(path);
        }
        Ok(Draft {
            lang: None,
            summary: self.summary(&name).unwrap_or_else(|| {
                Said::blank(
                    format!("TODO: what people do with {name}."),
                    "one sentence: what people do with the app",
                )
            }),
            home: Said::blank("https://example.com/TODO", "the app's home page"),
            docs: Said::blank(
                "https://example.com/TODO/docs",
                "the documentation of the app's API",
            ),
            support: None,
            self_hosted: base.self_hosted,
            fields: base.fields,
            variants: Vec::new(),
            base_url: base.url,
            headers: Vec::new(),
            methods: vec![self.method(&name)],
            test,
            sources: vec![Said::blank(
                "https://example.com/TODO/source",
                "the pages that these facts come from",
            )],
            remarks: base.remarks,
            id,
            name,
        })
    }

    /// The summary, if there is one.
    pub(super) fn summary(&self, _name: &str) -> Option<Said> {
        self.summary.as_deref().map(Said::known)
    }

    /// The way to sign in that was asked for.
    pub(super) fn method(&self, name: &str) -> Method {
        match self.auth.unwrap_or(AuthKind::Bearer) {
            AuthKind::Oauth2 => self.oauth(name),
            AuthKind::Basic => keys::basic(""),
            AuthKind::Bearer => keys::bearer(None),
            AuthKind::ApiKey => {
                let place = match (&self.header, &self.query) {
                    (_, Some(query)) => Said::known(query),
                    (Some(header), None) => Said::known(header),
                    (None, None) => Said::blank(
                        "X-Api-Key",
                        "the header that the vendor takes the key in; a query parameter is `query: NAME`",
                    ),
                };
                let inject = Inject {
                    query: self.query.is_some(),
                    name: place,
                    value: "{{ credentials.api_key }}".to_owned(),
                };
                Method {
                    id: "api_key".to_owned(),
                    label: "API key".to_owned(),
                    fields: vec![super::draft::Field::secret("api_key", "API key")],
                    kind: Kind::ApiKey(vec![inject]),
                    todo: None,
                }
            }
        }
    }

    fn oauth(&self, name: &str) -> Method {
        let address = |url: &Option<String>, end: &str, todo: &str| {
            url.as_ref().map_or_else(
                || Said::blank(format!("https://example.com/TODO/{end}"), todo),
                Said::known,
            )
        };
        let oauth = Oauth2 {
            authorize_url: Some(address(&self.authorize_url, "authorize", "where people are sent to sign in")),
            token_url: Some(address(&self.token_url, "token", "where codes are exchanged for tokens")),
            scopes: self.scopes.clone(),
            scopes_todo: self
                .scopes
                .is_empty()
                .then(|| "the scopes that are always asked for: the fewest with which the test call passes; none if the app has none".to_owned()),
            ..Oauth2::default()
        };
        oauth::sign_in(oauth, name)
    }
}
