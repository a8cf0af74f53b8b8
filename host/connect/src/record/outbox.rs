//! Where events are sent, and each sending, as they are kept.

use keyport_vault::Kind;
use serde::{Deserialize, Serialize};

use super::Entity;
use crate::hidden::{self, Hidden};
use crate::view::{AttemptView, DeliveryState};

pub(crate) struct Endpoint;

impl Entity for Endpoint {
    const KIND: Kind = Kind::new("endpoint");
    const PREFIX: &'static str = "whk_";
    const WHAT: &'static str = "webhook";
    type Clear = EndpointClear;
    type Sealed = EndpointSealed;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EndpointClear {
    pub(crate) description: String,
    /// Kinds of events, whole or with a star at the end; empty: all.
    pub(crate) kinds: Vec<String>,
    pub(crate) enabled: bool,
    /// Why it is not, where that was not the operator's wish.
    pub(crate) disabled_because: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// An address may hold a token of the platform's, so it is sealed.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct EndpointSealed {
    #[serde(with = "hidden::text")]
    pub(crate) url: Hidden,
    /// 32 bytes in base64.
    #[serde(with = "hidden::text")]
    pub(crate) secret: Hidden,
    /// The one before, which signs beside it for a while.
    #[serde(with = "hidden::option")]
    pub(crate) before: Option<Hidden>,
    pub(crate) before_until: i64,
}

pub(crate) struct Delivery;

impl Entity for Delivery {
    const KIND: Kind = Kind::new("delivery");
    const PREFIX: &'static str = "dlv_";
    const WHAT: &'static str = "delivery";
    type Clear = DeliveryClear;
    type Sealed = ();
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DeliveryClear {
    pub(crate) endpoint: String,
    /// What is sent: an event (`evt_`) or a trigger's (`tev_`).
    pub(crate) event: String,
    pub(crate) kind: String,
    pub(crate) state: DeliveryState,
    pub(crate) created_at: i64,
    /// When it is tried next; its row in the timetable has the same time.
    pub(crate) due: Option<i64>,
    /// How often it was tried.
    pub(crate) tried: u32,
    /// The last tries.
    pub(crate) attempts: Vec<AttemptView>,
}
