//! Findings for a program. The shape is documented in `rules/README.md`; keys are only ever added.

use serde_json::{Value, json};

use super::{Told, Totals, line_of, width};
use crate::yaml::coverage::coverage;
use crate::yaml::finding::Finding;

/// One document.
pub(super) fn all(reports: &[Told<'_>]) -> String {
    let totals = Totals::of(reports);
    let manifests: Vec<Value> = reports
        .iter()
        .map(|told| {
            let report = told.report;
            let suppressed: Vec<Value> = report
                .suppressed
                .iter()
                .map(|s| {
                    let mut one = finding(told, &s.finding);
                    if let Value::Object(map) = &mut one {
                        map.insert("reason".to_owned(), json!(s.reason));
                    }
                    one
                })
                .collect();
            let uses = report.manifest.as_ref().map(|m| {
                let c = coverage(m);
                json!({
                    "capabilities": c.uses,
                    "signs_in": c.signs_in,
                    "by_component": c.by_component,
                })
            });
            json!({
                "file": report.file,
                "id": report.manifest.as_ref().map(|m| m.id.as_str()),
                "findings": report.findings.iter().map(|f| finding(told, f)).collect::<Vec<_>>(),
                "suppressed": suppressed,
                "uses": uses,
            })
        })
        .collect();
    let whole = json!({
        "format": 1,
        "totals": {
            "manifests": totals.manifests,
            "errors": totals.errors,
            "warnings": totals.warnings,
            "notes": totals.notes,
            "suppressed": totals.suppressed,
        },
        "manifests": manifests,
    });
    format!("{whole:#}\n")
}

fn finding(told: &Told<'_>, f: &Finding) -> Value {
    let end = f.column + line_of(told, f).map_or(1, |line| width(line, f.column));
    json!({
        "rule": f.rule,
        "severity": f.severity.as_str(),
        "message": f.message,
        "file": told.report.file_of(f),
        "path": f.path,
        "line": f.line,
        "column": f.column,
        "end_column": end,
        "fix": f.fix,
        "edit": f.edit.as_ref().map(|e| json!({"start": e.start, "end": e.end, "text": e.text})),
    })
}
