//! Everything that the vendor remembers, in memory and bounded: its accounts with their credentials, notes and messages,
//! its OAuth clients and grants, and what the control API has asked for.

use std::collections::VecDeque;

use serde::Serialize;

use crate::config::{Client, DemoCredentials, User, VendorConfig, VendorError};
use crate::faults::{Faults, Target};
use crate::grants::Grants;
use crate::hooks::Hooks;
use crate::random;
use crate::scopes::Scopes;
use crate::{MAX_USERS, redirects};

/// Entries one feed keeps; the oldest go.
const MAX_ENTRIES: usize = 500;

pub(crate) struct State {
    pub accounts: Vec<Account>,
    pub clients: Vec<Client>,
    pub grants: Grants,
    pub faults: Faults,
    pub hooks: Hooks,
    pub counters: Counters,
    /// The user who allows everything without being asked; set over the control API.
    pub auto_consent: Option<String>,
}

/// Requests so far, refused and injected ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counters {
    pub api_requests: u64,
    pub token_requests: u64,
    pub open_token_requests: u64,
    pub most_token_requests: u64,
    pub revoke_requests: u64,
}

impl Counters {
    pub(crate) fn count(&mut self, target: Target) {
        let counter = match target {
            Target::Api => &mut self.api_requests,
            Target::Token => &mut self.token_requests,
            Target::Revoke => &mut self.revoke_requests,
        };
        *counter = counter.saturating_add(1);
    }

    pub(crate) fn begin_token_request(&mut self) {
        self.open_token_requests = self.open_token_requests.saturating_add(1);
        self.most_token_requests = self.most_token_requests.max(self.open_token_requests);
    }

    pub(crate) fn end_token_request(&mut self) {
        self.open_token_requests = self.open_token_requests.saturating_sub(1);
    }
}

/// A user with what is theirs.
pub(crate) struct Account {
    pub user: User,
    pub credentials: DemoCredentials,
    pub notes: Feed,
    pub messages: Feed,
}

/// The four things a person can create, copy and revoke on the developer page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// `X-Api-Key`.
    ApiKey,
    /// A bearer token without an end.
    PersonalToken,
    /// Basic authentication.
    Password,
    /// Key id and secret of the signed API.
    SigningKey,
}

impl Account {
    fn new(user: User, now_ms: i64) -> Result<Self, VendorError> {
        let drawn = |given: &Option<String>, prefix| match given {
            Some(value) => Ok(Some(value.clone())),
            None => random::credential(prefix).map(Some),
        };
        let seed = &user.seed;
        let credentials = DemoCredentials {
            user_id: user.id.clone(),
            email: user.email.clone(),
            api_key: drawn(&seed.api_key, "vkey_")?,
            personal_token: drawn(&seed.personal_token, "vpat_")?,
            password: drawn(&seed.password, "")?,
            signing_key_id: drawn(&seed.signing_key_id, "vsk_")?,
            signing_secret: drawn(&seed.signing_secret, "vss_")?,
        };
        let mut notes = Feed::new("n_");
        notes.push(
            "Welcome to Vendora",
            "Notes that you write here show up in every app you connect.",
            now_ms,
        );
        notes.push("Shopping", "Tea, paper, a second pencil.", now_ms);
        let mut messages = Feed::new("m_");
        messages.push("", "Your signing key works.", now_ms);
        Ok(Self {
            user,
            credentials,
            notes,
            messages,
        })
    }

    /// Takes a credential away, or replaces it with a new random one.
    pub(crate) fn set_credential(
        &mut self,
        kind: CredentialKind,
        renew: bool,
    ) -> Result<(), VendorError> {
        let draw = |prefix| {
            if renew {
                random::credential(prefix).map(Some)
            } else {
                Ok(None)
            }
        };
        let own = &mut self.credentials;
        match kind {
            CredentialKind::ApiKey => own.api_key = draw("vkey_")?,
            CredentialKind::PersonalToken => own.personal_token = draw("vpat_")?,
            CredentialKind::Password => own.password = draw("")?,
            CredentialKind::SigningKey => {
                let (id, secret) = (draw("vsk_")?, draw("vss_")?);
                own.signing_key_id = id;
                own.signing_secret = secret;
            }
        }
        Ok(())
    }
}

/// One entry of a feed: a note, or a message (which has no title).
pub(crate) struct Entry {
    pub number: u64,
    pub title: String,
    pub body: String,
    pub at_ms: i64,
}

/// Entries under ascending numbers, written `n_000001` so that they also sort as text.
pub(crate) struct Feed {
    prefix: &'static str,
    last: u64,
    entries: VecDeque<Entry>,
}

