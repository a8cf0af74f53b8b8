//! What the vendor is told at its start: where it is reached, which OAuth clients it knows, who its users are.
//!
//! Types with a secret in them have no `Debug`: a stray `{:?}` does not compile. They are plain strings
//! otherwise, because the developer page shows these demo credentials to whoever opens it.

use std::time::Duration;

use url::Url;

use crate::clock::Clock;

/// How the vendor is set up. Start from [`VendorConfig::new`] and change what differs.
#[derive(Clone)]
pub struct VendorConfig {
    /// The origin that browsers reach, without a trailing slash: `http://127.0.0.1:4702`.
    pub public_origin: String,
    /// The issuer's identifier (RFC 8414, RFC 9207), and the origin of the endpoints in the metadata document:
    /// `https://vendor.keyport.test`.
    pub issuer: String,
    /// How long an access token is good for. Tests use seconds.
    pub access_token_ttl: Duration,
    /// The OAuth clients that are registered from the start.
    pub clients: Vec<Client>,
    /// The people one can sign in as. At least one, at most [`crate::MAX_USERS`].
    pub users: Vec<User>,
    /// Whether `/control` exists. Off by default: whoever reaches it can see and revoke everything.
    pub control: bool,
    /// Where the time comes from.
    pub clock: Clock,
}

impl VendorConfig {
    /// The issuer's identifier where none is set.
    pub const ISSUER: &str = "https://vendor.keyport.test";

    /// A vendor at `public_origin` with the users Ada and Grace, no OAuth client, tokens that live an hour, the
    /// machine's clock and no control API.
    #[must_use]
    pub fn new(public_origin: impl Into<String>) -> Self {
        Self {
            public_origin: public_origin.into(),
            issuer: Self::ISSUER.to_owned(),
            access_token_ttl: Duration::from_secs(3600),
            clients: Vec::new(),
            users: vec![User::ada(), User::grace()],
            control: false,
            clock: Clock::system(),
        }
    }
}

/// A registered OAuth client.
#[derive(Clone)]
pub struct Client {
    /// `client_id`. 1 to 128 printable ASCII characters.
    pub id: String,
    /// What the consent page calls it.
    pub name: String,
    /// `client_secret`; `None` is a public client, which has only PKCE to show.
    pub secret: Option<String>,
    /// Redirect URIs, compared character by character (RFC 9700, 2.1).
    pub redirect_uris: Vec<String>,
    /// `http` addresses on this machine, ending in `/`, under which any one path segment is accepted:
    /// `http://localhost:4700/oauth/callback/`. For `keyport dev`, whose callback ends in a random id.
    pub redirect_prefixes: Vec<String>,
}

impl Client {
    /// A confidential client with no redirect URI yet, shown under its id.
    #[must_use]
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            name: id.clone(),
            id,
            secret: Some(secret.into()),
            redirect_uris: Vec::new(),
            redirect_prefixes: Vec::new(),
        }
    }
}

/// A person with an account at the vendor.
#[derive(Clone)]
pub struct User {
    /// The account's stable id: `u_ada`.
    pub id: String,
    /// Also the user name for basic authentication.
    pub email: String,
    /// Full name.
    pub name: String,
    /// The workspace that the account's notes live in.
    pub workspace: String,
    /// Credentials to start with; what is `None` is random.
    pub seed: Seed,
}

impl User {
    /// Ada, with random credentials.
    #[must_use]
    pub fn ada() -> Self {
        Self {
            id: "u_ada".to_owned(),
            email: "ada@vendora.test".to_owned(),
            name: "Ada Lovelace".to_owned(),
            workspace: "Analytical Engines".to_owned(),
            seed: Seed::default(),
        }
    }

    /// Grace, with random credentials.
    #[must_use]
    pub fn grace() -> Self {
        Self {
            id: "u_grace".to_owned(),
            email: "grace@vendora.test".to_owned(),
            name: "Grace Hopper".to_owned(),
            workspace: "Flow-Matic".to_owned(),
            seed: Seed::default(),
        }
    }
}

/// Credentials given instead of drawn, so that a test knows them beforehand.
#[derive(Clone, Default)]
pub struct Seed {
    /// For `X-Api-Key`.
    pub api_key: Option<String>,
    /// For `Authorization: Bearer`.
    pub personal_token: Option<String>,
    /// For basic authentication, with the e-mail address as user name.
    pub password: Option<String>,
    /// For `X-Vendor-Key-Id`.
    pub signing_key_id: Option<String>,
    /// The key of the HMAC in `X-Vendor-Signature`.
    pub signing_secret: Option<String>,
}

/// One user's credentials as they stand now; `None` is revoked.
#[derive(Clone)]
pub struct DemoCredentials {
    /// Whose they are: [`User::id`].
    pub user_id: String,
    /// The account's e-mail address, also the basic user name.
    pub email: String,
    /// For `X-Api-Key`.
    pub api_key: Option<String>,
    /// For `Authorization: Bearer`.
    pub personal_token: Option<String>,
    /// For basic authentication.
    pub password: Option<String>,
    /// For `X-Vendor-Key-Id`; it comes and goes with the secret.
    pub signing_key_id: Option<String>,
    /// The key of the HMAC in `X-Vendor-Signature`.
    pub signing_secret: Option<String>,
}

/// What can be wrong with a configuration, or with a call to the vendor's own methods.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VendorError {
    /// `public_origin` or `issuer` is not an origin.
    #[error(
        "{what} must be an http or https origin without a path, for example http://127.0.0.1:4702"
    )]
    Origin {
        /// Which setting.
        what: &'static str,
    },
    /// No user, too many, or two with one id or e-mail address.
    #[error("give the vendor between 1 and 16 users with different ids and e-mail addresses")]
    Users,
    /// Two users would share a credential.
    #[error("two users have the same {what}; give each their own")]
    SharedCredential {
        /// Which kind of credential.
        what: &'static str,
    },
    /// A client id that is empty, too long, not printable, or used twice.
    #[error("each client needs an id of its own, of 1 to 128 printable ASCII characters")]
    ClientId,
    /// A secret that everybody knows.
    #[error("a client's secret must not be empty; a public client has none")]
    ClientSecret,
    /// A redirect URI that cannot be registered.
    #[error("a redirect URI must be an absolute http or https address without a fragment")]
    RedirectUri,
    /// A redirect prefix that would let codes leave this machine.
    #[error(
        "a redirect prefix must be an http address of localhost, 127.0.0.1 or [::1] with a port, and end with a slash"
    )]
    RedirectPrefix,
    /// The client has as many redirect URIs as it may.
    #[error("the client has too many redirect URIs; register fewer")]
    TooManyRedirects,
    /// No client has this id.
    #[error("no client is registered under this id")]
    UnknownClient,
    /// No user has this id or e-mail address.
    #[error("no user has this id or e-mail address")]
    UnknownUser,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes; try again")]
    NoRandomness,
}

/// `http(s)://host[:port]` and nothing else.
pub(crate) fn check_origin(what: &'static str, origin: &str) -> Result<Url, VendorError> {
    let url = Url::parse(origin).map_err(|_| VendorError::Origin { what })?;
    let whole = url.origin().ascii_serialization();
    if matches!(url.scheme(), "http" | "https") && whole == origin {
        Ok(url)
    } else {
        Err(VendorError::Origin { what })
    }
}
