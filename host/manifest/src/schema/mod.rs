//! The JSON Schema of the manifest and the page that explains every key, both from the types and their doc comments.
//!
//! Editors complete and explain keys by the schema; people read the page. Neither is written by hand, so neither can say
//! what the parser does not read. The schema is what a schema can say: that names are declared, that secrets stay where
//! they belong and the like is `validate`'s.
//!
//! | file | what lives in it |
//! |---|---|
//! | `shapes.rs` | the shapes of values that are read by hand: templates, paths, short and long forms |
//! | `reference.rs` | the page |

mod reference;
mod shapes;

pub use reference::reference;
pub(crate) use shapes::OneOrMany;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::model::Manifest;

/// Where editors find the published schema, relative to an app's folder.
pub const FILE: &str = "manifest.schema.json";

/// The JSON Schema (draft 2020-12) of a manifest, format version 1.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema: Value = SchemaSettings::draft2020_12()
        .for_deserialize()
        .into_generator()
        .into_root_schema_for::<Manifest>()
        .into();
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), Value::from("Keyport manifest"));
        // An inherited key need not be repeated, and comes from the app that is extended.
        if let Some(Value::Object(properties)) = root.get_mut("properties")
            && let Some(Value::Object(version)) = properties.get_mut("manifest")
        {
            version.insert("const".to_owned(), Value::from(1));
        }
    }
    tidy(&mut schema);
    schema
}

/// Takes out what says nothing to an editor: number formats, and defaults that repeat "nothing".
fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map
                .get("type")
                .is_some_and(|t| t == "integer" || *t == serde_json::json!(["integer", "null"]))
            {
                map.remove("format");
                map.remove("maximum");
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
