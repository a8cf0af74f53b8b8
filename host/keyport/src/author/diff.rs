//! `keyport diff`: what a new version of a manifest does to connections, automations and operators of the old one.
//!
//! Exit codes: 0 nothing breaks, 1 something does, 2 the call itself was wrong.

use std::path::PathBuf;

use clap::Args;
use keyport_manifest::{Report, diff};

use super::Outcome;
use super::bases::Bases;
use super::older::typed;
use super::output::{Format, OutputArguments, print};
use super::source::Source;

/// Flags of `diff`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The version that people have connected with: a manifest or an app's folder
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The version that is to replace it; `-` reads standard input
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Folders of apps that these may extend
    #[arg(long = "apps", value_name = "FOLDER")]
    apps: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputArguments,
}

/// Compares, and tells.
pub fn run(arguments: &Arguments) -> Outcome {
    let bases = Bases {
        folders: arguments.apps.clone(),
    };
    let old = typed(&Source::one(&arguments.old)?, &bases)?;
    let source = Source::one(&arguments.new)?;
    let new = typed(&source, &bases)?;
    let changes = diff::compare(&old, &new);
    if changes.is_empty() && arguments.output.format == Format::Human {
        let sentence = if old == new {
            "Both mean the same.".to_owned()
        } else {
            format!(
                "From {} to {}: nothing changes for connections, automations or operators.",
                old.version, new.version
            )
        };
        print(&format!("{sentence}\n"))?;
    }
    let mut report = Report {
        file: source.name.clone(),
        manifest: Some(new),
        findings: Vec::new(),
        suppressed: Vec::new(),
    };
    report.remark(&source.text, changes);
    arguments.output.tell(&[(report, &source)])
}
