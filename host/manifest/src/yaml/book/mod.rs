//! The book of rules: what each rule says, why, how bad it is, and a wrong and a right example of it.
//!
//! The text lives in `rules/`, one file per rule, so that a rule is written once and read by `--explain`, by SARIF, by the
//! tests (which run both examples) and by the severity of every finding. It is embedded in the binary. A file is parsed when
//! its rule is first asked for: a clean manifest costs nothing here.
//!
//! A rule that is not in the book does not exist; a test holds every id in the checks to it.

mod example;
mod explain;
mod table;

use std::sync::OnceLock;

use serde::Deserialize;

use super::finding::Severity;
pub use example::{Beside, Example, PeerAnswer, base};
pub use explain::explain;

/// What a rule needs to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The manifest and what lies beside it.
    Offline,
    /// The component's file.
    Component,
    /// An older version of the manifest.
    Diff,
    /// The network, if asked to.
    Net,
    /// The running component: `keyport test`.
    Test,
}

impl Layer {
    /// Its name, as in the book.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Component => "component",
            Self::Diff => "diff",
            Self::Net => "net",
            Self::Test => "test",
        }
    }

    /// When it is looked at, for people.
    #[must_use]
    pub fn when(self) -> &'static str {
        match self {
            Self::Offline => "always checked",
            Self::Component => "checked when the app's component is there",
            Self::Diff => "checked against an older version (`--against OLD`)",
            Self::Net => "checked with `--net`",
            Self::Test => "checked by `keyport test`",
        }
    }
}

/// One rule of `keyport validate`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// `V31`. It never changes its meaning.
    pub id: String,
    /// How bad it is at most; a check may say less for a mild case.
    pub severity: Severity,
    /// What it needs to look at.
    pub layer: Layer,
    /// What must hold, in one line.
    pub title: String,
    /// Why it must.
    pub why: String,
    /// Whether a comment in the file may allow it.
    #[serde(default = "yes")]
    pub allow: bool,
    /// A wrong manifest, and what it takes to see that. Rules that need a running component have none.
    pub bad: Option<Example>,
    /// The same, put right.
    pub good: Option<Example>,
    /// Further examples, where a rule governs several things.
    #[serde(default)]
    pub further: Vec<Further>,
}

/// A further wrong manifest of a rule, and the same put right.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Further {
    /// What the pair is about, in a few words.
    pub about: String,
    /// A wrong manifest.
    pub bad: Example,
    /// The same, put right.
    pub good: Example,
}

fn yes() -> bool {
    true
}

/// One file of the book, parsed when first asked for.
struct Page {
    id: &'static str,
    text: &'static str,
    rule: OnceLock<Option<Rule>>,
}

impl Page {
    fn rule(&self) -> Option<&Rule> {
        self.rule
            .get_or_init(|| serde_yaml::from_str(self.text).ok())
            .as_ref()
    }
}

/// Every rule, in the order of the ids.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    table::PAGES.iter().filter_map(Page::rule)
}

/// The rule with an id; `v31` and `31` are understood too.
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    let number = id.trim().trim_start_matches(['V', 'v']);
    let page = table::PAGES
        .iter()
        .find(|page| page.id.trim_start_matches('V') == format!("{number:0>2}"))?;
    page.rule()
}

/// The ids of all pages, and what is wrong with a page that cannot be read; for the test that holds the book to its form.
#[must_use]
pub fn unreadable() -> Vec<(&'static str, String)> {
    table::PAGES
        .iter()
        .filter_map(|page| {
            serde_yaml::from_str::<Rule>(page.text)
                .err()
                .map(|e| (page.id, e.to_string()))
        })
        .collect()
}

/// The id of a rule as findings carry it.
pub(super) fn known(id: &str) -> Option<&'static str> {
    let page = table::PAGES.iter().find(|page| page.id == id)?;
    Some(page.id)
}

/// How bad a finding is: what the book says of its rule, or less if the check says so.
pub(super) fn weigh(id: &str, said: Severity) -> Severity {
    let page = table::PAGES.iter().find(|page| page.id == id);
    page.and_then(Page::rule)
        .map_or(said, |rule| rule.severity.max(said))
}
