//! One line of the audit trail as it is kept. It has no secret, so it is not sealed.

use keyport_vault::Kind;
use serde::{Deserialize, Serialize};

use super::Entity;

pub(crate) struct Event;

impl Entity for Event {
    const KIND: Kind = Kind::new("event");
    const PREFIX: &'static str = "evt_";
    const WHAT: &'static str = "event";
    type Clear = EventClear;
    type Sealed = ();
}

/// That an event is about this owner: a row under the owner with the event's own id, so that an owner's events are found without
/// reading everybody's.
pub(crate) struct OwnersEvent;

impl Entity for OwnersEvent {
    const KIND: Kind = Kind::new("owners_event");
    const PREFIX: &'static str = "evt_";
    const WHAT: &'static str = "row of the index of events";
    type Clear = ();
    type Sealed = ();
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EventClear {
    pub(crate) at: i64,
    pub(crate) kind: String,
    pub(crate) actor: String,
    pub(crate) owner: Option<String>,
    pub(crate) app: Option<String>,
    pub(crate) connection_id: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) say: Option<String>,
}
