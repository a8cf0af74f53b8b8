//! Makes up handles: of a request, a body and an answer that nobody gave it, and uses what it kept of the call before.

#![expect(
    unsafe_code,
    reason = "the number is checked by the host, and that is what is tried"
)]

use std::cell::RefCell;

use keyport_sdk::{Failure, Host, Value};

use crate::outgoing::{self, FutureIncomingResponse, IncomingResponse, Method};

thread_local! {
    static KEPT: RefCell<Option<FutureIncomingResponse>> = const { RefCell::new(None) };
}

pub fn run(_host: &dyn Host, input: Value) -> Result<Value, Failure> {
    match input.as_u64() {
        Some(number) => {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            // SAFETY: a number that stands for nothing ends this guest and touches nothing else.
            let made_up = unsafe { IncomingResponse::from_handle(number) };
            Ok(made_up.status().into())
        }
        None => KEPT.with(|kept| {
            if let Some(future) = kept.borrow_mut().take() {
                return Ok(outgoing::told(outgoing::answered(&outgoing::wait(&future).map_err(Failure::other)?)));
            }
            let request = outgoing::to_app(&Method::Get, "/me", &Vec::new()).map_err(Failure::other)?;
            *kept.borrow_mut() = outgoing::send(request, None).ok();
            Ok("kept".into())
        }),
    }
}
