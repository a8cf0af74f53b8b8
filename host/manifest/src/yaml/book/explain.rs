//! A rule for a person who asks: `keyport validate --explain V31`.

use std::fmt::Write as _;

use super::{Example, Rule, rule};

/// Everything that the book says of a rule; for an unknown id, a sentence that says so.
#[must_use]
pub fn explain(id: &str) -> String {
    match rule(id) {
        Some(rule) => told(rule),
        None => format!(
            "There is no rule `{}`. Rules are called V01 to V98.\n",
            id.trim()
        ),
    }
}

fn told(rule: &Rule) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}  {}", rule.id, rule.title);
    let _ = writeln!(
        out,
        "     {}, {}\n",
        rule.severity.as_str(),
        rule.layer.when()
    );
    let _ = writeln!(out, "{}", rule.why.trim());
    if let Some(example) = &rule.bad {
        shown(&mut out, "Wrong", example);
    }
    if let Some(example) = &rule.good {
        shown(&mut out, "Right", example);
    }
    for more in &rule.further {
        shown(&mut out, &format!("Wrong, of {}", more.about), &more.bad);
        shown(&mut out, "Right", &more.good);
    }
    let _ = match rule.allow {
        true => writeln!(
            out,
            "\nTo let one stand, write `# allow {}: <why>` on the line before it or at the end of its line.",
            rule.id
        ),
        false => writeln!(out, "\nIt cannot be allowed by a comment."),
    };
    out
}

fn shown(out: &mut String, title: &str, example: &Example) {
    let _ = writeln!(out, "\n{title}:\n");
    if let Some(old) = &example.old {
        block(out, "# before", old);
        block(out, "# after", example.shown());
    } else if !example.shown().is_empty() {
        block(out, "", example.shown());
    }
    if let Some(component) = &example.component {
        let text = serde_yaml::to_string(component).unwrap_or_default();
        block(out, "# the component", &text);
    }
    for (name, value) in example.given.iter().flatten() {
        let flag = name.chars().all(char::is_lowercase);
        let how = if flag {
            "--set "
        } else {
            "KEYPORT_NET_HARBORDESK_"
        };
        block(out, "", &format!("# given {how}{name}={value}"));
    }
    for (request, answer) in example.peer.iter().flatten() {
        let body = match &answer.body {
            serde_json::Value::Null => String::new(),
            body => format!(" {body}"),
        };
        let only = answer.wants.as_ref();
        let only = only.map_or_else(String::new, |w| format!(" (with `{w}` in it)"));
        let told = format!("# {request}{only}\n# answers {}{body}", answer.status);
        block(out, "", &told);
    }
    let Some(beside) = &example.beside else {
        return;
    };
    if let Some(folder) = &beside.folder {
        block(out, "", &format!("# in the folder {folder}/"));
    }
    match beside.logo.as_deref() {
        Some("") => block(out, "", "# without a logo.svg"),
        Some(logo) => block(out, "# logo.svg", logo),
        None => {}
    }
    for (name, text) in beside.fixtures.iter().flatten() {
        block(out, &format!("# fixtures/{name}"), text);
    }
}

fn block(out: &mut String, heading: &str, text: &str) {
    let heading = Some(heading).filter(|h| !h.is_empty());
    for line in heading.into_iter().chain(text.trim_end().lines()) {
        let _ = writeln!(out, "    {line}");
    }
}
