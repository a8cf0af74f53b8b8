//! Vendora, a pretend note-taking service: an OAuth server, API keys and a small API, for `keyport dev` and for tests.
//!
//! It plays the other side, so it is strict where real vendors are (exact redirect URIs, PKCE, single-use codes, rotating
//! refresh tokens with reuse detection) and can be told to misbehave as they do ([`Fault`]). It knows nothing of Keyport and
//! depends on none of its crates: agreement between the two is agreement over HTTP.
//!
//! Everything lives in memory, has a ceiling and is gone at the end of the process. What it leaves out: passwords for the
//! sign-in page (one picks a demo user), consent that is remembered, dynamic client registration, ID tokens. **It is not an
//! identity provider**: its developer page shows working credentials to whoever opens it. Serve it on a loopback address.

mod api;
mod bounded;
mod browser;
mod caller;
mod clock;
mod config;
mod control;
mod developer;
mod errors;
mod faults;
mod form;
mod grants;
mod guard;
mod hooks;
mod html;
mod oauth;
mod random;
mod redirects;
mod scopes;
mod serve;
mod signed;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};

pub use clock::Clock;
pub use config::{Client, DemoCredentials, Seed, User, VendorConfig, VendorError};
pub use faults::{Fault, MAX_HANG_MS, Target};
pub use serve::serve;
pub use state::CredentialKind;

/// Users one vendor can have.
pub const MAX_USERS: usize = 16;

/// Largest request body, in bytes.
pub(crate) const MAX_REQUEST_BODY: usize = 64 * 1024;

/// The pretend vendor. Clones share one state.
#[derive(Clone)]
pub struct Vendor(Arc<Shared>);

struct Shared {
    public: url::Url,
    issuer: String,
    issuer_url: url::Url,
    control: bool,
    clock: Clock,
    csrf_key: [u8; 32],
    state: Mutex<state::State>,
}

/// What is in force, and what was asked for so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Grants that are not revoked.
    pub grants: usize,
    /// Access tokens that would work now.
    pub access_tokens: usize,
    /// Refresh tokens that would work now.
    pub refresh_tokens: usize,
    /// Calls to `POST /oauth/token`, refused ones included.
    pub token_requests: u64,
    /// The most of them that were open at once.
    pub most_token_requests: u64,
    /// Refresh tokens that were turned into new tokens.
    pub refreshes: u64,
    /// Calls to `POST /oauth/revoke`.
    pub revoke_requests: u64,
    /// Calls under `/api` and `/signed`.
    pub api_requests: u64,
}

impl Vendor {
    /// A vendor with the given clients and users.
    ///
    /// # Errors
    /// [`VendorError`] says which part of the configuration cannot be.
    pub fn new(config: VendorConfig) -> Result<Self, VendorError> {
        let public = config::check_origin("public_origin", &config.public_origin)?;
        let issuer_url = config::check_origin("issuer", &config.issuer)?;
        let state = Mutex::new(state::State::new(&config)?);
        Ok(Self(Arc::new(Shared {
            public,
            issuer: config.issuer,
            issuer_url,
            control: config.control,
            clock: config.clock,
            csrf_key: random::bytes()?,
            state,
        })))
    }

    /// All of the vendor's routes.
    pub fn router(&self) -> Router {
        let mut routes = Router::new()
            .merge(oauth::routes())
            .merge(api::routes())
            .merge(hooks::routes())
            .merge(signed::routes(self))
            .merge(developer::routes());
        if self.0.control {
            routes = routes.merge(control::routes());
        }
        routes
            .fallback(nothing_here)
            .layer(DefaultBodyLimit::max(MAX_REQUEST_BODY))
            .layer(from_fn_with_state(self.clone(), faults::happen))
            .layer(from_fn_with_state(self.clone(), guard::guard))
            .with_state(self.clone())
    }

    /// Registers an exact redirect URI for a client.
    ///
    /// # Errors
    /// The client is unknown, has too many, or the URI cannot be one.
    pub fn allow_redirect(&self, client: &str, uri: &str) -> Result<(), VendorError> {
        let mut state = self.state();
        let client = state.client_mut(client).ok_or(VendorError::UnknownClient)?;
        redirects::add_uri(client, uri)
    }

