//! What happens to findings after the checks, in one place: how bad they are, what comments allow, what can be put right.

use super::allow::{self, Seen};
use super::book;
use super::finding::{Finding, Report};
use super::fix::{edit_for, fixable};
use super::outline::Outline;

/// Weighs, allows, sorts and finds changes. The text is only taken apart if there is a reason to.
pub(super) fn finish(report: &mut Report, text: &str, seen: Seen) {
    // How bad it is, is said in the book. A check may only lower it.
    for finding in &mut report.findings {
        finding.severity = book::weigh(finding.rule, finding.severity);
    }
    let allows = allow::any(text);
    if allows || report.findings.iter().any(fixable) {
        let outline = Outline::of(text);
        if allows {
            let suppressed = allow::suppress(text, &outline, &mut report.findings, seen);
            report.suppressed.extend(suppressed);
        }
        for finding in &mut report.findings {
            finding.edit = edit_for(finding, text, &outline);
        }
    }
    report.findings.sort_by(|a, b| {
        (&a.file, a.line, a.column, a.rule).cmp(&(&b.file, b.line, b.column, b.rule))
    });
    report.findings.dedup();
}

impl Report {
    /// Takes in what was found elsewhere (against an older version, in the component, on the network): weighed, allowed by
    /// comments and sorted like everything else. `source` is the manifest's text.
    pub(super) fn take(&mut self, source: &str, findings: Vec<Finding>) {
        let mut more = Self {
            file: String::new(),
            manifest: None,
            findings,
            suppressed: Vec::new(),
        };
        // What comments are wrong or unused was said by the check itself.
        let seen = Seen {
            whole: false,
            folder: false,
        };
        finish(&mut more, source, seen);
        more.findings.retain(|f| f.rule != "V98");
        self.findings.extend(more.findings);
        self.suppressed.extend(more.suppressed);
        self.findings.sort_by(|a, b| {
            (&a.file, a.line, a.column, a.rule).cmp(&(&b.file, b.line, b.column, b.rule))
        });
        self.findings.dedup();
    }
}
