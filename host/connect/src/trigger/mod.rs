//! Triggers that are subscribed for a connection: the app is asked now and then, or it calls; what is new is handed on once.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`subscription`] | subscribe, list, pause, resume, end |
//! | [`poll`] | the schedule, and one look at an app |
//! | [`found`] | what was found becomes events: new ones only, in one commit with the place where to go on |
//! | [`events`] | the events, for whoever asks instead of being sent them |
//! | [`vendor`] | telling an app where to send events, and that it should stop |
//! | [`incoming`] | what an app sends to a subscription's own address: whether it is the app's, its handshake |
//! | [`app_hook`] | what it sends to one address for all connections: whether it is the app's, whom it reaches |
//! | [`route`] | the subscriptions that such a call is about |
//!
//! An event is handed on when it is in the store, with its deliveries ([`crate::outbox`]); a crash before leaves the cursor where it
//! was, a crash after finds the event's key among those that are known. So each is handed on once, and sent at least once.
//!
//! Left out: events that an app deletes or lists no more before it was asked again. Ask more often, or use a webhook.

mod app_hook;
mod events;
mod found;
mod incoming;
mod poll;
mod route;
mod subscription;
mod vendor;

pub use incoming::{HookAnswer, HookCall};

use keyport_vault::Kind;

use crate::timetable::Timetable;

/// When subscriptions are looked at.
pub(crate) const DUE: Timetable = Timetable(Kind::new("subscription_due"));
