//! What this version of Keyport runs, and what it only reads and checks.
//!
//! The language says more than the sign-in engine can do so far. Whatever it cannot do is listed here and nowhere else:
//! `validate` says it as a note (V97), the catalogue shows why a way to sign in is not offered, and the engine refuses to
//! begin it. Nothing declared is silently ignored. Every struct is taken apart without `..`, so a new key does not compile
//! until somebody has decided whether it runs.

use super::{ApiKey, AuthMethod, Basic, Bearer, Inject, Manifest, Oauth2, Place};

/// Something that is declared and that this version of Keyport does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotYet {
    /// Where it stands in the manifest: `auth.aws`, `auth.oauth.exchange`.
    pub path: String,
    /// What it is, with its key in back quotes; fits before "is not run by this version of Keyport".
    pub what: String,
}

impl NotYet {
    fn new(path: &str, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            what: what.into(),
        }
    }

    /// The same, seen from further up.
    fn under(self, base: &str) -> Self {
        let path = if self.path.is_empty() {
            base.to_owned()
        } else {
            format!("{base}.{}", self.path)
        };
        Self { path, ..self }
    }

    /// The whole sentence, lower case, no full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!("{} is not run by this version of Keyport", self.what)
    }
}

impl Manifest {
    /// Everything that is declared and does not run yet, in the order of the manifest.
    #[must_use]
    pub fn not_yet(&self) -> Vec<NotYet> {
        let mut all = Vec::new();
        for (id, method) in &self.auth {
            let base = format!("auth.{id}");
            all.extend(method.not_yet().into_iter().map(|n| n.under(&base)));
        }
        for (i, step) in self.discovery.iter().enumerate() {
            let what = format!("the discovery of `{}`", step.id);
            all.push(NotYet::new(&format!("discovery[{i}]"), what));
        }
        for (id, trigger) in &self.triggers {
            let base = format!("triggers.{id}");
            if trigger.kind.is_webhook() {
                all.push(NotYet::new("kind", "a webhook").under(&base));
            }
            if trigger.pagination.is_some() {
                all.push(NotYet::new("pagination", "`pagination` of a trigger").under(&base));
            }
        }
        for (i, _) in self.migrations.iter().enumerate() {
            all.push(NotYet::new(&format!("migrations[{i}]"), "a migration"));
        }
        all
    }

    /// Why no connection can be made by this way to sign in, as a sentence for whoever tries; `None` if it runs. A way that
    /// does not exist is not judged.
    #[must_use]
    pub fn why_not_run(&self, method: &str) -> Option<String> {
        let own = self.auth.get(method)?.why_not_run();
        own.or_else(|| {
            let step = self.discovery.iter().find(|step| step.is_for(method))?;
            let what = format!("the discovery of `{}`", step.id);
            Some(NotYet::new("", what).sentence())
        })
    }
}

impl AuthMethod {
    /// Why this way to sign in does not run here, as a sentence; `None` if it runs.
    #[must_use]
    pub fn why_not_run(&self) -> Option<String> {
        self.not_yet().first().map(NotYet::sentence)
    }

    /// What of it does not run yet; paths are seen from the method. Any of it stops the method.
    #[must_use]
    pub fn not_yet(&self) -> Vec<NotYet> {
        match self {
            Self::Oauth2(m) => m.not_yet(),
            Self::ApiKey(m) => api_key(m),
            Self::Basic(m) => basic(m),
            Self::Bearer(m) => bearer(m),
            Self::Session(_)
            | Self::Jwt(_)
            | Self::Oauth1(_)
            | Self::AwsSigv4(_)
            | Self::Hmac(_)
            | Self::Wsse(_)
            | Self::Mtls(_)
            | Self::None(_) => vec![NotYet::new(
                "",
                format!("this way to sign in (`{}`)", self.kind()),
            )],
        }
    }
}

fn api_key(m: &ApiKey) -> Vec<NotYet> {
    let ApiKey {
        label: _,
        help: _,
        fields: _,
        inject,
        base_url: _,
        test: _,
    } = m;
    injections(inject)
}

fn basic(m: &Basic) -> Vec<NotYet> {
    let Basic {
        label: _,
        help: _,
        fields: _,
        username: _,
        password: _,
        base_url: _,
        test: _,
    } = m;
    Vec::new()
}

fn bearer(m: &Bearer) -> Vec<NotYet> {
    let Bearer {
        label: _,
        help: _,
        fields: _,
        token: _,
        base_url: _,
        test: _,
    } = m;
    Vec::new()
}

fn injections(inject: &[Inject]) -> Vec<NotYet> {
    inject
        .iter()
        .enumerate()
        .filter_map(|(i, one)| match one.place {
            Place::Header | Place::Query => None,
            Place::Cookie => Some(NotYet::new(
                &format!("inject[{i}]"),
                "a credential as a `cookie`",
            )),
            Place::Body => Some(NotYet::new(
                &format!("inject[{i}]"),
                "a credential in the `body` of requests",
            )),
        })
        .collect()
}

impl Oauth2 {
    /// Why it does not run here, as a sentence; `None` if it runs.
    #[must_use]
    pub fn why_not_run(&self) -> Option<String> {
        self.not_yet().first().map(NotYet::sentence)
    }

    /// What of it does not run yet; paths are seen from the method. Everything that the language says of OAuth 2.0 runs, but
    /// for some places of its credential.
    #[must_use]
    pub fn not_yet(&self) -> Vec<NotYet> {
        let Self {
            label: _,
            help: _,
            fields: _,
            grant: _,
            authorize_url: _,
            token_url: _,
            device_url: _,
            assertion: _,
            discover: _,
            register: _,
            refresh_url: _,
            issuer: _,
            issuer_required: _,
            scopes: _,
            pkce: _,
            client_auth: _,
            client_assertion: _,
            client_certificate: _,
            client: _,
            authorize_params: _,
            token_params: _,
            refresh_params: _,
            token_headers: _,
            token_method: _,
            token_body: _,
            params: _,
            authorize: _,
            callback: _,
            response: _,
            capture: _,
            exchange: _,
            refresh: _,
            revoke: _,
            inject,
            base_url: _,
            test: _,
        } = self;
        injections(inject)
    }
}
