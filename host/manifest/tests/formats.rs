//! How findings are told: to people, as JSON, as SARIF and as workflow commands; and what comments in the file allow.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

use keyport_manifest::yaml::Remark;
use keyport_manifest::yaml::coverage::coverage;
use keyport_manifest::yaml::render::{Format, Told, Totals, render};
use keyport_manifest::{Report, check};
use serde_json::Value;

/// One manifest with an error, a fix, a warning and one that is allowed.
const TEXT: &str = "manifest: 1
id: northpier
name: Northpier
version: 1.0.0
summary: Berths and moorings of a harbour that does not exist at all.
categories: [support]
component: rest
api: { base_url: https://api.northpier.test }
auth:
  # allow V51: grants end in the account's own settings
  oauth:
    type: oauth2
    label: Sign in with Northpier
    authorize_url: https://api.northpier.test/authorize
    token_url: https://api.northpier.test/token
    refresh: { rotates: always }
  key:
    type: bearer
    lable: API key
    label: API key
test:
  request: { path: /me }
  ok: { status: 200, body: $.id }
  account: { id: \"{{ body.id }}\", label: Northpier }
";

fn told() -> (Report, &'static str) {
    (check("apps/nörth pier/manifest.yaml", TEXT, None), TEXT)
}

fn all(format: Format, colour: bool) -> String {
    let (report, source) = told();
    let clean = check("clean.yaml", "", None);
    let second = Told {
        report: &clean,
        source: "",
    };
    render(
        format,
        &[
            Told {
                report: &report,
                source,
            },
            second,
        ],
        colour,
    )
}

#[test]
fn the_four_formats_are_as_documented() {
    for (name, format) in Format::NAMES.iter().map(|n| (*n, n.parse().unwrap())) {
        let mut text = all(format, false);
        if format == Format::Sarif {
            // The rules are the book; the rest is looked at here.
            let mut whole: Value = serde_json::from_str(&text).unwrap();
            whole["runs"][0]["tool"]["driver"]["rules"] = Value::from("the book");
            whole["runs"][0]["tool"]["driver"]["version"] = Value::from("0");
            text = format!("{whole:#}");
        }
        insta::assert_snapshot!(format!("format_{name}"), text);
    }
    assert!(
        "xml"
            .parse::<Format>()
            .unwrap_err()
            .contains("human, json, sarif, github")
    );
}

#[test]
fn colours_are_there_only_if_asked_for() {
    assert!(!all(Format::Human, false).contains('\u{1b}'));
    assert!(all(Format::Human, true).contains("\u{1b}[1;31merror[V03]\u{1b}[0m"));
    for format in [Format::Json, Format::Sarif, Format::Github] {
        assert_eq!(all(format, true), all(format, false));
    }
}

#[test]
fn nothing_that_a_stranger_wrote_leaves_its_place() {
    let text = "manifest: 1\n\"na\\u001b[31mme\\n::error::\\u202e%0A<x>\": 1\n";
    let report = check("a:b,c%.yaml", text, None);
    let told = [Told {
        report: &report,
        source: text,
    }];
    let human = render(Format::Human, &told, false);
    assert!(!human.contains(['\u{1b}', '\u{202e}']), "{human}");
    let github = render(Format::Github, &told, false);
    for line in github.lines() {
        assert!(
            line.starts_with("::error file=a%3Ab%2Cc%25.yaml,line=") || line.contains(" checked: "),
            "{line}"
        );
    }
    for format in [Format::Json, Format::Sarif] {
        let _: Value = serde_json::from_str(&render(format, &told, false)).unwrap();
    }
}

#[test]
fn a_caret_stands_below_what_it_means_behind_wide_characters_too() {
    let text = "manifest: 1\n\"名前\": { 名: 1 }\n";
    let report = check("m.yaml", text, None);
    let human = render(
        Format::Human,
        &[Told {
            report: &report,
            source: text,
        }],
        false,
    );
    assert!(
        human.contains("2 | \"名前\": { 名: 1 }\n  | ^^^^^^\n"),
        "{human}"
    );
}

/// What SARIF 2.1.0 demands of the objects that are used here (sections 3.13 to 3.58 of the standard).
#[test]
fn the_sarif_log_has_all_that_the_standard_demands() {
    let log: Value = serde_json::from_str(&all(Format::Sarif, false)).unwrap();
    assert_eq!(log["version"], "2.1.0");
    assert!(
        log["$schema"]
            .as_str()
            .unwrap()
            .ends_with("sarif-schema-2.1.0.json")
    );
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(run["tool"]["driver"]["name"], "keyport");
    assert_eq!(rules.len(), 98);
    for rule in rules {
        assert!(rule["id"].is_string());
        for key in ["shortDescription", "fullDescription", "help"] {
            assert!(
                !rule[key]["text"].as_str().unwrap().is_empty(),
                "{key} of {rule}"
            );
        }
        level(&rule["defaultConfiguration"]["level"]);
    }
    let results = run["results"].as_array().unwrap();
    assert!(results.len() >= 3);
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(result["ruleId"], rules[index]["id"]);
        level(&result["level"]);
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        assert!(uri.bytes().all(|b| b.is_ascii_graphic()), "{uri}");
        let region = &place["region"];
        let number = |key: &str| region[key].as_u64().unwrap();
        assert!(number("startLine") >= 1 && number("startColumn") >= 1);
        assert!(
            number("endLine") == number("startLine") && number("endColumn") > number("startColumn")
        );
        for fix in result["fixes"].as_array().into_iter().flatten() {
            let change = &fix["artifactChanges"][0];
            assert!(change["artifactLocation"]["uri"].is_string());
            let replacement = &change["replacements"][0];
            assert!(replacement["deletedRegion"]["charOffset"].is_u64());
            assert!(replacement["insertedContent"]["text"].is_string());
        }
    }
    let kept: Vec<&Value> = results
        .iter()
        .filter(|r| r.get("suppressions").is_some())
        .collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["ruleId"], "V51");
    assert_eq!(kept[0]["suppressions"][0]["kind"], "inSource");
}

