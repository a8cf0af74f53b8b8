//! How much of what authors get wrong is found: every good manifest of this repository is broken in some thirty ways, and
//! each break has to be told under the right rule at the right line. The share that is found is printed and has a floor.
//!
//! A break is made in the text, as a slip of the hand would make it, at the first place of a manifest that has what it
//! breaks. Breaks that a manifest offers no place for are not counted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use keyport_manifest::{FolderFacts, check};
use regex::Regex;

/// The least share of breaks that must be found, in percent.
const FLOOR: usize = 95;

/// A broken text, and the line (from 1) at which that has to be told.
type Broken = (String, usize);

struct Break {
    name: &'static str,
    /// Rules any of which tells it right.
    rules: &'static [&'static str],
    make: fn(&Text<'_>) -> Option<Broken>,
}

struct Text<'a> {
    lines: Vec<&'a str>,
}

impl Text<'_> {
    /// The first line that matches, after the line at which `after` first matches.
    fn find(&self, after: &str, line: &str) -> Option<usize> {
        let after = Regex::new(after).unwrap();
        let line = Regex::new(line).unwrap();
        let from = self.lines.iter().position(|l| after.is_match(l))?;
        let rest = self.lines.get(from..)?;
        rest.iter().position(|l| line.is_match(l)).map(|i| from + i)
    }

    /// The text with one line replaced, told at that line.
    fn with(&self, at: usize, line: &str) -> Broken {
        let mut lines: Vec<&str> = self.lines.clone();
        lines[at] = line;
        (lines.join("\n") + "\n", at + 1)
    }

    /// Replaces what a pattern matches in the first line that has it.
    fn swap(&self, after: &str, pattern: &str, by: &str) -> Option<Broken> {
        let at = self.find(after, pattern)?;
        let new = Regex::new(pattern).unwrap().replace(self.lines[at], by);
        (new != self.lines[at]).then(|| self.with(at, &new))
    }

    /// Puts a line behind another one, told at the new line.
    fn insert(&self, after: &str, line: &str, new: &str) -> Option<Broken> {
        let at = self.find(after, line)?;
        let mut lines: Vec<&str> = self.lines.clone();
        lines.insert(at + 1, new);
        Some((lines.join("\n") + "\n", at + 2))
    }

    /// The line of the key around a line: a way to sign in, an action, a trigger.
    fn head(&self, at: usize) -> Option<usize> {
        let head = Regex::new("^  [a-z0-9_]+:").unwrap();
        (0..at).rev().find(|i| head.is_match(self.lines[*i]))
    }

    /// The text without a line, told at the key around it.
    fn cut(&self, at: usize) -> Option<Broken> {
        let head = self.head(at)?;
        let mut lines = self.lines.clone();
        lines.remove(at);
        Some((lines.join("\n") + "\n", head + 1))
    }

    /// Takes a top-level section out; told where the document begins.
    fn without(&self, key: &str) -> Option<Broken> {
        let at = self.find("^", &format!("^{key}:"))?;
        let end = self.lines[at + 1..]
            .iter()
            .position(|l| !l.is_empty() && !l.starts_with([' ', '#', '-']))
            .map_or(self.lines.len(), |n| at + 1 + n);
        let mut lines: Vec<&str> = self.lines.clone();
        lines.drain(at..end);
        let begin = lines
            .iter()
            .position(|l| !l.is_empty() && !l.starts_with('#'))?;
        Some((lines.join("\n") + "\n", begin + 1))
    }
}

