//! V96 for a person: what of the language each app uses, and, of several apps, how many use what.

use std::fmt::Write as _;

use super::Told;
use super::human::printable;
use crate::yaml::coverage::{Coverage, capabilities, coverage};

/// Where a line is broken, in characters.
const WIDTH: usize = 100;
/// Where the second column begins.
const INDENT: usize = 14;

/// What each manifest uses; one that could not be read says nothing.
#[must_use]
pub fn summary(reports: &[Told<'_>]) -> String {
    let mut out = String::new();
    let mut all: Vec<Coverage> = Vec::new();
    for told in reports {
        let Some(manifest) = &told.report.manifest else {
            continue;
        };
        let uses = coverage(manifest);
        let _ = writeln!(
            out,
            "\n{} {} {}",
            printable(manifest.id.as_str()),
            manifest.version,
            printable(&format!("({})", manifest.name))
        );
        row(&mut out, "signs in by", &uses.signs_in);
        row(&mut out, "uses", &uses.uses);
        row(&mut out, "by component", &uses.by_component);
        all.push(uses);
    }
    if all.len() > 1 {
        let _ = writeln!(out, "\n{} manifests use", all.len());
        for name in capabilities() {
            let count = all.iter().filter(|c| c.uses.contains(&name)).count();
            let _ = writeln!(out, "  {count:>5}  {name}");
        }
        let own = all.iter().filter(|c| !c.by_component.is_empty()).count();
        let _ = writeln!(out, "  {own:>5}  a component of their own");
    }
    out
}

fn row<T: AsRef<str>>(out: &mut String, head: &str, items: &[T]) {
    let mut line = format!("  {head:<INDENT$}");
    if items.is_empty() {
        line.push_str("nothing");
    }
    for (i, one) in items.iter().enumerate() {
        let last = i + 1 == items.len();
        let text = format!("{}{}", printable(one.as_ref()), if last { "" } else { "," });
        if i > 0 && line.chars().count() + text.chars().count() >= WIDTH {
            let _ = writeln!(out, "{line}");
            line = " ".repeat(INDENT + 2);
        } else if i > 0 {
            line.push(' ');
        }
        line.push_str(&text);
    }
    let _ = writeln!(out, "{line}");
}