impl Feed {
    fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            last: 0,
            entries: VecDeque::new(),
        }
    }

    /// Appends and returns the number.
    pub(crate) fn push(&mut self, title: &str, body: &str, at_ms: i64) -> u64 {
        self.last = self.last.saturating_add(1);
        self.entries.push_back(Entry {
            number: self.last,
            title: title.to_owned(),
            body: body.to_owned(),
            at_ms,
        });
        while self.entries.len() > MAX_ENTRIES {
            self.entries.pop_front();
        }
        self.last
    }

    pub(crate) fn id(&self, number: u64) -> String {
        format!("{}{number:06}", self.prefix)
    }

    /// The number in an id, with or without the prefix.
    pub(crate) fn number(&self, id: &str) -> Option<u64> {
        let digits = id.strip_prefix(self.prefix).unwrap_or(id);
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    }

    /// Up to `limit` entries after a number, oldest first, and whether there are more.
    pub(crate) fn after(&self, number: u64, limit: usize) -> (Vec<&Entry>, bool) {
        let mut rest = self.entries.iter().filter(|entry| entry.number > number);
        let page = rest.by_ref().take(limit).collect();
        (page, rest.next().is_some())
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.number == number)
    }
}

impl State {
    pub(crate) fn new(config: &VendorConfig) -> Result<Self, VendorError> {
        let mut state = Self {
            accounts: accounts(config)?,
            clients: Vec::new(),
            grants: Grants::new(config.clock.clone(), config.access_token_ttl),
            faults: Faults::default(),
            hooks: Hooks::default(),
            counters: Counters::default(),
            auto_consent: None,
        };
        for client in &config.clients {
            state.add_client(client)?;
        }
        Ok(state)
    }

    pub(crate) fn add_client(&mut self, client: &Client) -> Result<(), VendorError> {
        let printable = client.id.bytes().all(|byte| byte.is_ascii_graphic());
        if client.id.is_empty() || client.id.len() > 128 || !printable {
            return Err(VendorError::ClientId);
        }
        if client.secret.as_deref() == Some("") {
            return Err(VendorError::ClientSecret);
        }
        if self.client(&client.id).is_some() {
            return Err(VendorError::ClientId);
        }
        let mut own = Client {
            redirect_uris: Vec::new(),
            redirect_prefixes: Vec::new(),
            ..client.clone()
        };
        for uri in &client.redirect_uris {
            redirects::add_uri(&mut own, uri)?;
        }
        for prefix in &client.redirect_prefixes {
            redirects::add_prefix(&mut own, prefix)?;
        }
        self.clients.push(own);
        Ok(())
    }

    pub(crate) fn client(&self, id: &str) -> Option<&Client> {
        self.clients.iter().find(|client| client.id == id)
    }

    pub(crate) fn client_mut(&mut self, id: &str) -> Option<&mut Client> {
        self.clients.iter_mut().find(|client| client.id == id)
    }

    /// By id or e-mail address.
    pub(crate) fn account(&self, who: &str) -> Option<&Account> {
        self.accounts
            .iter()
            .find(|account| account.user.id == who || account.user.email == who)
    }

    pub(crate) fn account_mut(&mut self, who: &str) -> Option<&mut Account> {
        self.accounts
            .iter_mut()
            .find(|account| account.user.id == who || account.user.email == who)
    }

    /// Whose personal or OAuth token this is, and what it may do.
    pub(crate) fn by_bearer(&self, token: &str) -> Option<(&Account, Scopes)> {
        let personal = self.holder(|own| own.personal_token.as_deref(), token);
        if let Some(account) = personal {
            return Some((account, Scopes::ALL));
        }
        let (user, scopes) = self.grants.bearer(token)?;
        Some((self.account(user)?, scopes))
    }

    pub(crate) fn by_api_key(&self, key: &str) -> Option<&Account> {
        self.holder(|own| own.api_key.as_deref(), key)
    }

    pub(crate) fn by_password(&self, email: &str, password: &str) -> Option<&Account> {
        self.holder(|own| own.password.as_deref(), password)
            .filter(|account| account.user.email == email)
    }

    pub(crate) fn by_signing_key(&self, key_id: &str) -> Option<&Account> {
        self.holder(|own| own.signing_key_id.as_deref(), key_id)
    }

    /// The account whose credential is `value`. Every account is compared, in constant time each.
    fn holder(
        &self,
        credential: impl Fn(&DemoCredentials) -> Option<&str>,
        value: &str,
    ) -> Option<&Account> {
        self.accounts.iter().fold(None, |found, account| {
            let own = credential(&account.credentials);
            let matches = own.is_some_and(|own| !own.is_empty() && random::same(own, value));
            if matches { Some(account) } else { found }
        })
    }
}

fn accounts(config: &VendorConfig) -> Result<Vec<Account>, VendorError> {
    if config.users.is_empty() || config.users.len() > MAX_USERS {
        return Err(VendorError::Users);
    }
    let now = config.clock.now_ms();
    let mut accounts: Vec<Account> = Vec::new();
    for user in &config.users {
        let fresh = Account::new(user.clone(), now)?;
        for other in &accounts {
            if other.user.id == user.id || other.user.email == user.email {
                return Err(VendorError::Users);
            }
            let (a, b) = (&other.credentials, &fresh.credentials);
            let shared = [
                ("api key", a.api_key == b.api_key),
                ("personal token", a.personal_token == b.personal_token),
                ("password", a.password == b.password),
                ("signing key id", a.signing_key_id == b.signing_key_id),
            ];
            if let Some((what, _)) = shared.into_iter().find(|(_, same)| *same) {
                return Err(VendorError::SharedCredential { what });
            }
        }
        accounts.push(fresh);
    }
    Ok(accounts)
}
