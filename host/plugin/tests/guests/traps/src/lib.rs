//! Its test call crashes: what a person and a platform see of that is tested from outside.

#![expect(clippy::panic, reason = "that is what this guest is for")]

use keyport_sdk::{Account, Failure, Host, Provider};

/// The guest.
pub struct Traps;

keyport_sdk::export!(Traps);

impl Provider for Traps {
    fn check(_host: &dyn Host) -> Result<Account, Failure> {
        panic!("on purpose")
    }
}
