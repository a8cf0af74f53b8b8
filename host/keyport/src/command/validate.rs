//! `keyport validate`: everything that is wrong with manifests, offline, in one run.
//!
//! Exit codes: 0 nothing wrong, 1 errors (or warnings with `--strict`), 2 the call itself was wrong.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use keyport_manifest::{FolderFacts, Report, Severity, check};

use super::{Failure, Outcome};

/// A manifest is read up to here; the check itself then says that it is too large.
const READ_MAX_BYTES: u64 = 16 << 20;

/// Flags of `validate`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Manifests, app folders, folders of app folders; `-` reads standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Warnings count as errors
    #[arg(long)]
    strict: bool,
}

/// Checks all, prints all.
pub fn run(arguments: &Arguments) -> Outcome {
    let mut manifests = Vec::new();
    for path in &arguments.paths {
        collect(path, &mut manifests)?;
    }
    let colour = std::io::stdout().is_terminal();
    let (mut errors, mut warnings) = (0, 0);
    for manifest in &manifests {
        let (name, text) = read(manifest)?;
        let report = validate(manifest, &name, &text);
        for finding in &report.findings {
            match finding.severity {
                Severity::Error => errors += 1,
                Severity::Warning => warnings += 1,
                Severity::Note => {}
            }
        }
        print!("{}", report.render(&text, colour));
    }
    let failed = errors > 0 || (arguments.strict && warnings > 0);
    println!(
        "{} checked: {}, {}",
        count(manifests.len(), "manifest"),
        count(errors, "error"),
        count(warnings, "warning")
    );
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn validate(path: &Path, name: &str, text: &str) -> Report {
    let folder = path
        .parent()
        .filter(|_| path.file_name().is_some_and(|file| file == "manifest.yaml"));
    match folder {
        Some(folder) => check(name, text, Some(&FolderFacts::read(folder))),
        None => check(name, text, None),
    }
}

/// Every manifest at or below `path`.
fn collect(path: &Path, into: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if path == Path::new("-") || path.is_file() {
        into.push(path.to_owned());
        return Ok(());
    }
    let apps = crate::wiring::app_folders(path)?;
    into.extend(apps.into_iter().map(|app| app.join("manifest.yaml")));
    Ok(())
}

fn read(path: &Path) -> Result<(String, String), Failure> {
    let file = |source| Failure::File {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let name = if path == Path::new("-") {
        std::io::stdin()
            .take(READ_MAX_BYTES)
            .read_to_end(&mut bytes)
            .map_err(file)?;
        "standard input".to_owned()
    } else {
        std::fs::File::open(path)
            .and_then(|open| open.take(READ_MAX_BYTES).read_to_end(&mut bytes))
            .map_err(file)?;
        path.display().to_string()
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::Said(format!(
            "{name} is not UTF-8 (at byte {at}); save it as UTF-8"
        ))
    })?;
    Ok((name, text))
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