    /// Accepts any one path segment after `prefix`, which must be `http` on this machine and end in `/`.
    ///
    /// # Errors
    /// The client is unknown, has too many, or the prefix reaches further than this machine.
    pub fn allow_redirect_prefix(&self, client: &str, prefix: &str) -> Result<(), VendorError> {
        let mut state = self.state();
        let client = state.client_mut(client).ok_or(VendorError::UnknownClient)?;
        redirects::add_prefix(client, prefix)
    }

    /// Every user's credentials as they stand now, in the order of the configuration.
    #[must_use]
    pub fn demo_credentials(&self) -> Vec<DemoCredentials> {
        let state = self.state();
        let own = state.accounts.iter();
        own.map(|account| account.credentials.clone()).collect()
    }

    /// Takes a user's credential away, or replaces it with a new random one when `renew` is set.
    ///
    /// # Errors
    /// No user has this id or e-mail address, or there is no randomness.
    pub fn set_credential(
        &self,
        user: &str,
        kind: CredentialKind,
        renew: bool,
    ) -> Result<(), VendorError> {
        let mut state = self.state();
        let account = state.account_mut(user).ok_or(VendorError::UnknownUser)?;
        account.set_credential(kind, renew)
    }

    /// Revokes the grants of a user (id or e-mail address), or everybody's. How many there were.
    ///
    /// # Errors
    /// No user has this id or e-mail address.
    pub fn revoke_grants(&self, user: Option<&str>) -> Result<usize, VendorError> {
        let mut state = self.state();
        let id = match user {
            None => None,
            Some(who) => {
                let account = state.account(who).ok_or(VendorError::UnknownUser)?;
                Some(account.user.id.clone())
            }
        };
        Ok(state.grants.revoke_all(id.as_deref()))
    }

    /// Ends every access token now. Refresh tokens stay good.
    pub fn expire_access_tokens(&self) {
        self.state().grants.expire_access();
    }

    /// Lines up a fault for the next calls; `false` when it is impossible or too many are waiting.
    pub fn fault(&self, fault: Fault) -> bool {
        fault.is_possible() && self.state().faults.add(fault)
    }

    /// Forgets the faults that are still waiting.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Lets a user (id or e-mail address) allow every authorization request without a consent page; `None` brings the page
    /// back.
    ///
    /// # Errors
    /// No user has this id or e-mail address.
    pub fn auto_consent(&self, user: Option<&str>) -> Result<(), VendorError> {
        let mut state = self.state();
        state.auto_consent = match user {
            None => None,
            Some(who) => {
                let account = state.account(who).ok_or(VendorError::UnknownUser)?;
                Some(account.user.id.clone())
            }
        };
        Ok(())
    }

    /// Counts, for tests that ask how often something happened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let state = self.state();
        let (access_tokens, refresh_tokens) = state.grants.live_tokens();
        Stats {
            grants: state.grants.in_force().count(),
            access_tokens,
            refresh_tokens,
            token_requests: state.counters.token_requests,
            most_token_requests: state.counters.most_token_requests,
            refreshes: state.grants.refreshes,
            revoke_requests: state.counters.revoke_requests,
            api_requests: state.counters.api_requests,
        }
    }

    /// The state, locked. Never held over an await. A panic elsewhere leaves the tables whole enough for a pretend vendor.
    pub(crate) fn state(&self) -> MutexGuard<'_, state::State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Machines get JSON, people get a page.
async fn nothing_here(uri: Uri) -> Response {
    let machine = ["/api/", "/signed/", "/control/", "/.well-known/"];
    if machine.iter().any(|prefix| uri.path().starts_with(prefix)) {
        let words = "there is nothing at this address";
        return errors::ApiError::new(StatusCode::NOT_FOUND, "not_found", words).into_response();
    }
    html::sorry(
        StatusCode::NOT_FOUND,
        "Nothing here",
        "There is no page at this address.",
    )
}
