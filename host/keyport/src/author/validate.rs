//! `keyport validate`: everything that is wrong with manifests, offline, in one run.
//!
//! Exit codes: 0 nothing wrong, 1 errors (or warnings with `--strict`), 2 the call itself was wrong.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use keyport_manifest::yaml::{self, book};
use keyport_manifest::{Report, diff};

use super::bases::Bases;
use super::older::Older;
use super::output::{Format, OutputArguments, print};
use super::source::Source;
use super::{Failure, Outcome, component, fixing};

/// Flags of `validate`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Manifests, app folders, folders of app folders; `-` reads standard input
    #[arg(required_unless_present = "explain", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Make the changes that are safe to make, and show them
    #[arg(long)]
    fix: bool,
    /// An older version, or a folder of them: also says what breaks for its connections
    #[arg(long, value_name = "OLD")]
    against: Option<PathBuf>,
    /// The component, if it is not `component.wasm` in the app's folder; for one manifest
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Folders of apps that these may extend
    #[arg(long = "apps", value_name = "FOLDER")]
    apps: Vec<PathBuf>,
    /// Say what a rule is for, with a wrong and a right example
    #[arg(long, value_name = "RULE", conflicts_with_all = ["against", "apps", "fix"])]
    explain: Option<String>,
    #[command(flatten)]
    output: OutputArguments,
}

/// Checks all, prints all.
pub fn run(arguments: &Arguments) -> Outcome {
    if let Some(rule) = &arguments.explain {
        return explain(rule);
    }
    let bases = Bases {
        folders: arguments.apps.clone(),
    };
    let mut sources = Source::all(&arguments.paths)?;
    if arguments.fix {
        for source in &mut sources {
            fixing::fix(source, arguments.output.format != Format::Human)?;
        }
    }
    let older = match &arguments.against {
        Some(path) => Some(Older::read(path, &bases)?),
        None => None,
    };
    let alone = sources.len() == 1;
    if arguments.component.is_some() && !alone {
        return Err(Failure::Said(
            "`--component` is for one manifest; without it, each app's own is looked at".to_owned(),
        ));
    }
    let reports: Result<Vec<(Report, &Source)>, Failure> = sources
        .iter()
        .map(|source| {
            let mut report = source.check(&bases);
            let older = older
                .as_ref()
                .zip(report.manifest.as_ref())
                .and_then(|(older, new)| Some(diff::compare(older.of(&new.id, alone)?, new)));
            let mut remarks = older.unwrap_or_default();
            if let Some(manifest) = &report.manifest {
                let file = arguments.component.clone();
                if let Some(file) = file.or_else(|| component::file_of(source, manifest)) {
                    remarks.extend(component::remarks(&file, manifest)?);
                }
            }
            report.remark(&source.text, remarks);
            Ok((report, source))
        })
        .collect();
    arguments.output.tell(&reports?)
}

fn explain(rule: &str) -> Outcome {
    if book::rule(rule).is_none() {
        return Err(Failure::Said(yaml::explain(rule).trim_end().to_owned()));
    }
    print(&yaml::explain(rule))?;
    Ok(ExitCode::SUCCESS)
}