const BREAKS: &[Break] = &[
    Break {
        name: "a key at the top is misspelt",
        rules: &["V03", "V02"],
        make: |t| t.swap("^", "^summary:", "sumary:"),
    },
    Break {
        name: "a key of a way to sign in is misspelt",
        rules: &["V03"],
        make: |t| {
            t.swap("^auth:", "^    help:", "    hlep:")
                .or_else(|| t.swap("^auth:", "^    revoke:", "    revoek:"))
        },
    },
    Break {
        name: "a key is there twice",
        rules: &["V01"],
        make: |t| {
            let at = t.find("^", "^name:")?;
            let again = t.lines[at].to_owned();
            t.insert("^", "^version:", &again)
        },
    },
    Break {
        name: "the name is missing",
        rules: &["V02"],
        make: |t| t.without("name"),
    },
    Break {
        name: "the API is missing",
        rules: &["V02"],
        make: |t| t.without("api"),
    },
    Break {
        name: "the test is missing",
        rules: &["V02", "V40"],
        make: |t| t.without("test"),
    },
    Break {
        name: "an unclosed quote",
        rules: &["V01"],
        make: |t| {
            let (text, _) = t.swap("^", r#"^name: .*"#, r#"name: "x"#)?;
            // Where a quote that was never closed is noticed is the parser's affair: any line will do.
            Some((text, 0))
        },
    },
    Break {
        name: "a tab for spaces",
        rules: &["V01"],
        make: |t| {
            let (text, line) = t.insert("^api:", "^api:", "\tbase: x")?;
            Some((text, line))
        },
    },
    Break {
        name: "an anchor",
        rules: &["V08"],
        make: |t| t.swap("^", "^name: ", "name: &n "),
    },
    Break {
        name: "an id in capitals",
        rules: &["V09"],
        make: |t| t.swap("^", "^id: .*", "id: Not_An_Id"),
    },
    Break {
        name: "an id that is not the folder's",
        rules: &["V09"],
        make: |t| t.swap("^", "^id: .*", "id: another-app"),
    },
    Break {
        name: "a version with two parts",
        rules: &["V02", "V07"],
        make: |t| t.swap("^", "^version: .*", "version: 1.0"),
    },
    Break {
        name: "another format version",
        rules: &["V02"],
        make: |t| t.swap("^", "^manifest: 1", "manifest: 7"),
    },
    Break {
        name: "a type that does not exist",
        rules: &["V05"],
        make: |t| t.swap("^auth:", r"^    type: .*", "    type: oath2"),
    },
    Break {
        name: "a method that does not exist",
        rules: &["V05"],
        make: |t| t.swap("^test:", r"method: (GET|POST)", "method: GTE"),
    },
    Break {
        name: "a hole that is not closed",
        rules: &["V13"],
        make: |t| t.swap("^test:", r"\{\{ body\.([a-z_.]+) \}\}", "{{ body.$1 }"),
    },
    Break {
        name: "a filter that does not exist",
        rules: &["V13"],
        make: |t| {
            t.swap(
                "^test:",
                r"\{\{ body\.([a-z_.]+) \}\}",
                "{{ body.$1 | base46 }}",
            )
        },
    },
    Break {
        name: "a hole of another language",
        rules: &["V13"],
        make: |t| t.swap("^test:", r"\{\{ body\.([a-z_.]+) \}\}", "$${body.$1}"),
    },
    Break {
        name: "a field that nobody declared",
        rules: &["V14"],
        make: |t| {
            t.swap(
                "^test:",
                r"\{\{ body\.[a-z_.]+ \}\}",
                "{{ fields.nowhere }}",
            )
        },
    },
    Break {
        name: "a field that nothing uses",
        rules: &["V15"],
        make: |t| {
            let entry = "  - { id: unused_thing, label: Unused thing }";
            t.insert("^", "^fields:$", entry)
        },
    },
    Break {
        name: "a token before there is one",
        rules: &["V16"],
        make: |t| {
            t.swap(
                "^auth:",
                "^    authorize_url: ([^\"]*)$",
                "    authorize_url: $1?t={{ token.access_token }}",
            )
        },
    },
    Break {
        name: "a secret in a path",
        rules: &["V18", "V14", "V16"],
        make: |t| {
            let secret = Regex::new(r"\{\{ (credentials\.[a-z_]+|token\.access_token)").unwrap();
            let used = t
                .lines
                .iter()
                .find_map(|l| secret.captures(l).map(|c| c[1].to_owned()));
            let name = used.unwrap_or_else(|| "token.access_token".to_owned());
            t.swap(
                "^test:",
                r"path: (/[^ ,}]*)",
                &format!("path: \"$1?k={{{{ {name} }}}}\""),
            )
        },
    },
    Break {
        name: "a secret written into the file",
        rules: &["V19"],
        make: |t| {
            t.insert(
                "^api:",
                "^  base_url:",
                "  headers: { x-key: ghp_0123456789abcdefghijABCDEFGHIJ012345 }",
            )
            .filter(|_| t.find("^api:", "^  headers:").is_none())
        },
    },
    Break {
        name: "a secret that is not marked",
        rules: &["V20"],
        make: |t| {
            let at = t.find("^auth:", r"^ +secret: true$|, secret: true")?;
            if t.lines[at].trim() == "secret: true" {
                let mut lines = t.lines.clone();
                lines.remove(at);
                let start = (0..at)
                    .rev()
                    .find(|i| t.lines[*i].trim_start().starts_with("- "))?;
                Some((lines.join("\n") + "\n", start + 1))
            } else {
                let new = t.lines[at].replace(", secret: true", "");
                Some(t.with(at, &new))
            }
        },
    },
    Break {
        name: "a field with a reserved name",
        rules: &["V22"],
        make: |t| t.swap("^", r"^( +- )id: [a-z_]+$", "${1}id: access_token"),
    },
    Break {
        name: "a pattern that does not compile",
        rules: &["V24"],
        make: |t| t.swap("^", r"^( +)pattern: .*$", "${1}pattern: \"(?=a)b\""),
    },
    Break {
        name: "an example that does not match",
        rules: &["V25"],
        make: |t| {
            let at = t.find("^", r"^ +pattern: ")?;
            let near = t
                .lines
                .get(at.saturating_sub(4)..(at + 5).min(t.lines.len()))?;
            let offset = near
                .iter()
                .position(|l| l.trim_start().starts_with("example:"))?;
            let line = at.saturating_sub(4) + offset;
            let indent: String = t.lines[line].chars().take_while(|c| *c == ' ').collect();
            Some(t.with(line, &format!("{indent}example: \"!\"")))
        },
    },
    Break {
        name: "markup in a help text",
        rules: &["V30"],
        make: |t| {
            t.swap(
                "^",
                r"^( +)help: .*$",
                "${1}help: \"<script>alert(1)</script>\"",
            )
        },
    },
    Break {
        name: "a host that a person chooses freely",
        rules: &["V31"],
        make: |t| {
            t.swap(
                "^fields:",
                r"^( +)format: (dns-label|host|origin)$",
                "${1}format: text",
            )
            .map(|(text, _)| (text, 0))
        },
    },
    Break {
        name: "a token sent in the clear",
        rules: &["V32"],
        make: |t| t.swap("^auth:", r"token_url: https://", "token_url: http://"),
    },
    Break {
        name: "the API in the clear",
        rules: &["V32"],
        make: |t| t.swap("^api:", r"base_url: https://", "base_url: http://"),
    },
    Break {
        name: "a test at a host that is not the app's",
        rules: &["V33"],
        make: |t| {
            t.swap(
                "^test:",
                r"path: /[^ ,}]*",
                "path: https://elsewhere.keyport-other.net/me",
            )
        },
    },
    Break {
        name: "no place to send the person to",
        rules: &["V34", "V02"],
        make: |t| {
            let at = t.find("^auth:", "^    authorize_url: ")?;
            t.cut(at)
        },
    },
    Break {
        name: "PKCE off without a reason",
        rules: &["V37"],
        make: |t| match t.find("^auth:", "^    pkce:") {
            Some(_) => None,
            None => t.insert("^auth:", "^    token_url: ", "    pkce: { off: \"\" }"),
        },
    },
    Break {
        name: "a scope asked for twice",
        rules: &["V39"],
        make: |t| t.swap("^auth:", r#"default: \[([^\],]+)"#, "default: [$1, $1"),
    },
    Break {
        name: "a test that deletes",
        rules: &["V41"],
        make: |t| t.swap("^test:", r"method: GET", "method: DELETE"),
    },
    Break {
        name: "no rule of success",
        rules: &["V43", "V02"],
        make: |t| t.swap("^test:", r"^  ok: .*$", "  ok: {}"),
    },
    Break {
        name: "every account has the same label",
        rules: &["V46"],
        make: |t| t.swap("^test:", r"^( +)label: .*$", "${1}label: An account"),
    },
    Break {
        name: "every account has the same id",
        rules: &["V47"],
        make: |t| t.swap("^  account:", r"^    id: .*$", "    id: one"),
    },
    Break {
        name: "a grant that cannot be ended",
        rules: &["V51"],
        make: |t| {
            let at = t.find("^auth:", r"^    revoke: \S")?;
            t.cut(at)
        },
    },
    Break {
        name: "a header that is not the app's to set",
        rules: &["V57"],
        make: |t| t.insert("^api:", "^  headers:$", "    Host: elsewhere.example"),
    },
    Break {
        name: "a path that is none",
        rules: &["V58"],
        make: |t| t.swap("^test:", r"body: \$\.[a-z_.]+", "body: \"$$.[\""),
    },
    Break {
        name: "an action in capitals",
        rules: &["V61"],
        make: |t| t.swap("^actions:", r"^  [a-z]([a-z_]+):$", "  X$1:"),
    },
    Break {
        name: "a sample that does not fit",
        rules: &["V65"],
        make: |t| t.swap("^actions:", r"^    sample: .*$", "    sample: 7"),
    },
    Break {
        name: "events that cannot be told apart",
        rules: &["V66"],
        make: |t| {
            let at = t.find("^triggers:", "^    dedupe: ")?;
            t.cut(at)
        },
    },
];

#[test]
fn what_authors_get_wrong_is_found_under_the_right_rule_at_the_right_line() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests");
    let mut folders: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    let (mut made, mut found) = (0usize, 0usize);
    let mut missed = String::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for folder in &folders {
        let yaml = fs::read_to_string(folder.join("manifest.yaml")).unwrap();
        let text = Text {
            lines: yaml.lines().collect(),
        };
        // Fixtures are another matter, and would make up most of the time.
        let facts = FolderFacts {
            fixtures: Vec::new(),
            ..FolderFacts::read(folder)
        };
        for b in BREAKS {
            let Some((broken, line)) = (b.make)(&text) else {
                continue;
            };
            assert_ne!(
                broken.trim_end(),
                yaml.trim_end(),
                "{}: {} changed nothing",
                facts.name,
                b.name
            );
            made += 1;
            *places.entry(b.name).or_default() += 1;
            let report = check("manifest.yaml", &broken, Some(&facts));
            let told = report.findings.iter().any(|f| {
                f.file.is_none() && b.rules.contains(&f.rule) && (line == 0 || f.line == line)
            });
            if told {
                found += 1;
            } else {
                let said: Vec<String> = report
                    .findings
                    .iter()
                    .map(|f| format!("{}:{}", f.rule, f.line))
                    .collect();
                writeln!(
                    missed,
                    "{}: {} (line {line}): {}",
                    facts.name,
                    b.name,
                    said.join(" ")
                )
                .unwrap();
            }
        }
    }
    let share = found * 100 / made;
    println!(
        "{found} of {made} breaks found, {share} of 100, by {} ways in {} manifests",
        places.len(),
        folders.len()
    );
    println!("{missed}");
    for b in BREAKS {
        assert!(
            places.contains_key(b.name),
            "no manifest offers a place for: {}",
            b.name
        );
    }
    assert!(
        share >= FLOOR,
        "{share} of 100 are found, {FLOOR} are needed:\n{missed}"
    );
}
