//! The contract's growth: a component that was built against a released version runs on, and no shape that was released
//! changes.
//!
//! `tests/fixtures/contract-<version>` holds the files of `wit/` as they were released, and `whole.wasm`: the guest
//! `guests/whole`, built then. A new minor version adds a folder; no folder ever changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use keyport_plugin::Exports;
use serde_json::json;
use wit_parser::Resolve;

use crate::support::{KEY, Upstream, call, host};

#[path = "../../../keyport/src/author/component/shape.rs"]
#[allow(
    dead_code,
    reason = "the reader of components is used for the shapes alone"
)]
mod shape;

fn released() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("contract-")
        })
        .collect();
    all.sort();
    assert!(!all.is_empty(), "no version was released");
    all
}

/// Interface, without its version → function → its type, written out.
fn shapes(texts: &[(String, String)]) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut map = wit_parser::SourceMap::default();
    for (name, text) in texts {
        map.push_str(name, text.clone());
    }
    let mut resolve = Resolve::default();
    let group = map.parse().map_err(|(_, error)| error).unwrap();
    let package = resolve.push_group(group).unwrap();
    let world = resolve.select_world(&[package], Some("complete")).unwrap();
    let shape = shape::Shape::of(&resolve, world);
    shape
        .imports
        .into_iter()
        .chain(shape.exports)
        .map(|(name, functions)| (name.split('@').next().unwrap().to_owned(), functions))
        .collect()
}

fn texts(folder: &Path) -> Vec<(String, String)> {
    ["types.wit", "imports.wit", "exports.wit", "worlds.wit"]
        .map(|name| {
            (
                name.to_owned(),
                std::fs::read_to_string(folder.join(name)).unwrap(),
            )
        })
        .to_vec()
}

/// What of the old contract the new one has changed or lost.
fn broken(old: &[(String, String)], new: &[(String, String)]) -> Vec<String> {
    let (old, new) = (shapes(old), shapes(new));
    let mut broken = Vec::new();
    for (interface, functions) in old {
        let Some(now) = new.get(&interface) else {
            broken.push(format!("the interface {interface} is gone"));
            continue;
        };
        for (name, was) in functions {
            match now.get(&name) {
                None => broken.push(format!("{interface}.{name} is gone")),
                Some(is) if *is != was => {
                    broken.push(format!("{interface}.{name} was {was} and is {is}"))
                }
                Some(_) => {}
            }
        }
    }
    broken
}

#[test]
fn no_released_shape_has_changed() {
    let current = texts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit"));
    for folder in released() {
        let broken = broken(&texts(&folder), &current);
        assert!(
            broken.is_empty(),
            "components built against {} would no longer run:\n{}",
            folder.display(),
            broken.join("\n")
        );
    }
}

#[test]
fn a_change_of_any_shape_is_noticed_and_growth_is_not() {
    let old = texts(&released()[0]);
    let with = |from: &str, to: &str| {
        let mut new = old.clone();
        let hit: usize = new
            .iter_mut()
            .map(|(_, text)| {
                let found = text.matches(from).count();
                *text = text.replace(from, to);
                found
            })
            .sum();
        assert_eq!(hit, 1, "`{from}` stands {hit} times in the contract");
        broken(&old, &new)
    };
    for (from, to) in [
        // A field more, a case more, a parameter more, another type, another name, a function gone.
        ("label: string,", "label: string, picture: option<string>,"),
        ("not-found(note),", "not-found(note), gone(note),"),
        (
            "handle: func(name: string)",
            "handle: func(name: string, slot: string)",
        ),
        ("retry-after-ms: option<u64>", "retry-after-ms: option<u32>"),
        ("cursor: option<json>", "since: option<json>"),
        ("value: func(name: string) -> option<string>;", ""),
        (
            "connected: func() -> result<json, failure>;",
            "connected: func() -> result<account, failure>;\n  use types.{account};",
        ),
    ] {
        assert!(!with(from, to).is_empty(), "`{to}` was not noticed");
    }
    assert_eq!(
        with(
            "value: func(name: string) -> option<string>;",
            "value: func(name: string) -> option<string>; more: func() -> bool;"
        ),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_component_built_against_a_released_version_still_runs() {
    for folder in released() {
        let wasm = std::fs::read(folder.join("whole.wasm")).unwrap();
        let app = host().load("whole", &wasm).await.unwrap();
        let upstream = Upstream::start().await;
        assert_eq!(
            app.exports(),
            Exports {
                lifecycle: true,
                actions: true,
                triggers: true,
                exchange: true
            }
        );
        assert_eq!(app.check(call(&upstream).0).await.unwrap().label, "Ann");
        let input = json!({ "a": [1, null, "é"] });
        assert_eq!(
            app.action(call(&upstream).0, "echo", &input).await.unwrap(),
            input
        );
        let seen = app
            .action(call(&upstream).0, "context", &input)
            .await
            .unwrap();
        assert_eq!(seen["region"], "eu");
        let sent = app.action(call(&upstream).0, "send", &input).await.unwrap();
        assert_eq!(sent["line"], "POST /items");
        app.action(call(&upstream).0, "place", &input)
            .await
            .unwrap();
        let placed = upstream.arrived().pop().unwrap();
        assert_eq!(placed.headers["x-key"], KEY);
        let signature = &placed.headers["x-signature"];
        let yes = app
            .action(call(&upstream).0, "verify", &json!(signature))
            .await
            .unwrap();
        assert_eq!(yes, true);
        let page = app
            .poll(call(&upstream).0, "t", &input, Some(&json!(2)))
            .await
            .unwrap();
        assert_eq!(
            (page.events.len(), page.cursor, page.more),
            (2, json!(3), false)
        );
        let found = app.connected(call(&upstream).0).await.unwrap();
        assert_eq!(found["workspace"], "GET /workspace");
        app.disconnecting(call(&upstream).0).await.unwrap();
        assert_eq!(upstream.arrived().pop().unwrap().line, "POST /goodbye");
    }
}
