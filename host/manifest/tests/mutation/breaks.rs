//! The slips: what each does to a manifest, and the rules any of which tells it right.

use regex::Regex;

use crate::text::{Broken, Text};

/// One way to break a manifest.
pub(crate) struct Break {
    pub(crate) name: &'static str,
    /// Rules any of which tells it right.
    pub(crate) rules: &'static [&'static str],
    pub(crate) make: fn(&Text<'_>) -> Option<Broken>,
}
pub(crate) const BREAKS: &[Break] = &[
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
