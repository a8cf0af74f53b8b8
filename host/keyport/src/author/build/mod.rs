//! `keyport build`: an app's `component/` becomes its `component.wasm`, in Rust, JavaScript or Python.
//!
//! The language is told by what lies there: `Cargo.toml`, `package.json`, or `app.py`. Each build first puts the kit of this
//! program into `component/keyport/`: the contract (`wit/`) and the language's SDK, so that an author installs nothing of ours
//! and what is built fits the host that built it. Then the language's own tool runs, and what came out is looked at as
//! `validate` does: size, imports, exports, and what the app asks for.
//!
//! | file | what it is for |
//! |---|---|
//! | `kit` | the contract and the SDKs, as files |
//! | `world` | which interfaces the component exports: what the manifest lists with `code: true` |
//! | `types` | the contract as TypeScript types |
//! | `tools` | running cargo, npm and pip |
//! | `watch` | building again whenever the source changes |
//!
//! The threat: building runs what the folder says (cargo's build scripts, npm's scripts of the author's own). It is for an
//! author's own app; `keyport app install` says so before it builds somebody else's. What is run sees no variable of this program,
//! and the kit and the component are written through no link that leads out of the folder.

mod kit;
mod tools;
mod types;
mod watch;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use keyport_manifest::{Component, Manifest};

use super::bases::Bases;
use super::component::{self, Shape};
use super::source::Source;
use super::{Failure, Outcome, count};
use crate::asks;

use kit::Kit;
pub use kit::Lang;
use watch::Watch;

/// Flags of `build`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The app's folder
    #[arg(default_value = ".", value_name = "FOLDER")]
    folder: PathBuf,
    /// Only put the contract and the SDK into component/keyport/, for editors and the tests of the language
    #[arg(long)]
    kit: bool,
    /// Build again whenever the source changes; `keyport dev` beside it loads the app again
    #[arg(long, conflicts_with = "kit")]
    watch: bool,
}

/// What was built.
pub struct Built {
    /// The file.
    pub file: PathBuf,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it was built with.
    pub lang: Lang,
}

/// Builds, and says what came out.
pub fn run(arguments: &Arguments) -> Outcome {
    let source = Source::one(&arguments.folder)?;
    let manifest = manifest(&source)?;
    if arguments.kit {
        let (folder, lang) = of(&arguments.folder, &manifest)?;
        let kit = put_kit(&arguments.folder, &folder, &manifest, lang)?;
        let at = folder.join(kit::FOLDER);
        println!("wrote {kit} files to {}", at.display());
        return Ok(ExitCode::SUCCESS);
    }
    // What changes while the first build runs is a change.
    let watch = arguments
        .watch
        .then(|| Watch::new(&arguments.folder, &manifest));
    let (built, watch) = match (build(&arguments.folder, &manifest), watch) {
        (Ok(built), watch) => (built, watch),
        (Err(error), None) => return Err(error),
        // Whoever watches is about to mend it.
        (Err(error), Some(watch)) => {
            println!("{error}");
            watch.run(|line| println!("{line}"))
        }
    };
    let shape = Shape::of_bytes(&built.bytes).unwrap_or_default();
    println!(
        "built {} from {}: {} KB",
        built.file.display(),
        built.lang.name(),
        built.bytes.len().div_ceil(1024)
    );
    for (title, names) in [("Imports", &shape.imports), ("Exports", &shape.exports)] {
        println!("\n{title}:");
        for line in packages(names.keys().map(String::as_str)) {
            println!("  {line}");
        }
    }
    println!();
    let code = asks::Code {
        sha256: None,
        fetches: asks::fetches(&built.bytes),
    };
    let parts = asks::parts(&manifest, Some(&code));
    print!("{}", asks::text(&manifest, &parts, None));
    // Everything that the file gives away, at its place in the manifest; the rest of the manifest is `validate`'s.
    let mut report = source.check(&Bases::default());
    report.remark(&source.text, component::remarks(&built.file, &manifest)?);
    let all = report.findings.len();
    report
        .findings
        .retain(|it| component::RULES.contains(&it.rule));
    let (others, failed) = (all - report.findings.len(), report.has_errors());
    println!();
    if !report.findings.is_empty() {
        super::output::OutputArguments::default().tell(&[(report, &source)])?;
    }
    let folder = arguments.folder.display();
    if others > 0 {
        println!(
            "{} about the manifest: keyport validate {folder}",
            count(others, "remark")
        );
    }
    if let Some(watch) = watch {
        watch.run(|line| println!("{line}"));
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        println!("Next: keyport test {folder}");
        ExitCode::SUCCESS
    })
}

