//! The same for a person.

use std::fmt::Write as _;

use super::form::Input;
use super::{MethodShown, RequestShown, Shown};

/// Mark where bold type begins and ends, until the text is free of what a stranger may have put in.
const ON: char = '\u{e000}';
const OFF: char = '\u{e001}';

/// All of it as text.
pub fn of(shown: &Shown, colour: bool) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{ON}{} ({}) {}{OFF}",
        shown.name, shown.app, shown.version
    );
    for method in &shown.methods {
        let _ = writeln!(
            out,
            "\n{ON}{}: {}{OFF} ({})",
            method.id, method.label, method.kind
        );
        one(&mut out, method);
    }
    let plain: String = out
        .chars()
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect();
    let (bold, normal) = if colour {
        ("\u{1b}[1m", "\u{1b}[0m")
    } else {
        ("", "")
    };
    plain.replace(ON, bold).replace(OFF, normal)
}

fn one(out: &mut String, method: &MethodShown) {
    if let Some(help) = &method.help {
        let _ = writeln!(out, "  {help}");
    }
    if let Some(why) = &method.not_run {
        let _ = writeln!(out, "  Not offered to people yet: {why}.");
    }
    if method.form.is_empty() {
        let _ = writeln!(out, "\n  Nothing is asked for.");
    }
    let mut group: Option<&String> = None;
    for input in &method.form {
        if input.group.is_some() && input.group.as_ref() != group {
            group = input.group.as_ref();
            let _ = writeln!(
                out,
                "\n  {ON}{}{OFF}",
                input.group.as_deref().unwrap_or_default()
            );
        }
        field(out, input);
    }
    for step in &method.steps {
        let _ = writeln!(out, "\n  {ON}{}{OFF}", step.step);
        if let Some(request) = &step.request {
            sent(out, request);
        }
        if let Some(note) = &step.note {
            let _ = writeln!(out, "    {note}");
        }
    }
}

fn field(out: &mut String, input: &Input) {
    let mut marks = vec![input.format];
    if !input.required {
        marks.push("optional");
    }
    if input.secret {
        marks.push("secret");
    }
    let _ = writeln!(
        out,
        "\n  {} [{}] ({})",
        input.label,
        input.id,
        marks.join(", ")
    );
    if let Some((other, values)) = &input.shown_when {
        let _ = writeln!(out, "    only while {other} is {}", values.join(" or "));
    }
    let placeholder = input.default.as_ref().or(input.example.as_ref());
    if input.prefix.is_some() || input.suffix.is_some() || placeholder.is_some() {
        let _ = writeln!(
            out,
            "    {}[{}]{}",
            input.prefix.as_deref().unwrap_or_default(),
            placeholder.map_or("    ", String::as_str),
            input.suffix.as_deref().unwrap_or_default()
        );
    }
    if let Some((accept, max)) = &input.file {
        let kinds = if accept.is_empty() {
            "any".to_owned()
        } else {
            accept.join(", ")
        };
        let _ = writeln!(out, "    or as a file ({kinds}; at most {max} bytes)");
    }
    for (value, label) in &input.choices {
        let _ = writeln!(out, "    ( ) {label} = {value}");
    }
    if let Some(help) = &input.help {
        let _ = writeln!(out, "    {help}");
    }
    if let Some(url) = &input.help_url {
        let _ = writeln!(out, "    {url}");
    }
}

fn sent(out: &mut String, request: &RequestShown) {
    let _ = writeln!(out, "    {} {}", request.method, request.url);
    for (name, value) in &request.headers {
        let _ = writeln!(out, "    {name}: {value}");
    }
    if let Some(body) = &request.body {
        for line in body.lines() {
            let _ = writeln!(out, "\n    {line}");
        }
    }
}