fn level(level: &Value) {
    assert!(["error", "warning", "note", "none"].contains(&level.as_str().unwrap()));
}

#[test]
fn a_comment_allows_one_rule_in_one_place_for_a_reason() {
    let of = |comment: &str, at: &str| {
        let text = TEXT
            .replace(
                "  # allow V51: grants end in the account's own settings\n",
                "",
            )
            .replace("    lable: API key\n", "")
            .replace(
                "label: Northpier }",
                "label: \"{{ body.name | default('x') }}\" }",
            )
            .replacen(at, &at.replace('@', ""), 1);
        let text = match at {
            "before" => text.replace(
                "  oauth:\n",
                &format!("  {comment}\n\n  # more\n  oauth:\n"),
            ),
            "beside" => text.replace("  oauth:\n", &format!("  oauth:   {comment}\n")),
            "elsewhere" => text.replace("  key:\n", &format!("  key: {comment}\n")),
            _ => text.replace(
                "label: Sign in with Northpier",
                &format!("label: \"{comment}\""),
            ),
        };
        let report = check("m.yaml", &text, None);
        let found: Vec<String> = report
            .findings
            .iter()
            .filter(|f| ["V51", "V98"].contains(&f.rule))
            .map(|f| format!("{} {}", f.severity.as_str(), f.rule))
            .collect();
        (found.join(", "), report.suppressed.len())
    };
    let reason = "# allow V51: grants end in the settings";
    for (comment, at, found, suppressed) in [
        (reason, "before", "", 1),
        (reason, "beside", "", 1),
        (reason, "elsewhere", "warning V51, warning V98", 0),
        (reason, "in a text", "warning V51", 0),
        (
            "# allow V15, v51: grants end in the settings",
            "before",
            "warning V98",
            1,
        ),
        ("# allow V51: no", "before", "error V98, warning V51", 0),
        (
            "# allow V51 grants end in the settings",
            "before",
            "error V98, warning V51",
            0,
        ),
        (
            "# allow V31: grants end in the settings",
            "before",
            "error V98, warning V51",
            0,
        ),
        (
            "# allow V99: grants end in the settings",
            "before",
            "error V98, warning V51",
            0,
        ),
        (
            "# allow V84: grants end in the settings",
            "beside",
            "warning V51",
            0,
        ),
        (
            "# allow Visitors: grants end in the settings",
            "beside",
            "warning V51",
            0,
        ),
    ] {
        assert_eq!(
            of(comment, at),
            (found.to_owned(), suppressed),
            "{comment} {at}"
        );
    }
}

