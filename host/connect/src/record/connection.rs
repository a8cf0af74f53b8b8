//! A connection as it is kept.

use indexmap::IndexMap;
use keyport_vault::Kind;
use serde::{Deserialize, Serialize};

use super::{Entity, Stored};
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::hidden::{self, Hidden};
use crate::view::{AccountView, ConnectionState, Reason};

pub(crate) struct Connection;

impl Entity for Connection {
    const KIND: Kind = Kind::new("connection");
    const PREFIX: &'static str = "con_";
    const WHAT: &'static str = "connection";
    type Clear = ConnectionClear;
    type Sealed = ConnectionSealed;

    async fn brought_up(
        engine: &Engine,
        stored: Stored<Self>,
    ) -> Result<Stored<Self>, ConnectError> {
        // Rare, and on the heap: every reader would otherwise carry its state along.
        if engine.is_as_expected(&stored) {
            return Ok(stored);
        }
        Box::pin(engine.migrated(stored)).await
    }
}

/// What a listing shows and what a disconnect leaves.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ConnectionClear {
    pub(crate) app: String,
    pub(crate) method: String,
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) account: Option<AccountView>,
    pub(crate) state: ConnectionState,
    pub(crate) reason: Option<Reason>,
    pub(crate) enabled: bool,
    pub(crate) config: Option<String>,
    pub(crate) imported: bool,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) last_used_at: Option<i64>,
    pub(crate) last_tested_at: Option<i64>,
    pub(crate) expires_at: Option<i64>,
    /// The version of the manifest that its values are of; absent for what was made before versions were written down.
    #[serde(default)]
    pub(crate) version: Option<String>,
    /// Failures in a row and since when: what makes it `failing`.
    pub(crate) failures: u32,
    pub(crate) failing_since: Option<i64>,
    /// A refresh that was begun: durable before the request leaves, gone with its answer.
    pub(crate) refresh: Option<RefreshIntent>,
    /// No refresh before this time, after the token endpoint could not be reached.
    pub(crate) refresh_not_before: Option<i64>,
    /// Refreshes in a row that failed without a verdict.
    #[serde(default)]
    pub(crate) refresh_failures: u32,
    /// When its token was obtained.
    #[serde(default)]
    pub(crate) token_at: Option<i64>,
    /// When its refresh token dies if nobody uses it, as far as that is known.
    #[serde(default)]
    pub(crate) idle_until: Option<i64>,
    /// When its grant ends whatever is done, as far as that is known.
    #[serde(default)]
    pub(crate) ends_at: Option<i64>,
    /// Whether its token can be renewed without its person.
    #[serde(default)]
    pub(crate) renews: bool,
    /// Scopes that were asked for and not granted, as far as the app says what it granted.
    #[serde(default)]
    pub(crate) missing_scopes: Vec<String>,
    /// The time of its row in the due-index.
    #[serde(default)]
    pub(crate) due: Option<i64>,
    /// A fresh sign-in of this other connection; takes its place once it is tested. Never listed.
    pub(crate) replaces: Option<String>,
    /// The flow that made it, until it counts.
    pub(crate) flow: Option<String>,
    /// Until when the platform's backend may take it over.
    pub(crate) awaiting: Option<Awaiting>,
    /// Until when its first test call is retried.
    pub(crate) retry_until: Option<i64>,
}

/// See [`ConnectionClear::refresh`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefreshIntent {
    pub(crate) at: i64,
    /// The token that it would replace.
    pub(crate) generation: u64,
    /// An earlier attempt with this token ended without an answer.
    pub(crate) interrupted: bool,
}

/// See [`ConnectionClear::awaiting`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Awaiting {
    pub(crate) session: String,
    pub(crate) until: i64,
}

/// Everything that could be a secret.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct ConnectionSealed {
    /// The app's fields, as parsed.
    #[serde(with = "hidden::map")]
    pub(crate) fields: IndexMap<String, Hidden>,
    /// The auth method's fields, as parsed.
    #[serde(with = "hidden::map")]
    pub(crate) credentials: IndexMap<String, Hidden>,
    /// The OAuth grant.
    pub(crate) token: Option<Token>,
    /// Further tokens of the same grant, by their names in the manifest.
    #[serde(default)]
    pub(crate) tokens: IndexMap<String, Token>,
    /// Where its OAuth client talks to, where that was found out: pinned when the person signed in.
    #[serde(default)]
    pub(crate) endpoints: Option<super::Endpoints>,
    /// The OAuth 1.0a grant.
    #[serde(default)]
    pub(crate) oauth1: Option<Oauth1Token>,
    /// The session that a log-in began, where the way to sign in has sessions; its values are among the captures.
    #[serde(default)]
    pub(crate) session: Option<SessionLife>,
    /// Steps of discovery that are done.
    #[serde(default)]
    pub(crate) discovered: Vec<String>,
    /// What the person has to choose before discovery goes on.
    #[serde(default)]
    pub(crate) question: Option<Question>,
    /// Declared captures of token and callback answers, of a session's log-in and of discovery.
    #[serde(with = "hidden::map")]
    pub(crate) capture: IndexMap<String, Hidden>,
    /// Granted scopes.
    pub(crate) scopes: Vec<String>,
    /// Scopes that were asked for when the person agreed.
    #[serde(default)]
    pub(crate) asked: Vec<String>,
    /// Hosts that calls may go to, as resolved when the person agreed.
    pub(crate) hosts: Vec<String>,
    /// What the test call said beside id and label.
    pub(crate) account_extra: serde_json::Value,
}

/// An OAuth 1.0a grant: it does not end by itself and is not renewed.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Oauth1Token {
    #[serde(with = "hidden::text")]
    pub(crate) token: Hidden,
    #[serde(with = "hidden::text")]
    pub(crate) secret: Hidden,
}

/// How long a session lasts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SessionLife {
    /// When it began.
    pub(crate) obtained_at: i64,
    /// When it ends; absent: the app says so with a 401.
    pub(crate) expires_at: Option<i64>,
    /// Counts up with every log-in.
    pub(crate) generation: u64,
}

/// What an app listed, for the person to choose from.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Question {
    /// The step of discovery that asks.
    pub(crate) step: String,
    pub(crate) options: Vec<QuestionOption>,
}

/// One of the options, and what is kept if it is chosen.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct QuestionOption {
    pub(crate) label: String,
    #[serde(with = "hidden::map")]
    pub(crate) capture: IndexMap<String, Hidden>,
}

impl ConnectionSealed {
    /// Which token or session this is, where the way to sign in has such: what a refusal of the app is about.
    pub(crate) fn generation(&self) -> Option<u64> {
        let token = self.token.as_ref().map(|token| token.generation);
        token.or_else(|| self.session.as_ref().map(|session| session.generation))
    }
}

/// An OAuth grant.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Token {
    #[serde(with = "hidden::text")]
    pub(crate) access: Hidden,
    #[serde(with = "hidden::option")]
    pub(crate) refresh: Option<Hidden>,
    /// When the access token ends; absent: neither its answer nor the manifest says (see [`crate::alive`]).
    pub(crate) expires_at: Option<i64>,
    /// When it was obtained.
    pub(crate) obtained_at: i64,
    /// When its refresh token dies if nobody uses it, as far as that is known.
    #[serde(default)]
    pub(crate) idle_until: Option<i64>,
    /// When the grant ends whatever is done, as far as that is known.
    #[serde(default)]
    pub(crate) ends_at: Option<i64>,
    /// Counts up with every answer of the token endpoint.
    pub(crate) generation: u64,
}
