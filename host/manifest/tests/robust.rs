//! Strangers write manifests: whatever they write, reading it ends in findings and never in a panic.
#![allow(clippy::unwrap_used, reason = "tests may be blunt")]

use keyport_manifest::{JsonPath, Template, check};
use proptest::prelude::*;

const GOOD: &str = include_str!("../../../manifests/slack/manifest.yaml");

/// What a line is replaced by.
fn damage() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("  - [x".to_owned()),
        Just("    type: basic".to_owned()),
        Just("  body: { path: 7, equals: {} }".to_owned()),
        Just("auth: []".to_owned()),
        Just("test: 1".to_owned()),
        Just("\u{feff}\u{85}x: \"{{ {{ }}".to_owned()),
        "[ -~]{0,30}",
        "\\PC{0,20}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_manifest_is_told_about_and_never_panics(edits in prop::collection::vec((0usize..200, damage()), 1..6)) {
        let mut lines: Vec<String> = GOOD.lines().map(str::to_owned).collect();
        for (at, text) in edits {
            let count = lines.len();
            if let Some(line) = lines.get_mut(at % count) {
                *line = text;
            }
        }
        let yaml = lines.join("\n");
        let report = check("slack.yaml", &yaml, None);
        prop_assert!(report.manifest.is_some() || report.has_errors());
        let text = report.render(&yaml, true);
        prop_assert_eq!(text.is_empty(), report.findings.is_empty());
    }

    #[test]
    fn any_text_is_a_template_or_an_error(text in ".{0,80}", hole in "[ -~]{0,40}") {
        let _ = Template::parse(&text);
        if let Ok(template) = Template::parse(&format!("a{{{{ {hole} }}}}b")) {
            prop_assert_eq!(Template::parse(template.source()).unwrap(), template);
        }
    }

    #[test]
    fn any_text_is_a_path_or_an_error(text in "\\$?[ -~]{0,40}") {
        let _ = JsonPath::parse(&text);
    }
}
