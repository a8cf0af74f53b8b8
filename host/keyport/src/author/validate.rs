//! `keyport validate`: everything that is wrong with manifests, offline, in one run.
//!
//! Exit codes: 0 nothing wrong, 1 errors (or warnings with `--strict`), 2 the call itself was wrong.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use keyport_manifest::{Severity, check};

use super::source::Source;
use super::{Outcome, count};

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
    let colour = std::io::stdout().is_terminal();
    let (mut errors, mut warnings) = (0, 0);
    let sources = Source::all(&arguments.paths)?;
    for source in &sources {
        let report = check(&source.name, &source.text, source.facts().as_ref());
        for finding in &report.findings {
            match finding.severity {
                Severity::Error => errors += 1,
                Severity::Warning => warnings += 1,
                Severity::Note => {}
            }
        }
        print!("{}", report.render(&source.text, colour));
    }
    let failed = errors > 0 || (arguments.strict && warnings > 0);
    println!(
        "{} checked: {}, {}",
        count(sources.len(), "manifest"),
        count(errors, "error"),
        count(warnings, "warning")
    );
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