#[test]
fn what_is_found_later_is_allowed_by_the_same_comments() {
    let text = TEXT.replace(
        "id: northpier",
        "id: northpier   # allow V83: nobody has connected yet",
    );
    let mut report = check("m.yaml", &text, None);
    let before = (report.findings.len(), report.suppressed.len());
    report.remark(&text, vec![Remark::error("V83", "id", "another id")]);
    assert_eq!(
        (report.findings.len(), report.suppressed.len()),
        (before.0, before.1 + 1)
    );
    report.remark(&text, vec![Remark::error("V83", "name", "another name")]);
    assert_eq!(report.findings.len(), before.0 + 1);
}

#[test]
fn totals_say_whether_the_call_failed() {
    let (report, source) = told();
    let totals = Totals::of(&[Told {
        report: &report,
        source,
    }]);
    assert!(totals.failed(false));
    let warned = Totals {
        errors: 0,
        ..totals
    };
    assert!(!warned.failed(false) && warned.failed(true));
    assert!(
        totals.line().starts_with("1 manifest checked: "),
        "{}",
        totals.line()
    );
    assert!(totals.line().contains("1 allowed by a comment"));
}

#[test]
fn what_an_app_uses_is_summed_up_for_reviewers() {
    let (text, _) = keyport_manifest::yaml::book::base();
    let uses = coverage(&keyport_manifest::parse("m.yaml", text).unwrap());
    assert_eq!(uses.signs_in, ["oauth2", "bearer"]);
    assert_eq!(
        uses.uses,
        [
            "addresses built from fields",
            "constant headers or parameters",
            "fallbacks",
            "grant revoked at the app",
            "test that looks at the body"
        ]
    );
    assert!(uses.by_component.is_empty());
    let by_code = text
        .replace("component: rest", "component: own")
        .replace("    request: { method: GET, path: /v2/tickets, query: { sort: -id } }\n    items: $.tickets\n    order: newest_first\n    dedupe: \"{{ item.id }}\"\n", "    code: true\n    dedupe: \"{{ item.id }}\"\n");
    let uses = coverage(&keyport_manifest::parse("m.yaml", &by_code).unwrap());
    assert_eq!(uses.by_component, ["triggers.new_ticket"]);
}

#[test]
fn of_a_file_that_is_one_long_line_only_what_is_around_the_place_is_shown() {
    let yaml = format!("{{manifest: 1, {}}}", "a: 1, ".repeat(10_000));
    let report = check("m.yaml", &yaml, None);
    assert!(report.findings.len() >= 100);
    let told = report.render(&yaml, false);
    let longest = told.lines().map(|l| l.chars().count()).max().unwrap();
    assert!(longest < 400, "{longest}");
    // The caret still stands below what is meant.
    let caret = |block: &str| {
        let lines: Vec<&str> = block.lines().collect();
        let at = lines.iter().position(|l| l.contains('^')).unwrap();
        let column = lines[at].chars().position(|c| c == '^').unwrap();
        lines[at - 1].chars().nth(column).unwrap()
    };
    for block in told.split("\n\n").filter(|b| b.contains("is there twice")) {
        assert_eq!(caret(block), 'a', "{block}");
    }
}
