//! `keyport schema`: the JSON Schema of the manifest for editors, or the page that explains every key.

use std::process::ExitCode;

use super::Outcome;

#[derive(clap::Args)]
pub struct Arguments {
    /// Print the reference page (Markdown) instead
    #[arg(long)]
    reference: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    print!("{}", text(arguments.reference));
    Ok(ExitCode::SUCCESS)
}

fn text(reference: bool) -> String {
    if reference {
        keyport_manifest::schema::reference()
    } else {
        format!("{:#}\n", keyport_manifest::schema::json_schema())
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use serde_json::Value;

    fn manifests() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests")
    }

    /// With `KEYPORT_WRITE=1` the published files are written anew.
    #[test]
    fn the_published_schema_and_page_are_what_the_types_say() {
        for (file, reference) in [("manifest.schema.json", false), ("REFERENCE.md", true)] {
            let path = manifests().join(file);
            if std::env::var_os("KEYPORT_WRITE").is_some() {
                std::fs::write(&path, super::text(reference)).unwrap();
            }
            let published = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                published == super::text(reference),
                "manifests/{file} is not what the types say; write it anew with `KEYPORT_WRITE=1 cargo test -p keyport published`"
            );
        }
    }

    #[test]
    fn every_manifest_here_fits_the_schema_and_a_wrong_one_does_not() {
        let schema = jsonschema::validator_for(&keyport_manifest::schema::json_schema()).unwrap();
        let mut seen = 0;
        for folder in std::fs::read_dir(manifests()).unwrap() {
            let file = folder.unwrap().path().join("manifest.yaml");
            let Ok(text) = std::fs::read_to_string(&file) else {
                continue;
            };
            let tree: Value = serde_yaml::from_str(&text).unwrap();
            // What an app inherits is not in its file.
            if tree.get("extends").is_some() {
                continue;
            }
            let wrong: Vec<String> = schema
                .iter_errors(&tree)
                .map(|e| format!("{}: {e}", e.instance_path()))
                .collect();
            assert!(wrong.is_empty(), "{}: {wrong:#?}", file.display());
            for (pointer, damage) in [
                ("/name", Value::from(7)),
                ("/auth", Value::from("x")),
                ("/api/base_url", Value::Null),
            ] {
                let mut broken = tree.clone();
                *broken.pointer_mut(pointer).unwrap() = damage;
                assert!(!schema.is_valid(&broken), "{}: {pointer}", file.display());
            }
            let mut unknown = tree.clone();
            unknown["sumary"] = Value::from("x");
            assert!(
                !schema.is_valid(&unknown),
                "{}: an unknown key",
                file.display()
            );
            seen += 1;
        }
        assert!(seen >= 10, "{seen} manifests");
    }

    #[test]
    fn every_key_is_explained() {
        fn silent(at: &str, value: &Value, found: &mut Vec<String>) {
            if let Some(properties) = value.get("properties").and_then(Value::as_object) {
                // A form with one key may be explained as a whole.
                let whole = properties.len() == 1 && value.get("description").is_some();
                for (key, property) in properties.iter().filter(|_| !whole) {
                    let told = property.get("description").is_some()
                        || property.get("$ref").is_some()
                        || property.get("const").is_some();
                    if !told {
                        found.push(format!("{at}.{key}"))
                    }
                }
            }
            match value {
                Value::Object(map) => map
                    .iter()
                    .for_each(|(key, inner)| silent(&format!("{at}/{key}"), inner, found)),
                Value::Array(items) => items.iter().for_each(|inner| silent(at, inner, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        silent("", &keyport_manifest::schema::json_schema(), &mut found);
        assert!(found.is_empty(), "keys without a word: {found:#?}");
    }
}
