//! What the templates of one request get to see.

use keyport_manifest::{Scope, Template};
use keyport_sdk::{Host, Value, json};

/// The public values that these templates name, and the time. Only named values are asked for: the host offers no list,
/// and a value that it does not give is missing, so that rendering fails with the expression's name.
pub fn scope(host: &dyn Host, templates: &[&Template]) -> Scope {
    let mut scope = Scope::new();
    scope.set("now", json!(host.unix_time()));
    for reference in templates.iter().flat_map(|template| template.refs()) {
        let Some(name) = reference.name() else {
            continue;
        };
        let value = match reference.root.as_str() {
            "fields" | "credentials" | "capture" => host.value(name),
            "account" | "variant" => host.value(&format!("{}.{name}", reference.root)),
            _ => None,
        };
        if let Some(value) = value {
            scope.set_value(&reference.root, name, Value::String(value));
        }
    }
    scope
}
