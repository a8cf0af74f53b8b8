//! An OAuth client that this host registered by itself (RFC 7591).
//!
//! One for each owner, authorization server and callback address: two owners never share one, for whoever controls a server
//! could otherwise tell their people apart, or mix them up. Its id is made of those three, so that it is found without an
//! index and a second registration at the same time becomes the same record.

use keyport_vault::Kind;
use serde::{Deserialize, Serialize};

use super::{ClientKeys, Entity};
use crate::hidden::{self, Hidden};

pub(crate) struct Registration;

impl Entity for Registration {
    const KIND: Kind = Kind::new("registration");
    const PREFIX: &'static str = "reg_";
    const WHAT: &'static str = "registration";
    type Clear = RegistrationClear;
    type Sealed = RegistrationSealed;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RegistrationClear {
    pub(crate) created_at: i64,
    /// When its secret ends, in milliseconds; never, if not said.
    pub(crate) secret_until: Option<i64>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct RegistrationSealed {
    pub(crate) issuer: String,
    pub(crate) client: ClientKeys,
    /// What changes or removes the registration at the server (RFC 7592).
    #[serde(with = "hidden::option")]
    pub(crate) access_token: Option<Hidden>,
    pub(crate) uri: Option<String>,
}
