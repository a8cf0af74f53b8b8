//! Two requests at once: one that its co-operating app answers only when the other has brought it a secret.

use keyport_sdk::{Failure, Host, Value, json};

use crate::outgoing::{self, Method};

pub fn run(host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let waits = input["waits"].as_str().unwrap_or_default();
    let early = match outgoing::to_app(&Method::Get, waits, &Vec::new())
        .and_then(|request| outgoing::send(request, None))
    {
        Ok(future) => future,
        Err(error) => return Ok(json!({ "refused": error })),
    };
    // Not before the first has arrived: what the host knew then does not hold the secret.
    outgoing::get("/hold-until-one");
    let key = host.handle("key")?;
    let late = outgoing::to_app(&Method::Get, "/me", &vec![("x-key".to_owned(), key.into_bytes())])
        .and_then(|request| outgoing::whole(request, None));
    let early = outgoing::wait(&early).and_then(|answer| outgoing::answered(&answer));
    Ok(json!({ "early": outgoing::told(early), "late": outgoing::told(late) }))
}
