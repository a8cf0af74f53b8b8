//! Crashes in whichever export is called.

#![expect(clippy::panic, reason = "that is the attack")]

use keyport_sdk::{Failure, Host, Value};

pub fn run(_host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    panic!("on purpose")
}
