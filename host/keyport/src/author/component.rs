//! What a component's file says of itself, without running it: V75, V76, V77, V79 and V80.
//!
//! A component lists what it imports and exports with full types, so most of what the host would refuse when it loads it is
//! known before. Nothing is compiled or instantiated here, so neither an engine nor trust in the component is needed; sizes
//! and start-up (V78) and its behaviour (V81) are looked at by `keyport test`.

mod shape;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use keyport_manifest::Manifest;
use keyport_manifest::yaml::Remark;
use wasmparser::{KnownCustom, Parser, Payload};
use wit_parser::decoding::{DecodedWasm, decode};

use super::Failure;
use super::source::Source;
use crate::asks::OUTGOING;
pub use shape::{Shape, WIT, wit};

/// As the host: the largest language runtime known is 20 MB.
const MAX_BYTES: u64 = 64 << 20;

/// Where a manifest names its component.
const PATH: &str = "component";

/// What the host links of WASI 0.2: packages with nothing in them (no files, no sockets, no environment), and two interfaces for
/// requests.
const WASI: &[&str] = &[
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    OUTGOING,
    "wasi:http/types",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// Hooks that componentize-py and componentize-qjs leave in a component for themselves; nobody calls them later.
pub const TOOLS: &[&str] = &["exports", "init"];

/// What is looked at here, and nothing else of a manifest.
pub const RULES: &[&str] = &["V75", "V76", "V77", "V79", "V80"];

/// The component of a manifest: the file that it names, or `component.wasm` beside it. `None` if it has none of its own.
pub fn file_of(source: &Source, manifest: &Manifest) -> Option<PathBuf> {
    let file = source.folder()?.join(manifest.component.file()?);
    file.is_file().then_some(file)
}

/// Everything that a component's file gives away.
///
/// # Errors
/// When it can't be read.
pub fn remarks(file: &Path, manifest: &Manifest) -> Result<Vec<Remark>, Failure> {
    let unreadable = |source| Failure::File {
        path: file.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .map_err(unreadable)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(judge(&bytes, manifest))
}

fn judge(bytes: &[u8], manifest: &Manifest) -> Vec<Remark> {
    let broken = |why: &str| {
        vec![
            Remark::error("V75", PATH, format!("the file is not a component: {why}"))
                .fix("build it for the target `wasm32-wasip2`"),
        ]
    };
    if bytes.len() as u64 > MAX_BYTES {
        return broken("it is larger than 64 MiB");
    }
    if !Parser::is_component(bytes) {
        return broken("it is a plain module or something else");
    }
    let shape = match decode(bytes) {
        Ok(DecodedWasm::Component(resolve, world)) => Shape::of(&resolve, world),
        Ok(DecodedWasm::WitPackage(..)) => return broken("it holds interfaces and no code"),
        Err(error) => return broken(&first_line(&error.to_string())),
    };
    let mut remarks = Vec::new();
    imports(&shape, &mut remarks);
    exports(&shape, manifest, &mut remarks);
    types(&shape, &mut remarks);
    secrets(&shape, manifest, &mut remarks);
    producers(bytes, &mut remarks);
    remarks
}

fn imports(shape: &Shape, remarks: &mut Vec<Remark>) {
    let own = Shape::own();
    for name in shape.imports.keys() {
        let (interface, version) = name.split_once('@').unwrap_or((name, ""));
        let wasi = WASI.iter().any(|p| interface.starts_with(p)) && version.starts_with("0.2.");
        let known = own.interface(interface).is_some();
        if !wasi && !known {
            let what = if interface.contains('/') {
                "which this host does not have"
            } else {
                "a function outside of any interface"
            };
            remarks.push(
                Remark::error(
                    "V75",
                    PATH,
                    format!("the component imports `{name}`, {what}; it would not be started"),
                )
                .fix("import from `wit/` alone; requests go through `keyport:provider/http`"),
            );
        } else if interface == OUTGOING {
            remarks.push(Remark::note(
                "V75",
                PATH,
                format!(
                    "the component imports `{name}` (`fetch`): such requests go the way of `http`, to the same hosts and with the \
                     same credentials"
                ),
            ));
        }
    }
    let sockets = |name: &&String| name.starts_with("wasi:sockets/");
    if shape.imports.keys().any(|name| sockets(&name)) {
        remarks.push(Remark::note(
            "V75",
            PATH,
            "the component imports `wasi:sockets`: there are no sockets, every use of them fails",
        ));
    }
}

fn exports(shape: &Shape, manifest: &Manifest, remarks: &mut Vec<Remark>) {
    let has = |name: &str| shape.export(name).is_some();
    let listed = |names: Vec<&String>| {
        let all: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        all.join(", ")
    };
    let actions: Vec<&String> = manifest
        .actions
        .iter()
        .filter(|(_, a)| a.code)
        .map(|(id, _)| id)
        .collect();
    let triggers: Vec<&String> = manifest
        .triggers
        .iter()
        .filter(|(_, t)| t.code)
        .map(|(id, _)| id)
        .collect();
    if !has("keyport:provider/connection") {
        remarks.push(
            Remark::error(
                "V76",
                PATH,
                "the component does not export `connection`, which every component has",
            )
            .fix("export `keyport:provider/connection`, whose `check` makes the test call"),
        );
    }
    for (what, interface, code) in [
        ("actions", "keyport:provider/actions", actions),
        ("triggers", "keyport:provider/triggers", triggers),
    ] {
        if !code.is_empty() && !has(interface) {
            remarks.push(
                Remark::error(
                    "V76",
                    what,
                    format!(
                        "{} done by code, but the component does not export `{what}`",
                        are(&listed(code.clone()), code.len())
                    ),
                )
                .fix(format!(
                    "export `{interface}`, or give them a `request` instead of `code: true`"
                )),
            );
        }
        if code.is_empty() && has(interface) {
            remarks.push(
                Remark::warning(
                    "V76",
                    PATH,
                    format!("the component exports `{what}`, but the manifest has none with `code: true`; nobody can review or call them"),
                )
                .fix(format!("list them under `{what}`, or do not export the interface")),
            );
        }
    }
    for name in shape.exports.keys() {
        let interface = name.split('@').next().unwrap_or(name);
        if TOOLS.contains(&interface) {
            continue;
        }
        if Shape::own().interface(interface).is_none() {
            remarks.push(Remark::warning(
                "V76",
                PATH,
                format!("the component exports `{name}`, which no host calls"),
            ));
        }
    }
}

fn are(names: &str, count: usize) -> String {
    if count == 1 {
        format!("{names} is")
    } else {
        format!("{names} are")
    }
}

/// Every function that both sides know must have the same type on both.
fn types(shape: &Shape, remarks: &mut Vec<Remark>) {
    let own = Shape::own();
    for (side, interfaces) in [("imports", &shape.imports), ("exports", &shape.exports)] {
        for (name, functions) in interfaces {
            let (interface, version) = name.split_once('@').unwrap_or((name, ""));
            let Some((ours, expected)) = own.interface(interface) else {
                continue;
            };
            let our_version = ours.split_once('@').map_or("", |(_, version)| version);
            if version != our_version {
                remarks.push(
                    Remark::error(
                        "V77",
                        PATH,
                        format!("the component {side} version {version} of `{interface}`; this host has {our_version}"),
                    )
                    .fix("build it against `wit/` of this version of Keyport"),
                );
                continue;
            }
            for (function, shape) in functions {
                let problem = match expected.get(function) {
                    Some(known) if known == shape => continue,
                    Some(known) => format!("has the type `{shape}` and should have `{known}`"),
                    None => "is not there on this host".to_owned(),
                };
                remarks.push(
                    Remark::error(
                        "V77",
                        PATH,
                        format!(
                            "`{function}` of `{interface}`, which the component {side}, {problem}"
                        ),
                    )
                    .fix("build it against `wit/` of this version of Keyport"),
                );
            }
            if side == "exports" {
                for function in expected
                    .keys()
                    .filter(|name| !functions.contains_key(*name))
                {
                    remarks.push(Remark::error(
                        "V77",
                        PATH,
                        format!(
                            "the component exports `{interface}` without its function `{function}`"
                        ),
                    ));
                }
            }
        }
    }
}

fn secrets(shape: &Shape, manifest: &Manifest, remarks: &mut Vec<Remark>) {
    let asks = shape
        .imports
        .keys()
        .any(|name| name.starts_with("keyport:provider/secrets"));
    if asks && manifest.handles.is_empty() && manifest.recipes.is_empty() {
        remarks.push(
            Remark::warning(
                "V79",
                PATH,
                "the component imports `secrets`, but the manifest declares no `handles` and no `recipes`, so it gets nothing there",
            )
            .fix("declare what it needs and where it may stand, or do not import the interface"),
        );
    }
}

/// The section in which compilers and bindings generators leave their names.
fn producers(bytes: &[u8], remarks: &mut Vec<Remark>) {
    let mut fields: Vec<String> = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let Ok(payload) = payload else { return };
        if let Payload::CustomSection(section) = &payload
            && let KnownCustom::Producers(reader) = section.as_known()
        {
            fields.extend(
                reader
                    .into_iter()
                    .flatten()
                    .map(|field| field.name.to_owned()),
            );
        }
    }
    let missing: Vec<&str> = ["language", "processed-by"]
        .into_iter()
        .filter(|name| !fields.iter().any(|field| field == name))
        .collect();
    if !missing.is_empty() {
        remarks.push(
            Remark::warning(
                "V80",
                PATH,
                format!("the component does not say what it was built with (no `{}` in its producers section)", missing.join("`, `")),
            )
            .fix("keep the producers section when the component is stripped, so that somebody else can build it again"),
        );
    }
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests;
