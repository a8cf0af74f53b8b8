//! What this version of Keyport runs, and what it only reads and checks.
//!
//! The language says more than the sign-in engine can do so far. Whatever it cannot do is listed here and nowhere else:
//! `validate` says it as a note (V97), the catalogue shows why a way to sign in is not offered, and the engine refuses to
//! begin it. Nothing declared is silently ignored. Every struct is taken apart without `..`, so a new key does not compile
//! until somebody has decided whether it runs.

use super::{
    ApiKey, AuthMethod, AwsSigv4, Basic, Bearer, Hmac, JwtAuth, Manifest, Mtls, NoAuth, Oauth1,
    Oauth2, Session, Wsse,
};

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
        all
    }

    /// Why no connection can be made by this way to sign in, as a sentence for whoever tries; `None` if it runs. A way that
    /// does not exist is not judged.
    #[must_use]
    pub fn why_not_run(&self, method: &str) -> Option<String> {
        self.auth.get(method)?.why_not_run()
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
            Self::Session(m) => session(m),
            Self::Jwt(m) => jwt(m),
            Self::Oauth1(m) => oauth1(m),
            Self::AwsSigv4(m) => aws_sigv4(m),
            Self::Hmac(m) => hmac(m),
            Self::Wsse(m) => wsse(m),
            Self::Mtls(m) => mtls(m),
            Self::None(m) => no_auth(m),
        }
    }
}

fn api_key(m: &ApiKey) -> Vec<NotYet> {
    let ApiKey {
        label: _,
        help: _,
        fields: _,
        inject: _,
        base_url: _,
        test: _,
    } = m;
    Vec::new()
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

fn session(m: &Session) -> Vec<NotYet> {
    let Session {
        label: _,
        help: _,
        fields: _,
        steps: _,
        expiry: _,
        logout: _,
        inject: _,
        base_url: _,
        test: _,
    } = m;
    Vec::new()
}

fn oauth1(m: &Oauth1) -> Vec<NotYet> {
    let Oauth1 {
        label: _,
        help: _,
        fields: _,
        grant: _,
        request_token_url: _,
        authorize_url: _,
        access_token_url: _,
        authorize_params: _,
        signature: _,
        realm: _,
        place: _,
        client: _,
        token: _,
        token_secret: _,
        capture: _,
        revoke: _,
        base_url: _,
        test: _,
    } = m;
    Vec::new()
}

fn aws_sigv4(m: &AwsSigv4) -> Vec<NotYet> {
    let AwsSigv4 {
        label: _,
        help: _,
        fields: _,
        access_key_id: _,
        secret_access_key: _,
        session_token: _,
        region: _,
        service: _,
        assume_role: _,
        base_url: _,
        test: _,
    } = m;
    Vec::new()
}

fn hmac(m: &Hmac) -> Vec<NotYet> {
    let Hmac {
        label: _,
        help: _,
        fields: _,
        algorithm: _,
        key: _,
        key_format: _,
        message: _,
        encoding: _,
        inject: _,
        base_url: _,
        test: _,
    } = m;
    Vec::new()
}

fn wsse(m: &Wsse) -> Vec<NotYet> {
    let Wsse {
        label: _,
        help: _,
        fields: _,
        username: _,
        secret: _,
        digest: _,
        nonce: _,
        header: _,
        base_url: _,
        test: _,
    } = m;
    Vec::new()
}

fn mtls(m: &Mtls) -> Vec<NotYet> {
    let Mtls {
        label: _,
        help: _,
        fields: _,
        certificate: _,
        private_key: _,
        inject: _,
        base_url: _,
        test: _,
    } = m;
    Vec::new()
}

fn no_auth(m: &NoAuth) -> Vec<NotYet> {
    let NoAuth {
        label: _,
        help: _,
        reason: _,
        fields: _,
        base_url: _,
        test: _,
    } = m;
    Vec::new()
}

fn jwt(m: &JwtAuth) -> Vec<NotYet> {
    let JwtAuth {
        label: _,
        help: _,
        fields: _,
        sign: _,
        inject: _,
        base_url: _,
        test: _,
    } = m;
    Vec::new()
}

impl Oauth2 {
    /// Why it does not run here, as a sentence; `None` if it runs.
    #[must_use]
    pub fn why_not_run(&self) -> Option<String> {
        self.not_yet().first().map(NotYet::sentence)
    }

    /// What of it does not run yet; paths are seen from the method. Each can be named, so that an author is told and no sign-in
    /// begins without a protection that the server was said to want.
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
            introspect_url: _,
            resources: _,
            issuer: _,
            issuer_pattern: _,
            issuer_required: _,
            scopes: _,
            pkce: _,
            par,
            request_object,
            dpop,
            token_exchange,
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
            by_component: _,
            refresh: _,
            revoke: _,
            inject: _,
            base_url: _,
            test: _,
        } = self;
        [
            (
                *par,
                "par",
                "`par`, an authorization request that is pushed first (RFC 9126),",
            ),
            (
                request_object.is_some(),
                "request_object",
                "`request_object`, a signed authorization request (RFC 9101),",
            ),
            (
                dpop.is_some(),
                "dpop",
                "`dpop`, a token that is bound to a key (RFC 9449),",
            ),
            (
                token_exchange.is_some(),
                "token_exchange",
                "`token_exchange`, a token for another one (RFC 8693),",
            ),
        ]
        .into_iter()
        .filter(|(declared, ..)| *declared)
        .map(|(_, key, what)| NotYet::new(key, what))
        .collect()
    }
}
