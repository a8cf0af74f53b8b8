//! A session as it is kept.

use keyport_vault::Kind;
use serde::{Deserialize, Serialize};

use super::Entity;
use crate::view::SessionKind;

pub(crate) struct Session;

impl Entity for Session {
    const KIND: Kind = Kind::new("session");
    const PREFIX: &'static str = "ses_";
    const WHAT: &'static str = "session";
    type Clear = SessionClear;
    type Sealed = SessionSealed;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SessionStatus {
    Created,
    Opened,
    Completed,
    Closed,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SessionClear {
    pub(crate) kind: SessionKind,
    pub(crate) status: SessionStatus,
    pub(crate) created_at: i64,
    /// Until when the link opens it, then until when it may be idle.
    pub(crate) idle_until: i64,
    /// Until when it lasts at most.
    pub(crate) expires_at: i64,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SessionSealed {
    /// Hash of the link's token.
    pub(crate) token: String,
    /// Hash of the cookie, once it is opened.
    pub(crate) cookie: Option<String>,
    pub(crate) owner_label: String,
    pub(crate) apps: Option<Vec<String>>,
    pub(crate) connection_id: Option<String>,
    pub(crate) purpose: Option<String>,
    pub(crate) origins: Vec<String>,
    pub(crate) return_url: Option<String>,
    /// Whether its link was sent to somebody, so that its page asks before it opens.
    #[serde(default)]
    pub(crate) link: bool,
    /// What the platform's backend may take over.
    pub(crate) completion: Option<CompletionRecord>,
}

/// See [`SessionSealed::completion`].
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CompletionRecord {
    /// Hash of the one-time code.
    pub(crate) code: String,
    pub(crate) connection_id: String,
    pub(crate) until: i64,
}
