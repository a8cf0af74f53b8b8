//! A platform key as it is kept: its hash.

use keyport_vault::Kind;
use serde::{Deserialize, Serialize};

use super::Entity;
use crate::view::KeyScope;

pub(crate) struct Key;

impl Entity for Key {
    const KIND: Kind = Kind::new("key");
    const PREFIX: &'static str = "key_";
    const WHAT: &'static str = "key";
    type Clear = KeyClear;
    type Sealed = KeySealed;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeyClear {
    pub(crate) name: String,
    pub(crate) scopes: Vec<KeyScope>,
    pub(crate) created_at: i64,
    pub(crate) last_used_at: Option<i64>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct KeySealed {
    /// SHA-256 of the secret.
    pub(crate) hash: String,
}
