//! One-time tickets for callbacks that a provider sends as a form POST (`response_mode=form_post`).
//!
//! A cross-site POST carries no `SameSite=Lax` cookie, so the browser check can't run there. The POST
//! handler therefore keeps only the form, for 60 seconds and one use, and sends the browser on to a GET of
//! our own, where the cookie is present.
//!
//! Threats: filling memory (bounded; the oldest gives way) and guessing (128 random bits). Left out: several
//! machines. Behind a load balancer, callbacks need to stick to one machine for those 60 seconds.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a browser may take to follow the redirect.
const LIFETIME: Duration = Duration::from_secs(60);
/// So many sign-ins may be between POST and GET at once; each holds at most the callback body limit.
const CAPACITY: usize = 1024;

/// The parameters of a callback, in order, duplicates kept.
pub(crate) type Params = Vec<(String, String)>;

#[derive(Default)]
pub(crate) struct Tickets {
    kept: Mutex<VecDeque<Ticket>>,
}

struct Ticket {
    id: String,
    until: Instant,
    params: Params,
}

impl Tickets {
    /// Keeps `params` under a new random id.
    pub(crate) fn keep(&self, params: Params, now: Instant) -> Result<String, getrandom::Error> {
        let id = crate::random_id("")?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|ticket| ticket.until > now);
        if kept.len() >= CAPACITY {
            kept.pop_front();
        }
        kept.push_back(Ticket {
            id: id.clone(),
            until: now + LIFETIME,
            params,
        });
        Ok(id)
    }

    /// Takes out what was kept; `None` if it is unknown, used or too old.
    pub(crate) fn take(&self, id: &str, now: Instant) -> Option<Params> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|ticket| ticket.id == id)?;
        kept.remove(at)
            .filter(|ticket| ticket.until > now)
            .map(|ticket| ticket.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> Params {
        vec![("code".to_owned(), "c".to_owned())]
    }

    #[test]
    fn a_ticket_works_once() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let id = tickets.keep(params(), now).unwrap();
        assert_eq!(tickets.take(&id, now), Some(params()));
        assert_eq!(tickets.take(&id, now), None);
    }

    #[test]
    fn a_ticket_ends_after_a_minute() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let id = tickets.keep(params(), now).unwrap();
        assert_eq!(tickets.take(&id, now + LIFETIME), None);
    }

    #[test]
    fn a_flood_of_callbacks_takes_bounded_memory() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let first = tickets.keep(params(), now).unwrap();
        for _ in 0..CAPACITY {
            tickets.keep(params(), now).unwrap();
        }
        assert_eq!(tickets.kept.lock().unwrap().len(), CAPACITY);
        assert_eq!(tickets.take(&first, now), None);
    }
}
