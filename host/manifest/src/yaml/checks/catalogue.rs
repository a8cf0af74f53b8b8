//! How the app looks in the catalogue. Notes: nothing breaks, but people find it less easily.
//!
//! V72 categories are the ones that the catalogue has, the summary says what the app is in a sentence of its own, and links lead to its home
//! and documentation · V73 no two actions, and no two triggers, have the same title. (That no two apps have the same name is for
//! whoever sees all of them: `validate` of several.)

use std::collections::HashSet;

use super::Checker;
use crate::template::nearest;
use crate::yaml::places::{child, item};

/// Categories of the catalogue: one word for each thing, or people who look under one miss what is filed under the other.
const CATEGORIES: &[&str] = &[
    "accounting",
    "ads",
    "ai",
    "analytics",
    "automation",
    "banking",
    "calendar",
    "cloud",
    "cms",
    "commerce",
    "communication",
    "content",
    "crm",
    "data",
    "databases",
    "design",
    "development",
    "documents",
    "education",
    "email",
    "erp",
    "events",
    "files",
    "finance",
    "fitness",
    "forms",
    "gaming",
    "health",
    "hosting",
    "hr",
    "identity",
    "infrastructure",
    "invoicing",
    "it",
    "legal",
    "logistics",
    "maps",
    "marketing",
    "media",
    "monitoring",
    "music",
    "news",
    "notes",
    "payments",
    "phone",
    "productivity",
    "project-management",
    "real-estate",
    "recruiting",
    "sales",
    "scheduling",
    "search",
    "security",
    "shipping",
    "signatures",
    "sms",
    "social",
    "storage",
    "support",
    "surveys",
    "tasks",
    "test",
    "time-tracking",
    "travel",
    "video",
    "weather",
    "webinars",
];

/// Other words for some of them.
const SAME: &[(&str, &str)] = &[
    ("advertising", "ads"),
    ("e-commerce", "commerce"),
    ("ecommerce", "commerce"),
    ("messaging", "communication"),
    ("projects", "project-management"),
    ("testing", "test"),
    ("voice", "phone"),
];

/// Shortest and longest summary, in characters.
const SUMMARY: std::ops::RangeInclusive<usize> = 20..=200;

pub(super) fn check(c: &mut Checker<'_>) {
    let m = c.manifest;
    for (i, category) in m.categories.iter().enumerate() {
        if !CATEGORIES.contains(&category.as_str()) {
            let same = SAME.iter().find(|(other, _)| other == category);
            let near = same
                .map(|(_, ours)| (*ours).to_owned())
                .or_else(|| nearest(category, CATEGORIES))
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            c.note(
                "V72",
                &item("categories", i),
                format!("the catalogue has no category `{category}`{near}"),
            );
        }
    }
    if m.categories.is_empty() {
        c.note(
            "V72",
            "categories",
            "the app is in no category of the catalogue",
        );
    }
    titles(c);
    let length = m.summary.trim().chars().count();
    if !SUMMARY.contains(&length) {
        c.note(
            "V72",
            "summary",
            format!(
                "a summary has {} to {} characters; this one has {length}",
                SUMMARY.start(),
                SUMMARY.end()
            ),
        );
    }
    if m.summary.contains("Keyport") {
        c.note(
            "V72",
            "summary",
            "the summary is about the app, not about Keyport",
        );
    }
    if m.links.home.is_none() || m.links.docs.is_none() {
        c.note(
            "V72",
            "links",
            "links to the app's home page and API documentation are missing",
        );
    }
}

fn titles(c: &mut Checker<'_>) {
    let m = c.manifest;
    let actions: Vec<_> = m.actions.iter().map(|(id, a)| (id, &a.title)).collect();
    let triggers: Vec<_> = m.triggers.iter().map(|(id, t)| (id, &t.title)).collect();
    for (kind, all) in [("actions", actions), ("triggers", triggers)] {
        let mut seen = HashSet::new();
        for (id, title) in all {
            if !seen.insert(title.to_lowercase()) {
                let path = child(&child(kind, id), "title");
                c.note("V73", &path, format!("another one is called `{title}` too"));
            }
        }
    }
}
