//! `keyport validate`: everything that is wrong with manifests, in one run; offline, unless `--net` is given.
//!
//! Exit codes: 0 nothing wrong, 1 errors (or warnings with `--strict`), 2 the call itself was wrong.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use keyport_manifest::yaml::render::{Told, summary};
use keyport_manifest::yaml::{self, Remark, book};
use keyport_manifest::{Report, diff};

use super::bases::Bases;
use super::older::Older;
use super::output::{Format, OutputArguments, print};
use super::source::Source;
use super::{Failure, Outcome, component, fixing, neighbours, net};

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
    #[arg(long, value_name = "RULE", conflicts_with_all = ["against", "apps", "fix", "net", "summary"])]
    explain: Option<String>,
    /// Also sum up what of the language each app uses, and what its own component does
    #[arg(long)]
    summary: bool,
    #[command(flatten)]
    net: net::NetArguments,
    #[command(flatten)]
    output: OutputArguments,
}

/// Checks all, prints all.
pub fn run(arguments: &Arguments) -> Outcome {
    if let Some(rule) = &arguments.explain {
        return explain(rule);
    }
    if arguments.summary && matches!(arguments.output.format, Format::Sarif | Format::Github) {
        return Err(Failure::Said(
            "`--summary` is for people; `--format json` has the same as `uses`".to_owned(),
        ));
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
    let mut reports = reports?;
    beside_each_other(&mut reports);
    if arguments.net.net {
        on_the_network(&mut reports, &arguments.net)?;
    }
    let ended = arguments.output.tell(&reports)?;
    if arguments.summary && arguments.output.format == Format::Human {
        let told: Vec<Told<'_>> = reports
            .iter()
            .map(|(report, source)| Told {
                report,
                source: &source.text,
            })
            .collect();
        print(&summary(&told))?;
    }
    Ok(ended)
}

/// What only who sees several apps can say of one.
fn beside_each_other(reports: &mut [(Report, &Source)]) {
    let remarks = {
        let manifests: Vec<_> = reports.iter().map(|(r, _)| r.manifest.as_ref()).collect();
        neighbours::compare(&manifests)
    };
    for ((report, source), remarks) in reports.iter_mut().zip(remarks) {
        report.remark(&source.text, remarks);
    }
}

/// V89 to V94. A manifest with errors may lead anywhere, so nothing is sent for it.
fn on_the_network(
    reports: &mut [(Report, &Source)],
    arguments: &net::NetArguments,
) -> Result<(), Failure> {
    let sound: Vec<_> = reports
        .iter()
        .filter(|(report, _)| !report.has_errors())
        .filter_map(|(report, _)| report.manifest.as_ref())
        .collect();
    // Of no manifest there is nothing that a flag or a variable could be about.
    let looks = match sound.is_empty() {
        true => Vec::new(),
        false => net::look(&sound, arguments)?,
    };
    let mut looks = looks.into_iter();
    for (report, source) in reports {
        let remarks = if report.has_errors() || report.manifest.is_none() {
            vec![Remark::note(
                "V89",
                "",
                "nothing was sent: mend the errors first",
            )]
        } else {
            looks.next().unwrap_or_default()
        };
        report.remark(&source.text, remarks);
    }
    Ok(())
}

fn explain(rule: &str) -> Outcome {
    if book::rule(rule).is_none() {
        return Err(Failure::Said(yaml::explain(rule).trim_end().to_owned()));
    }
    print(&yaml::explain(rule))?;
    Ok(ExitCode::SUCCESS)
}
