//! `keyport render`: what a manifest produces, before anybody connects: the form that people see, and every request that is
//! sent for them, with placeholders where secrets go.
//!
//! All of it is made by the functions that the host itself uses (`resolve`, `RequestSpec::build`, `rules::outgoing`), over
//! example values or those given with `--set`; nothing is sent, and no secret is asked for.

mod form;
mod operations;
pub mod sample;
mod sign_in;
mod text;
pub(super) mod values;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use keyport_manifest::{AuthMethod, Manifest};
use serde::Serialize;

use super::bases::Bases;
use super::older::typed;
use super::output::{Colour, print};
use super::source::Source;
use super::{Failure, Outcome};
use values::Values;
// `test` reads the same flag.
#[cfg(feature = "host")]
pub use values::{Given, given};

/// Flags of `render`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// A manifest or an app's folder; `-` reads standard input
    #[arg(value_name = "APP")]
    app: PathBuf,
    /// Only this way to sign in
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// The value of a field, as a person would type it; an example is used where none is given
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// How it is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// When output is coloured
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    color: Colour,
    /// Folders of apps that this one may extend
    #[arg(long = "apps", value_name = "FOLDER")]
    apps: Vec<PathBuf>,
}

/// How it is shown.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Format {
    /// For a person
    #[default]
    Text,
    /// One JSON document
    Json,
}

/// What a manifest produces.
#[derive(Debug, Serialize)]
struct Shown {
    app: String,
    name: String,
    version: String,
    methods: Vec<MethodShown>,
}

/// What one way to sign in produces.
#[derive(Debug, Serialize)]
struct MethodShown {
    id: String,
    label: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    /// Why this version of Keyport does not run it.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_run: Option<String>,
    form: Vec<form::Input>,
    steps: Vec<Step>,
}

/// Something that is sent, or why it could not be shown.
#[derive(Debug, Serialize)]
struct Step {
    /// Which it is: `authorize`, `token`, `refresh`, `revoke`, `test`, `action create_ticket`.
    step: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<RequestShown>,
    /// What there is to say of it beside or instead of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// A request, secrets as placeholders.
#[derive(Debug, Serialize)]
pub(super) struct RequestShown {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl Step {
    fn request(step: impl Into<String>, made: Result<RequestShown, String>) -> Self {
        let (request, note) = match made {
            Ok(request) => (Some(request), None),
            Err(why) => (None, Some(why)),
        };
        Self {
            step: step.into(),
            request,
            note,
        }
    }

    fn note(step: impl Into<String>, note: impl Into<String>) -> Self {
        Self {
            step: step.into(),
            request: None,
            note: Some(note.into()),
        }
    }
}

/// Shows it.
pub fn run(arguments: &Arguments) -> Outcome {
    let bases = Bases {
        folders: arguments.apps.clone(),
    };
    let manifest = typed(&Source::one(&arguments.app)?, &bases)?;
    let shown = shown(&manifest, arguments)?;
    let out = match arguments.format {
        Format::Text => text::of(&shown, arguments.color.on()),
        Format::Json => serde_json::to_string_pretty(&shown)
            .map(|text| text + "\n")
            .map_err(|error| Failure::Said(error.to_string()))?,
    };
    print(&out)?;
    Ok(ExitCode::SUCCESS)
}

fn shown(manifest: &Manifest, arguments: &Arguments) -> Result<Shown, Failure> {
    if let Some(wanted) = &arguments.method
        && !manifest.auth.contains_key(wanted)
    {
        let known: Vec<&str> = manifest.auth.keys().map(String::as_str).collect();
        return Err(Failure::Said(format!(
            "{} has no way to sign in called `{wanted}`; it has: {}",
            manifest.id,
            known.join(", ")
        )));
    }
    let set = values::given(manifest, &arguments.set)?;
    let mut methods = Vec::new();
    for (id, auth) in &manifest.auth {
        if arguments.method.as_ref().is_none_or(|wanted| wanted == id) {
            let values = Values::new(manifest, id, &set)?;
            methods.push(method(manifest, id, auth, &values));
        }
    }
    Ok(Shown {
        app: manifest.id.to_string(),
        name: manifest.name.clone(),
        version: manifest.version.to_string(),
        methods,
    })
}

fn method(manifest: &Manifest, id: &str, auth: &AuthMethod, values: &Values) -> MethodShown {
    let mut steps = sign_in::steps(manifest, id, auth, values);
    steps.extend(operations::steps(manifest, id, auth, values));
    MethodShown {
        id: id.to_owned(),
        label: auth.label().to_owned(),
        kind: auth.kind(),
        help: auth.help().map(str::to_owned),
        not_run: auth.why_not_run(),
        form: manifest
            .fields_for(id)
            .filter(|f| !f.hidden)
            .map(form::Input::of)
            .collect(),
        steps,
    }
}
