//! Fills the host's memory with methods, hosts and paths that are never asked for.

use keyport_sdk::{Failure, Host, Value};

use crate::outgoing::{Fields, Method, OutgoingRequest, Scheme};

pub fn run(_host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let long = "a".repeat(1 << 20);
    let mut kept = Vec::new();
    for _ in 0..400 {
        let request = OutgoingRequest::new(Fields::new());
        let _ = match input.as_str().unwrap_or_default() {
            "method" => request.set_method(&Method::Other(long.clone())),
            "scheme" => request.set_scheme(Some(&Scheme::Other(long.clone()))),
            "path" => request.set_path_with_query(Some(&format!("/{long}"))),
            _ => request.set_authority(Some(&long)),
        };
        kept.push(request);
    }
    Ok(kept.len().into())
}