/// Names of interfaces by their packages, one line each: `wasi:cli@0.2.6: environment, exit`.
fn packages<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut all: Vec<(String, Vec<&str>)> = Vec::new();
    for name in names.filter(|name| !component::TOOLS.contains(name)) {
        let (interface, version) = name.split_once('@').unwrap_or((name, ""));
        let (package, interface) = interface.split_once('/').unwrap_or((interface, ""));
        let package = match version {
            "" => package.to_owned(),
            version => format!("{package}@{version}"),
        };
        match all.last_mut().filter(|(known, _)| *known == package) {
            Some((_, interfaces)) => interfaces.push(interface),
            None => all.push((package, vec![interface])),
        }
    }
    let line = |(package, interfaces): (String, Vec<&str>)| {
        let what = match package.split(':').next() {
            Some("wasi") if package.starts_with("wasi:sockets") => " (none here)",
            Some("wasi") if package.starts_with("wasi:filesystem") => " (empty here)",
            _ => "",
        };
        match interfaces.join(", ") {
            names if names.is_empty() => package,
            names => format!("{package}{what}: {names}"),
        }
    };
    all.into_iter().map(line).collect()
}

/// The manifest, if it holds. What lies beside it (a logo, fixtures) is no matter of building.
fn manifest(source: &Source) -> Result<Manifest, Failure> {
    let bases = Bases::default();
    keyport_manifest::parse_with(&source.name, &source.text, &|id| bases.text(source, id)).map_err(
        |_| {
            Failure::Said(format!(
                "{} has errors; `keyport validate` shows them",
                source.name
            ))
        },
    )
}

/// Builds the component of the app in `folder`.
///
/// # Errors
/// Nothing to build, a tool that is not there, or what the tool said.
pub fn build(folder: &Path, manifest: &Manifest) -> Result<Built, Failure> {
    let (component, lang) = of(folder, manifest)?;
    put_kit(folder, &component, manifest, lang)?;
    let made = match lang {
        Lang::Rust => tools::rust(&component)?,
        Lang::Js | Lang::Ts => tools::js(&component)?,
        Lang::Python => tools::python(&component)?,
    };
    let file = folder.join(manifest.component.file().unwrap_or(Component::BUILT));
    // Whoever reads it meanwhile (`dev`) sees the old one or the new one.
    let half = file.with_extension("wasm.new");
    kit::inside(folder, &half)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Failure::File { path, source }
    };
    let bytes = std::fs::read(&made).map_err(failed(&made))?;
    std::fs::write(&half, &bytes).map_err(failed(&half))?;
    std::fs::rename(&half, &file).map_err(failed(&file))?;
    Ok(Built { file, bytes, lang })
}

/// Whether the app in `folder` has source of its own.
#[cfg_attr(
    not(feature = "host"),
    allow(dead_code, reason = "only who installs asks")
)]
pub fn has_source(folder: &Path, manifest: &Manifest) -> bool {
    of(folder, manifest).is_ok()
}

/// The folder of the source, and its language.
fn of(folder: &Path, manifest: &Manifest) -> Result<(PathBuf, Lang), Failure> {
    let source = match &manifest.component {
        Component::Path(_) => folder.join(manifest.component.source().unwrap_or(Component::SOURCE)),
        Component::Rest => {
            return Err(Failure::Said(format!(
                "{} has `component: rest`: it has no code of its own, and nothing is to be built",
                manifest.id
            )));
        }
        Component::Provider(name) => {
            return Err(Failure::Said(format!(
                "{} is served by the component {name} of this program; name a path, such as component.wasm, to have your own",
                manifest.id
            )));
        }
    };
    let lang = Lang::of(&source).ok_or_else(|| {
        Failure::Said(format!(
            "{} holds neither a Cargo.toml (Rust), a package.json (JavaScript, TypeScript) nor an app.py (Python); `keyport new --lang` \
             writes a first one",
            source.display()
        ))
    })?;
    Ok((source, lang))
}

/// Puts the kit into the component of a new app.
///
/// # Errors
/// A file that cannot be written.
pub fn kit_for(folder: &Path) -> Result<(), Failure> {
    let source = Source::one(folder)?;
    let manifest = manifest(&source)?;
    let (component, lang) = of(folder, &manifest)?;
    put_kit(folder, &component, &manifest, lang)?;
    Ok(())
}

/// Puts the kit into the component of the app in `folder`.
fn put_kit(
    folder: &Path,
    component: &Path,
    manifest: &Manifest,
    lang: Lang,
) -> Result<usize, Failure> {
    let own = component.join(world::FILE);
    let world = match std::fs::read_to_string(&own) {
        Ok(text) => text,
        Err(_) => world::of(manifest),
    };
    let kit = Kit::new(lang, &world)?;
    kit.write(folder, component)?;
    Ok(kit.files.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_told_by_their_packages() {
        let names = [
            "exports",
            "keyport:provider/context@1.0.0",
            "keyport:provider/http@1.0.0",
            "wasi:filesystem/types@0.2.9",
            "wasi:sockets/tcp@0.2.9",
            "stray",
        ];
        assert_eq!(
            packages(names.into_iter()),
            [
                "keyport:provider@1.0.0: context, http",
                "wasi:filesystem@0.2.9 (empty here): types",
                "wasi:sockets@0.2.9 (none here): tcp",
                "stray"
            ]
        );
    }
}
