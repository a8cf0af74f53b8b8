//! An app configuration as it is kept.

use keyport_vault::Kind;
use serde::{Deserialize, Serialize};

use super::Entity;
use crate::hidden::{self, Hidden};
use crate::view::GrantsView;

pub(crate) struct Configuration;

impl Entity for Configuration {
    const KIND: Kind = Kind::new("configuration");
    const PREFIX: &'static str = "cfg_";
    const WHAT: &'static str = "configuration";
    type Clear = ConfigurationClear;
    type Sealed = ConfigurationSealed;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ConfigurationClear {
    pub(crate) app: String,
    pub(crate) name: String,
    pub(crate) default: bool,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct ConfigurationSealed {
    pub(crate) client_id: Option<String>,
    #[serde(with = "hidden::option")]
    pub(crate) client_secret: Option<Hidden>,
    /// What the app signs its events with, where it sends those of all connections to one address.
    #[serde(default, with = "hidden::option")]
    pub(crate) webhook_secret: Option<Hidden>,
    /// Origin patterns that the client's secret may go to.
    pub(crate) origins: Vec<String>,
    /// What the app calls the callback's address, where it gives each a name of its own.
    #[serde(default)]
    pub(crate) redirect_alias: Option<String>,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) methods: Option<Vec<String>>,
    pub(crate) grants: GrantsView,
}
