use keyport_manifest::{Manifest, Severity};
use serde_json::{Value, json};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

use super::*;

/// A component with the imports and exports of a world of ours, and code that only traps.
fn component(world: &str, more: &str) -> Vec<u8> {
    let mut resolve = shape::wit().unwrap().0;
    let package = resolve
        .push_str(
            "app.wit",
            &format!("package test:app;\n{more}\nworld app {{ {world} }}"),
        )
        .unwrap();
    encoded(&resolve, package)
}

fn encoded(resolve: &Resolve, package: wit_parser::PackageId) -> Vec<u8> {
    let world = resolve.select_world(&[package], Some("app")).unwrap();
    let mut module = dummy_module(resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .encode()
        .unwrap()
}

fn manifest(extra: Value) -> Manifest {
    let mut base = json!({
        "manifest": 1, "id": "a", "name": "A", "version": "1.0.0", "summary": "S.", "component": "component.wasm",
        "api": {"base_url": "https://api.acme.test"},
        "auth": {"key": {"type": "bearer", "label": "Key"}},
        "test": {"code": true}
    });
    base.as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    serde_json::from_value(base).unwrap()
}

fn said(bytes: &[u8], extra: Value) -> Vec<(&'static str, String)> {
    judge(bytes, &manifest(extra))
        .into_iter()
        // Made by hand, these have no compiler to name.
        .filter(|r| r.rule != "V80" && r.severity != Severity::Note)
        .map(|r| (r.rule, r.message))
        .collect()
}

const PROVIDER: &str = "include keyport:provider/provider@1.0.0;";

fn action() -> Value {
    json!({"actions": {"go": {"title": "Go", "description": "Goes.", "effect": "read", "code": true,
        "input": {"type": "object"}, "output": {"type": "object"}}}})
}

#[test]
fn a_component_of_our_world_has_nothing_said_about_it() {
    assert_eq!(
        said(
            &component(
                "import keyport:provider/http@1.0.0; export keyport:provider/connection@1.0.0;",
                ""
            ),
            json!({})
        ),
        []
    );
    assert_eq!(
        said(
            &component(
                "export keyport:provider/connection@1.0.0; export keyport:provider/actions@1.0.0;",
                ""
            ),
            action()
        ),
        []
    );
}

#[test]
fn what_is_no_component_is_told_so() {
    for bytes in [
        &b""[..],
        b"\0asm\x01\0\0\0",
        b"hello",
        b"\0asm\x0d\0\x01\0\xff\xff",
    ] {
        let said = said(bytes, json!({}));
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(said[0].0, "V75");
    }
}

#[test]
fn an_import_that_no_host_has_is_found() {
    let bytes = component(
        "import disk; export keyport:provider/connection@1.0.0;",
        "interface disk { wipe: func(); }",
    );
    let said = said(&bytes, json!({}));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].0 == "V75" && said[0].1.contains("test:app/disk"),
        "{said:?}"
    );
}

/// The interfaces of `wasi:http` with as little in them as a name needs.
fn fetching(interface: &str) -> Vec<u8> {
    let mut resolve = shape::wit().unwrap().0;
    let wasi = format!("package wasi:http@0.2.10;\ninterface {interface} {{ go: func(); }}");
    resolve.push_str("http.wit", &wasi).unwrap();
    let app = format!(
        "package test:app;\nworld app {{ import wasi:http/{interface}@0.2.10; export keyport:provider/connection@1.0.0; }}"
    );
    let package = resolve.push_str("app.wit", &app).unwrap();
    encoded(&resolve, package)
}

#[test]
fn requests_by_the_standard_are_taken_and_told_and_serving_is_not() {
    let bytes = fetching("outgoing-handler");
    assert_eq!(said(&bytes, json!({})), []);
    let notes: Vec<String> = judge(&bytes, &manifest(json!({})))
        .into_iter()
        .filter(|remark| remark.severity == Severity::Note)
        .map(|remark| remark.message)
        .collect();
    assert!(
        notes
            .iter()
            .any(|note| note.contains("wasi:http/outgoing-handler@0.2.10")
                && note.contains("the same credentials")),
        "{notes:?}"
    );
    assert!(crate::asks::fetches(&bytes));
    assert!(!crate::asks::fetches(&component(PROVIDER, "")));
    // A component with one import, whose name is of no kind that there is: what it asks for cannot be told.
    assert!(crate::asks::fetches(b"\0asm\x0d\0\x01\0\x0a\x02\x01\xff"));
    let serving = said(&fetching("incoming-handler"), json!({}));
    assert!(
        serving.len() == 1 && serving[0].1.contains("wasi:http/incoming-handler"),
        "{serving:?}"
    );
}

