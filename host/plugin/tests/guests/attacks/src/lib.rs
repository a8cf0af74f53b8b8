//! Hostile programs, a file each. An action's name, or the public value `attack`, says which one runs.
//!
//! `list.rs` names them all, for this guest and for the tests.

#![expect(
    clippy::indexing_slicing,
    reason = "of JSON, where what is missing reads as null; a trap would be this guest's own end"
)]

use keyport_sdk::{Account, Failure, Host, Page, Provider, Refusal, Response, Value, json};

mod bindings;
mod outgoing;

/// The guest.
pub struct Attacks;

keyport_sdk::export!(Attacks, actions, triggers, lifecycle, exchange);

macro_rules! programs {
    ($($name:ident,)*) => {
        $(mod $name;)*

        fn program(name: &str, host: &dyn Host, input: Value) -> Result<Value, Failure> {
            match name {
                $(stringify!($name) => $name::run(host, input),)*
                other => Err(Failure::not_found(format!("there is no program {other}"))),
            }
        }
    };
}
include!("list.rs");

fn chosen(host: &dyn Host) -> Result<String, Failure> {
    host.required("attack")
}

impl Provider for Attacks {
    fn check(host: &dyn Host) -> Result<Account, Failure> {
        let told = program(&chosen(host)?, host, Value::Null)?;
        Ok(Account {
            extra: told,
            ..Account::new("1", "attacked")
        })
    }

    fn run(host: &dyn Host, action: &str, input: Value) -> Result<Value, Failure> {
        program(action, host, input)
    }

    fn poll(
        host: &dyn Host,
        trigger: &str,
        input: Value,
        _cursor: Option<Value>,
    ) -> Result<Page, Failure> {
        Ok(Page {
            events: vec![program(trigger, host, input)?],
            cursor: Value::Null,
            more: false,
        })
    }

    fn connected(host: &dyn Host) -> Result<Value, Failure> {
        program(&chosen(host)?, host, Value::Null)
    }

    fn disconnecting(host: &dyn Host) -> Result<Value, Failure> {
        program(&chosen(host)?, host, Value::Null)
    }

    fn exchange(host: &dyn Host, _step: &str, input: Value) -> Result<Value, Failure> {
        program(&chosen(host)?, host, input)
    }
}

/// What came of a request, as JSON.
fn told(result: Result<Response, Refusal>) -> Value {
    match result {
        Ok(answer) => {
            json!({ "status": answer.status, "body": String::from_utf8_lossy(&answer.body), "headers": answer.headers })
        }
        Err(refusal) => {
            json!({ "refused": refusal.code, "say": refusal.say, "transient": refusal.transient })
        }
    }
}
