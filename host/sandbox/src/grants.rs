//! What a person has allowed: authorization codes, grants, and the tokens that hang on them.
//!
//! The rules are those that a careful vendor keeps, because they are the ones a client breaks on:
//! - a code works once, for 60 seconds, for the client, redirect URI and PKCE verifier that it was made for; a second use
//!   revokes what the first one got (RFC 6749, 4.1.2);
//! - a refresh token works once; using it again revokes the whole grant, since nobody can tell which of the two was the
//!   thief (RFC 9700, 4.14.2);
//! - an access token ends with its grant.
//!
//! Nothing here waits or does IO, so a caller that holds the lock does each step whole. Refresh tokens don't expire by age.

use crate::bounded::Bounded;
use crate::clock::{Clock, millis};
use crate::config::VendorError;
use crate::random::{self, Fingerprint};
use crate::scopes::Scopes;
use std::time::Duration;

/// How long a code is good for (RFC 6749 allows 10 minutes; honest clients need seconds).
const CODE_TTL_MS: i64 = 60_000;
const MAX_CODES: usize = 512;
const MAX_GRANTS: usize = 1024;
const MAX_TOKENS: usize = 8192;

/// What a consent page has settled; the code stands for it.
#[derive(Clone)]
pub(crate) struct Consent {
    pub client: String,
    pub redirect_uri: String,
    pub challenge: String,
    pub scopes: Scopes,
    pub user: String,
}

struct Code {
    consent: Consent,
    expires_ms: i64,
    state: CodeState,
}

enum CodeState {
    Fresh,
    /// Used up; the grant that came of it, if one did.
    Spent(Option<u64>),
}

/// One person's permission for one client.
pub(crate) struct Grant {
    pub client: String,
    pub user: String,
    pub scopes: Scopes,
    pub created_ms: i64,
    pub revoked: bool,
}

struct Access {
    grant: u64,
    scopes: Scopes,
    expires_ms: i64,
    revoked: bool,
}

struct Refresh {
    grant: u64,
    used: bool,
}

/// A successful answer of the token endpoint.
pub(crate) struct Tokens {
    pub access: String,
    pub refresh: String,
    pub expires_in: u64,
    pub scopes: Scopes,
}

/// Why the token endpoint refuses. The words are for the developer of the client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `invalid_grant`.
    Grant(&'static str),
    /// `invalid_scope`.
    Scope,
    /// The vendor itself failed.
    Internal,
}

impl From<VendorError> for Refusal {
    fn from(_: VendorError) -> Self {
        Self::Internal
    }
}

/// All grants of the vendor.
pub(crate) struct Grants {
    clock: Clock,
    access_ttl: Duration,
    codes: Bounded<Fingerprint, Code>,
    grants: Bounded<u64, Grant>,
    access: Bounded<Fingerprint, Access>,
    refresh: Bounded<Fingerprint, Refresh>,
    last: u64,
    /// Successful refreshes so far.
    pub refreshes: u64,
}

impl Grants {
    pub(crate) fn new(clock: Clock, access_ttl: Duration) -> Self {
        Self {
            clock,
            access_ttl,
            codes: Bounded::new(MAX_CODES),
            grants: Bounded::new(MAX_GRANTS),
            access: Bounded::new(MAX_TOKENS),
            refresh: Bounded::new(MAX_TOKENS),
            last: 0,
            refreshes: 0,
        }
    }

    pub(crate) fn issue_code(&mut self, consent: Consent) -> Result<String, VendorError> {
        let code = random::token("vac_")?;
        let entry = Code {
            consent,
            expires_ms: self.clock.now_ms().saturating_add(CODE_TTL_MS),
            state: CodeState::Fresh,
        };
        self.codes.insert(random::fingerprint(&code), entry);
        Ok(code)
    }

