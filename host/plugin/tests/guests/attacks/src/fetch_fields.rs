//! Fills the host's memory with headers that are never sent: one map, many maps, copies that are changed, values by the thousand.

use keyport_sdk::{Failure, Host, Value};

use crate::outgoing::Fields;

pub fn run(_host: &dyn Host, input: Value) -> Result<Value, Failure> {
    let mut kept = Vec::new();
    let large = vec![b'y'; 4_000];
    match input.as_str().unwrap_or_default() {
        "one" => {
            let fields = Fields::new();
            (0..40_000).for_each(|n| {
                let _ = fields.append(&format!("x-{n}"), b"");
            });
            kept.push(fields);
        }
        "many" => {
            for _ in 0..900 {
                let fields = Fields::new();
                for n in 0..20 {
                    let _ = fields.append(&format!("x-{n}"), &large);
                }
                kept.push(fields);
            }
        }
        "copies" => {
            let fields = Fields::new();
            for n in 0..20 {
                let _ = fields.append(&format!("x-{n}"), &large);
            }
            for _ in 0..900 {
                let copy = fields.clone();
                let _ = copy.append("x", b"changed");
                kept.push(copy);
            }
        }
        "values" => {
            let fields = Fields::new();
            let _ = fields.set("x", &vec![Vec::new(); 40_000]);
            kept.push(fields);
        }
        "again" => {
            let fields = Fields::new();
            for _ in 0..40_000 {
                let _ = fields.set("x", std::slice::from_ref(&large));
            }
            kept.push(fields);
        }
        _ => (0..40_000).for_each(|_| kept.push(Fields::new())),
    }
    Ok(kept.len().into())
}
