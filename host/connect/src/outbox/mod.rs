//! Events are sent to the platform: Standard Webhooks, an outbox, tries again, and a log of them.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`endpoint`] | where events are sent: addresses, kinds, secrets |
//! | [`fill`] | an event becomes a delivery for each endpoint that wants it, once |
//! | [`deliver`] | what is due is sent; what is not accepted is tried again, for three days |
//! | [`sign`] | the signature that the platform checks |
//!
//! A delivery is written in the same commit as the event that it is of (triggers), or found by its event's id (all others), so none
//! is lost or made twice; it is *sent* at least once, and `webhook-id` tells a repetition. Order is not promised.
//!
//! Threats: somebody else posts to the platform (signatures over id, time and body), an old delivery is posted again (the time in
//! it), an address inside the operator's network (egress, step 4; https only), an endpoint that hangs (15 s) or redirects (refused).

mod deliver;
mod endpoint;
mod fill;
mod sign;

use keyport_vault::Kind;

pub(crate) use fill::Filled;

use crate::timetable::Timetable;

/// When deliveries are tried.
const DUE: Timetable = Timetable(Kind::new("delivery_due"));