    /// The authorization code grant (RFC 6749, 4.1.3; RFC 7636, 4.6).
    pub(crate) fn exchange(
        &mut self,
        client: &str,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> Result<Tokens, Refusal> {
        const UNKNOWN: Refusal =
            Refusal::Grant("the code is unknown, was used before or has expired");
        let now = self.clock.now_ms();
        let key = random::fingerprint(code);
        let entry = self.codes.get_mut(&key).ok_or(UNKNOWN)?;
        if entry.consent.client != client {
            // Somebody else's code tells nothing and stays good for whom it was made for.
            return Err(UNKNOWN);
        }
        if let CodeState::Spent(grant) = entry.state {
            if let Some(grant) = grant {
                self.revoke_grant(grant);
            }
            return Err(Refusal::Grant(
                "the code was used before; what it gave access to has been revoked",
            ));
        }
        // One try, right or wrong: a thief doesn't get to guess the verifier.
        entry.state = CodeState::Spent(None);
        if entry.expires_ms <= now {
            return Err(UNKNOWN);
        }
        if entry.consent.redirect_uri != redirect_uri {
            return Err(Refusal::Grant(
                "redirect_uri is not the one of the authorization request",
            ));
        }
        if !is_verifier(verifier)
            || !random::same(&random::s256(verifier), &entry.consent.challenge)
        {
            return Err(Refusal::Grant("code_verifier does not match the challenge"));
        }
        let consent = entry.consent.clone();
        let drawn = Drawn::new()?;
        self.last = self.last.saturating_add(1);
        let id = self.last;
        if let Some(entry) = self.codes.get_mut(&key) {
            entry.state = CodeState::Spent(Some(id));
        }
        let grant = Grant {
            client: consent.client,
            user: consent.user,
            scopes: consent.scopes,
            created_ms: now,
            revoked: false,
        };
        self.grants.insert(id, grant);
        Ok(self.hand_out(id, consent.scopes, drawn))
    }

    /// The refresh token grant, with rotation (RFC 6749, 6). `scope` may only narrow the new access token.
    pub(crate) fn refresh(
        &mut self,
        client: &str,
        token: &str,
        scope: Option<&str>,
    ) -> Result<Tokens, Refusal> {
        const UNKNOWN: Refusal = Refusal::Grant("the refresh token is unknown or was revoked");
        let key = random::fingerprint(token);
        let (id, used) = self
            .refresh
            .get(&key)
            .map(|entry| (entry.grant, entry.used))
            .ok_or(UNKNOWN)?;
        let grant = self.grants.get(&id).ok_or(UNKNOWN)?;
        if grant.client != client || grant.revoked {
            return Err(UNKNOWN);
        }
        if used {
            self.revoke_grant(id);
            return Err(Refusal::Grant(
                "the refresh token was used before; the whole grant has been revoked",
            ));
        }
        let scopes = match scope {
            None => grant.scopes,
            Some(text) => Scopes::parse(text)
                .filter(|asked| grant.scopes.covers(*asked))
                .ok_or(Refusal::Scope)?,
        };
        let drawn = Drawn::new()?;
        if let Some(entry) = self.refresh.get_mut(&key) {
            entry.used = true;
        }
        self.refreshes = self.refreshes.saturating_add(1);
        Ok(self.hand_out(id, scopes, drawn))
    }

    fn hand_out(&mut self, grant: u64, scopes: Scopes, drawn: Drawn) -> Tokens {
        let expires_ms = self.clock.now_ms().saturating_add(millis(self.access_ttl));
        let access = Access {
            grant,
            scopes,
            expires_ms,
            revoked: false,
        };
        self.access
            .insert(random::fingerprint(&drawn.access), access);
        let refresh = Refresh { grant, used: false };
        self.refresh
            .insert(random::fingerprint(&drawn.refresh), refresh);
        Tokens {
            access: drawn.access,
            refresh: drawn.refresh,
            expires_in: self.access_ttl.as_secs(),
            scopes,
        }
    }

    /// RFC 7009. A refresh token takes its grant with it, an access token only itself; an unknown token is fine.
    pub(crate) fn revoke_token(&mut self, client: &str, token: &str) -> Result<(), Refusal> {
        const NOT_YOURS: Refusal = Refusal::Grant("the token was issued to another client");
        let key = random::fingerprint(token);
        if let Some(id) = self.refresh.get(&key).map(|entry| entry.grant) {
            if self
                .grants
                .get(&id)
                .is_some_and(|grant| grant.client != client)
            {
                return Err(NOT_YOURS);
            }
            self.revoke_grant(id);
        } else if let Some(entry) = self.access.get_mut(&key) {
            let grant = self.grants.get(&entry.grant);
            if grant.is_some_and(|grant| grant.client != client) {
                return Err(NOT_YOURS);
            }
            entry.revoked = true;
        }
        Ok(())
    }

    /// Ends a grant and its tokens; whether there was one to end.
    pub(crate) fn revoke_grant(&mut self, id: u64) -> bool {
        self.grants
            .get_mut(&id)
            .is_some_and(|grant| !std::mem::replace(&mut grant.revoked, true))
    }

    /// Ends all grants of a user, or everybody's. How many there were.
    pub(crate) fn revoke_all(&mut self, user: Option<&str>) -> usize {
        self.grants
            .values_mut()
            .filter(|grant| user.is_none_or(|user| grant.user == user))
            .filter_map(|grant| (!std::mem::replace(&mut grant.revoked, true)).then_some(()))
            .count()
    }

    /// Ends every access token now; refresh tokens stay good.
    pub(crate) fn expire_access(&mut self) {
        let now = self.clock.now_ms();
        for access in self.access.values_mut() {
            access.expires_ms = access.expires_ms.min(now);
        }
    }

    /// The user id and scopes behind a live access token.
    pub(crate) fn bearer(&self, token: &str) -> Option<(&str, Scopes)> {
        let access = self.access.get(&random::fingerprint(token))?;
        let grant = self.live(access)?;
        Some((grant.user.as_str(), access.scopes))
    }

    fn live(&self, access: &Access) -> Option<&Grant> {
        let grant = self.grants.get(&access.grant)?;
        let live = !access.revoked && !grant.revoked && access.expires_ms > self.clock.now_ms();
        live.then_some(grant)
    }

    /// Grants in force, oldest first, with their ids.
    pub(crate) fn in_force(&self) -> impl Iterator<Item = (u64, &Grant)> {
        self.grants
            .iter()
            .filter(|(_, grant)| !grant.revoked)
            .map(|(id, grant)| (*id, grant))
    }

    /// Access tokens and refresh tokens that would work now.
    pub(crate) fn live_tokens(&self) -> (usize, usize) {
        let access = self
            .access
            .iter()
            .filter(|(_, access)| self.live(access).is_some())
            .count();
        let refresh = self
            .refresh
            .iter()
            .filter(|(_, refresh)| {
                !refresh.used
                    && self
                        .grants
                        .get(&refresh.grant)
                        .is_some_and(|grant| !grant.revoked)
            })
            .count();
        (access, refresh)
    }
}

/// A pair of tokens, drawn before anything is changed: without randomness nothing happens.
struct Drawn {
    access: String,
    refresh: String,
}

impl Drawn {
    fn new() -> Result<Self, VendorError> {
        Ok(Self {
            access: random::token("vat_")?,
            refresh: random::token("vrt_")?,
        })
    }
}

/// RFC 7636, 4.1: 43 to 128 unreserved characters.
fn is_verifier(verifier: &str) -> bool {
    (43..=128).contains(&verifier.len())
        && verifier
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
}
