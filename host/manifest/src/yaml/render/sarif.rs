//! Findings as SARIF 2.1.0 (OASIS), for code scanning: rules with their texts, results with places, fixes and suppressions.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Told, line_of, width};
use crate::yaml::book::{Rule, rule, rules};
use crate::yaml::finding::{Finding, Severity};

/// One log with one run.
pub(super) fn all(reports: &[Told<'_>]) -> String {
    let ids: Vec<&str> = rules().map(|r| r.id.as_str()).collect();
    let results: Vec<Value> = reports
        .iter()
        .flat_map(|told| {
            let told_now = told.report.findings.iter().map(|f| (f, None));
            let kept = told
                .report
                .suppressed
                .iter()
                .map(|s| (&s.finding, Some(s.reason.as_str())));
            told_now
                .chain(kept)
                .map(|(f, reason)| result(told, f, reason, &ids))
                .collect::<Vec<_>>()
        })
        .collect();
    let files: BTreeSet<&str> = reports.iter().map(|t| t.report.file.as_str()).collect();
    let whole = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "keyport",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules().map(descriptor).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "artifacts": files.iter().map(|f| json!({"location": {"uri": uri(f)}})).collect::<Vec<_>>(),
            "results": results,
        }],
    });
    format!("{whole:#}\n")
}

fn level(severity: Severity) -> &'static str {
    severity.as_str()
}

fn descriptor(r: &Rule) -> Value {
    json!({
        "id": r.id,
        "shortDescription": {"text": r.title},
        "fullDescription": {"text": r.why.trim()},
        "help": {"text": crate::yaml::book::explain(&r.id)},
        "defaultConfiguration": {"level": level(r.severity)},
        "properties": {"layer": r.layer.as_str()},
    })
}

fn result(told: &Told<'_>, f: &Finding, reason: Option<&str>, ids: &[&str]) -> Value {
    let end = f.column + line_of(told, f).map_or(1, |line| width(line, f.column));
    let file = told.report.file_of(f);
    let text = match &f.fix {
        Some(fix) => format!("{}\n{fix}", f.message),
        None => f.message.clone(),
    };
    let mut one = json!({
        "ruleId": f.rule,
        "level": level(f.severity),
        "message": {"text": text},
        "locations": [{
            "physicalLocation": {
                "artifactLocation": {"uri": uri(&file)},
                "region": {
                    "startLine": f.line,
                    "startColumn": f.column,
                    "endLine": f.line,
                    "endColumn": end,
                },
            },
            "logicalLocations": [{"fullyQualifiedName": f.path, "kind": "member"}],
        }],
        // Lines move; rule and path stay, so that a platform knows a finding again.
        "partialFingerprints": {"rulePath/v1": format!("{}:{}", f.rule, f.path)},
    });
    let Value::Object(map) = &mut one else {
        return one;
    };
    if let Some(index) = ids.iter().position(|id| *id == f.rule) {
        map.insert("ruleIndex".to_owned(), json!(index));
    }
    if let Some(edit) = &f.edit {
        let what = f
            .fix
            .clone()
            .or_else(|| rule(f.rule).map(|r| r.title.clone()))
            .unwrap_or_default();
        let fix = json!({
            "description": {"text": what},
            "artifactChanges": [{
                "artifactLocation": {"uri": uri(&file)},
                "replacements": [{
                    "deletedRegion": {
                        "charOffset": characters(told.source, 0, edit.start),
                        "charLength": characters(told.source, edit.start, edit.end),
                    },
                    "insertedContent": {"text": edit.text},
                }],
            }],
        });
        map.insert("fixes".to_owned(), json!([fix]));
    }
    if let Some(reason) = reason {
        map.insert(
            "suppressions".to_owned(),
            json!([{"kind": "inSource", "justification": reason}]),
        );
    }
    one
}

/// How many characters lie between two bytes.
fn characters(source: &str, start: usize, end: usize) -> usize {
    source
        .get(start..end)
        .map_or(0, |part| part.chars().count())
}

/// A file name as a relative reference: what would be read as something else is escaped.
fn uri(file: &str) -> String {
    let mut out = String::new();
    for byte in file.replace('\\', "/").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
