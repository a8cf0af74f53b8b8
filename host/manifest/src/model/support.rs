//! What this version of Keyport runs, and what it only reads and checks.
//!
//! The language says more than the sign-in engine can do so far. Whatever it cannot do is listed here and nowhere else:
//! `validate` says it as a note (V97), the catalogue shows why a way to sign in is not offered, and the engine refuses to
//! begin it. Nothing declared is silently ignored. Every struct is taken apart without `..`, so a new key does not compile
//! until somebody has decided whether it runs.

use super::{
    ApiKey, AuthMethod, AuthorizeRules, Basic, Bearer, CallbackRules, ClientAuth, Inject, Manifest,
    Oauth2, Oauth2Grant, ParamRules, Place, Refresh, RefreshBy, Scopes, TokenBody, TokenMethod,
    TokenResponse, is_default,
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

    /// What of it does not run yet; paths are seen from the method.
    #[must_use]
    pub fn not_yet(&self) -> Vec<NotYet> {
        let Self {
            label: _,
            help: _,
            fields: _,
            grant,
            authorize_url: _,
            token_url: _,
            device_url: _,
            assertion: _,
            discover,
            register,
            refresh_url: _,
            issuer: _,
            issuer_required: _,
            scopes,
            pkce: _,
            client_auth,
            client_assertion: _,
            client_certificate,
            client: _,
            authorize_params: _,
            token_params: _,
            refresh_params: _,
            token_headers: _,
            token_method,
            token_body,
            params,
            authorize,
            callback,
            response,
            capture: _,
            exchange,
            refresh,
            revoke: _,
            inject,
            base_url: _,
            test: _,
        } = self;
        let mut all = Vec::new();
        let mut no = |path: &str, what: &str| all.push(NotYet::new(path, what));
        match grant {
            Oauth2Grant::AuthorizationCode => {}
            Oauth2Grant::ClientCredentials => no("grant", "the grant `client_credentials`"),
            Oauth2Grant::Device => no("grant", "the grant `device`"),
            Oauth2Grant::JwtBearer => no("grant", "the grant `jwt_bearer`"),
        }
        if discover.is_some() {
            no("discover", "finding out endpoints (`discover`)");
        }
        if *register {
            no("register", "registering a client (`register`)");
        }
        let Scopes {
            default: _,
            optional: _,
            separator: _,
            param: _,
            extra,
        } = scopes;
        if !extra.is_empty() {
            no(
                "scopes.extra",
                "a second parameter of scopes (`scopes.extra`)",
            );
        }
        match client_auth {
            ClientAuth::Body | ClientAuth::Basic | ClientAuth::BasicRaw | ClientAuth::None => {}
            ClientAuth::PrivateKeyJwt => {
                no("client_auth", "the client authentication `private_key_jwt`");
            }
            ClientAuth::ClientSecretJwt => {
                no(
                    "client_auth",
                    "the client authentication `client_secret_jwt`",
                );
            }
            ClientAuth::Tls => no("client_auth", "the client authentication `tls`"),
        }
        if client_certificate.is_some() {
            no(
                "client_certificate",
                "a certificate beside the client (`client_certificate`)",
            );
        }
        match token_method {
            TokenMethod::Post => {}
            TokenMethod::Get => no("token_method", "a token request by GET (`token_method`)"),
        }
        match token_body {
            TokenBody::Form | TokenBody::Json => {}
            TokenBody::Query => no(
                "token_body",
                "a token request in the URL (`token_body: query`)",
            ),
            TokenBody::Xml(_) => no("token_body", "a token request in XML (`token_body`)"),
        }
        let ParamRules {
            rename,
            drop,
            values,
        } = params;
        if !values.is_empty() {
            no(
                "params.values",
                "other words for OAuth parameters (`params.values`)",
            );
        }
        if !rename.is_empty() {
            no(
                "params.rename",
                "renaming OAuth parameters (`params.rename`)",
            );
        }
        if !drop.is_empty() {
            no(
                "params.drop",
                "leaving out OAuth parameters (`params.drop`)",
            );
        }
        if !is_default::<AuthorizeRules>(authorize) {
            no(
                "authorize",
                "a particular way to write the authorization URL (`authorize`)",
            );
        }
        callback_rules(callback, &mut no);
        let TokenResponse {
            decode: _,
            ok: _,
            root: _,
            fields: _,
            expiry: _,
            default_ttl: _,
            token_types: _,
            error: _,
            error_description: _,
            also,
        } = response;
        if !also.is_empty() {
            no(
                "response.also",
                "a second token of the same answer (`response.also`)",
            );
        }
        if exchange.is_some() {
            no("exchange", "a further exchange of the token (`exchange`)");
        }
        let Refresh {
            rotates: _,
            early: _,
            refused: _,
            headers: _,
            by,
            prolongs,
        } = refresh;
        if prolongs.is_some() {
            no(
                "refresh.prolongs",
                "a refresh without tokens (`refresh.prolongs`)",
            );
        }
        match by {
            RefreshBy::RefreshToken => {}
            RefreshBy::Exchange => no("refresh.by", "a refresh by `exchange`"),
            RefreshBy::SignInAgain => no("refresh.by", "a refresh by `sign_in_again`"),
        }
        all.extend(injections(inject));
        all
    }
}

fn callback_rules(callback: &CallbackRules, no: &mut impl FnMut(&str, &str)) {
    let CallbackRules {
        code,
        state,
        max_state,
        without_state,
        verify,
    } = callback;
    if code.as_deref().is_some_and(|name| name != "code") {
        no(
            "callback.code",
            "a code under another name (`callback.code`)",
        );
    }
    if state.as_deref().is_some_and(|name| name != "state") {
        no(
            "callback.state",
            "a state under another name (`callback.state`)",
        );
    }
    if max_state.is_some() {
        no(
            "callback.max_state",
            "a state of limited length (`callback.max_state`)",
        );
    }
    if without_state.is_some() {
        no(
            "callback.without_state",
            "a callback without a state (`callback.without_state`)",
        );
    }
    if verify.is_some() {
        no(
            "callback.verify",
            "checking the callback's signature (`callback.verify`)",
        );
    }
}