#[test]
fn component_and_manifest_must_agree_on_what_there_is() {
    let without = component("export keyport:provider/connection@1.0.0;", "");
    let missing = said(&without, action());
    assert!(
        missing[0].0 == "V76" && missing[0].1.contains("`go` is done by code"),
        "{missing:?}"
    );
    let with = component(
        "export keyport:provider/connection@1.0.0; export keyport:provider/actions@1.0.0;",
        "",
    );
    let idle = said(&with, json!({}));
    assert!(
        idle[0].0 == "V76" && idle[0].1.contains("exports `actions`"),
        "{idle:?}"
    );
    let nothing = component("import keyport:provider/http@1.0.0;", "");
    assert!(
        said(&nothing, json!({}))[0]
            .1
            .contains("does not export `connection`")
    );
}

#[test]
fn another_version_or_another_type_of_our_interfaces_is_found() {
    let other = |version: &str, check: &str| {
        let mut resolve = Resolve::default();
        let package = resolve
            .push_str(
                "app.wit",
                &format!("package keyport:provider@{version};\ninterface connection {{ {check} }}\nworld app {{ export connection; }}"),
            )
            .unwrap();
        said(&encoded(&resolve, package), json!({}))
    };
    let old = other("0.9.0", "check: func();");
    assert!(
        old[0].0 == "V77" && old[0].1.contains("version 0.9.0"),
        "{old:?}"
    );
    let shape = other("1.0.0", "check: func() -> string;");
    assert!(
        shape[0].0 == "V77" && shape[0].1.contains("func() -> string"),
        "{shape:?}"
    );
}

#[test]
fn asking_for_secrets_that_the_manifest_does_not_declare_is_pointless() {
    let bytes = component(PROVIDER, "");
    // The dummy imports only what the world says, so `secrets` is there.
    let said = said(&bytes, json!({}));
    assert!(said.iter().any(|(rule, _)| *rule == "V79"), "{said:?}");
}

#[test]
fn a_component_that_hides_its_compiler_is_asked_for_it() {
    let bytes = component("export keyport:provider/connection@1.0.0;", "");
    let told = judge(&bytes, &manifest(json!({})));
    assert!(
        told.iter()
            .any(|r| r.rule == "V80" && r.message.contains("language")),
        "{told:?}"
    );
}

/// A component as an example of the book describes it.
fn of_example(told: &Value) -> Vec<u8> {
    let text = |key: &str| told.get(key).and_then(Value::as_str).unwrap_or_default();
    let (world, beside) = (text("world"), text("beside"));
    let mut bytes = match text("package") {
        "" => component(world, beside),
        package => {
            let mut resolve = Resolve::default();
            let text = format!("package {package};\n{beside}\nworld app {{ {world} }}");
            let package = resolve.push_str("app.wit", &text).unwrap();
            encoded(&resolve, package)
        }
    };
    if let Some(producers) = told.get("producers").and_then(Value::as_object) {
        bytes.extend(section(producers));
    }
    bytes
}

/// The custom section `producers` (https://github.com/WebAssembly/tool-conventions/blob/main/ProducersSection.md).
fn section(producers: &serde_json::Map<String, Value>) -> Vec<u8> {
    // No text here is longer than what one byte of LEB128 holds.
    let short = |n: usize| u8::try_from(n).ok().filter(|n| *n < 0x80).unwrap();
    let name = |text: &str| {
        let mut out = vec![short(text.len())];
        out.extend_from_slice(text.as_bytes());
        out
    };
    let mut content = name("producers");
    content.push(short(producers.len()));
    for (field, values) in producers {
        let values = values.as_object().unwrap();
        content.extend(name(field));
        content.push(short(values.len()));
        for (value, version) in values {
            content.extend(name(value));
            content.extend(name(version.as_str().unwrap()));
        }
    }
    let mut out = vec![0, short(content.len())];
    out.extend(content);
    out
}

#[test]
fn each_rule_about_components_fires_on_its_bad_example_and_not_on_its_good_one() {
    use keyport_manifest::yaml::book::{Example, Layer, rules};
    let told = |example: &Example| {
        let manifest = keyport_manifest::parse("m.yaml", &example.manifest().unwrap()).unwrap();
        judge(&of_example(example.component.as_ref().unwrap()), &manifest)
    };
    let fires = |id: &str, example: &Example| {
        told(example)
            .iter()
            .any(|remark| remark.rule == id && remark.severity != Severity::Note)
    };
    let mut tried = 0;
    for rule in rules().filter(|rule| rule.layer == Layer::Component) {
        assert!(fires(&rule.id, rule.bad.as_ref().unwrap()), "{}", rule.id);
        assert!(!fires(&rule.id, rule.good.as_ref().unwrap()), "{}", rule.id);
        let mut said = String::new();
        for remark in told(rule.bad.as_ref().unwrap()) {
            if remark.rule == rule.id {
                let severity = remark.severity.as_str();
                said += &format!("{severity} at {}: {}\n", remark.path, remark.message);
                said += &format!("  = {}\n", remark.fix.unwrap_or_default());
            }
        }
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(rule.id.as_str(), said);
        });
        tried += 1;
    }
    assert_eq!(tried, 4);
}
