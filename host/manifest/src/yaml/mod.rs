//! Reading a manifest from YAML, and everything that can be said about it without leaving the machine.
//!
//! In this order, each step only if the one before left something to judge:
//! 1. [`places`](self): the YAML itself, the place of every key and value, what strangers may not do (V01, V08);
//! 2. `extends`: what it is built on is merged in (V62);
//! 3. `shape`: does it fit the model, every misfit in one run (V02, V03, V05, V09, V10, V13, V24, V58), with `traps` for what
//!    YAML takes for something else (V07);
//! 4. `checks`: does it make sense, one file per subject, also beside misfits (V04);
//! 5. `fixtures`: do the mappings read real answers as they should (V95).
//!
//! Findings carry the stable id of their rule. Rules that need the network, the component or an older version are not here.

mod allow;
mod blanks;
pub mod book;
mod checks;
mod classify;
pub mod coverage;
mod extends;
mod finding;
mod finish;
mod fix;
pub mod fixtures;
mod follow;
pub mod held;
mod mend;
mod outline;
mod places;
mod print;
mod remark;
pub mod render;
mod shape;
mod traps;

pub use book::{Rule, explain};
pub use checks::secret_form;
pub use extends::{Bases, app_id, base_among};
pub use finding::{Edit, Finding, FolderFacts, Report, Severity, Suppressed};
pub use fix::{Fixed, apply, fix};
pub use held::{Misfit, Unheld, misfits};
pub use remark::Remark;

pub use print::print;

use serde_json::Value;

use crate::model::{AppId, Manifest};
use allow::Seen;
use places::Places;

/// Reads a manifest: typed and without errors, or everything that is wrong with it.
///
/// Warnings do not stand in the way. `file` is only used in messages. One that is built on another is refused here; see
/// [`parse_with`].
///
/// # Errors
/// All findings of [`check`], if one of them is an error.
pub fn parse(file: &str, yaml: &str) -> Result<Manifest, Vec<Finding>> {
    parse_with(file, yaml, &|_| None)
}

/// [`parse`] for manifests that may be built on others; `bases` gives the text of an app's manifest.
///
/// # Errors
/// All findings of [`check_with`], if one of them is an error.
pub fn parse_with(file: &str, yaml: &str, bases: &Bases<'_>) -> Result<Manifest, Vec<Finding>> {
    let report = check_with(file, yaml, None, bases);
    match report.manifest {
        Some(manifest)
            if report
                .findings
                .iter()
                .all(|f| f.severity != Severity::Error) =>
        {
            Ok(manifest)
        }
        _ => Err(report.findings),
    }
}

/// Reads and checks a manifest; with `folder`, also what lies beside it.
#[must_use]
pub fn check(file: &str, yaml: &str, folder: Option<&FolderFacts>) -> Report {
    let beside = |id: &AppId| {
        let mut bases = folder?.bases.iter();
        bases.find(|(known, _)| known == id).map(|(_, t)| t.clone())
    };
    check_with(file, yaml, folder, &beside)
}

/// [`check`] with the bases taken from elsewhere; `bases` gives the text of an app's manifest.
#[must_use]
pub fn check_with(
    file: &str,
    yaml: &str,
    folder: Option<&FolderFacts>,
    bases: &Bases<'_>,
) -> Report {
    let mut findings = Vec::new();
    let manifest = run(yaml, folder, bases, &mut findings);
    if manifest.is_some() {
        blanks::find(yaml, &mut findings);
    }
    let seen = Seen {
        whole: manifest.is_some(),
        folder: folder.is_some(),
    };
    let mut report = Report {
        file: file.to_owned(),
        manifest,
        findings,
        suppressed: Vec::new(),
    };
    finish::finish(&mut report, yaml, seen);
    finding::cap(&mut report.findings);
    report
}

fn run(
    yaml: &str,
    folder: Option<&FolderFacts>,
    bases: &Bases<'_>,
    findings: &mut Vec<Finding>,
) -> Option<Manifest> {
    let (places, tree) = match read_tree(yaml) {
        Ok(read) => read,
        Err(found) => {
            findings.extend(found);
            return None;
        }
    };
    let at = places.value("extends");
    let merged = match extends::merge(tree, bases) {
        Ok(merged) => merged,
        Err(message) => {
            findings.push(Finding {
                rule: "V62",
                file: None,
                severity: Severity::Error,
                message,
                path: "extends".to_owned(),
                line: at.line,
                column: at.column,
                fix: None,
                edit: None,
            });
            return None;
        }
    };
    let manifest = judge(&places, &merged.tree, folder, findings);
    findings.retain_mut(|finding| {
        let Some(base) = finding
            .file
            .is_none()
            .then(|| merged.base_of(&finding.path))
            .flatten()
        else {
            return true;
        };
        finding.line = at.line;
        finding.column = at.column;
        finding.message = format!("`{}` of `{base}`: {}", finding.path, finding.message);
        // What is inherited is shown by the base's own fixtures.
        finding.rule != "V95" || finding.severity == Severity::Error
    });
    manifest
}

/// Shape, sense and fixtures of a whole tree.
fn judge(
    places: &Places,
    tree: &Value,
    folder: Option<&FolderFacts>,
    findings: &mut Vec<Finding>,
) -> Option<Manifest> {
    let mut shape = shape::read(tree);
    traps::misfits(places, &mut shape.misfits);
    for misfit in shape.misfits {
        let at = if misfit.at_key {
            places.key(&misfit.path)
        } else {
            places.value(&misfit.path)
        };
        findings.push(Finding {
            rule: misfit.rule,
            file: None,
            severity: Severity::Error,
            message: misfit.message,
            path: misfit.path,
            line: at.line,
            column: at.column,
            fix: misfit.fix,
            edit: None,
        });
    }
    let manifest = shape.manifest?;
    let mut sense = Vec::new();
    let mut checker = checks::Checker::new(&manifest, &shape.tree, places, &mut sense);
    checks::all(&mut checker, folder);
    if let Some(folder) = folder {
        fixtures::all(&mut checker, folder, &shape.mends);
    }
    findings.extend(sense.into_iter().filter(|f| !shape.mends.hide(f)));
    // A manifest with stand-ins in it is for the checks alone.
    (!shape.mends.stand_ins()).then_some(manifest)
}

/// A YAML document as a tree with the place of everything in it.
fn read_tree(yaml: &str) -> Result<(Places, Value), Vec<Finding>> {
    let places = places::scan(yaml)?;
    let tree = serde_yaml::from_str::<Value>(yaml).map_err(|e| {
        let (line, column) = e.location().map_or((1, 1), |l| (l.line(), l.column()));
        vec![Finding {
            rule: "V01",
            file: None,
            severity: Severity::Error,
            message: format!("this is not YAML: {e}"),
            path: String::new(),
            line,
            column,
            fix: None,
            edit: None,
        }]
    })?;
    Ok((places, tree))
}
