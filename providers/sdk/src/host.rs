//! What the host gives a provider.
//!
//! A trait, so that a provider can be tested without a sandbox; in a component, [`Imports`] is the real one.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::Failure;
use crate::http::{Request, Response};

/// How loud a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For the author.
    Debug,
    /// Ordinary.
    Info,
    /// Worth a look.
    Warn,
    /// Broken.
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// The host did not do what was asked of it: no answer, no placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A stable word: `host_not_allowed`, `timeout`, `no_such_recipe` …
    pub code: String,
    /// A sentence.
    pub say: String,
    /// Whether the same may work later.
    pub transient: bool,
}

/// What a call is about and what it may use.
pub trait Host {
    /// Sends a request, with the credential attached by the host, and waits for the whole answer.
    ///
    /// # Errors
    /// Where there is no answer. Any status is an answer.
    fn send(&self, request: &Request) -> Result<Response, Refusal>;

    /// The manifest's parts `api`, `test`, `actions` and `triggers`, as JSON.
    fn manifest_json(&self) -> String;

    /// A public field or capture of the connection; `account.id` and `account.label` once known.
    fn value(&self, name: &str) -> Option<String>;

    /// A placeholder for a secret that the manifest lists under `handles`.
    ///
    /// # Errors
    /// Where the manifest has no such handle.
    fn handle(&self, name: &str) -> Result<String, Refusal>;

    /// A placeholder for a value that the host computes by a recipe of the manifest.
    ///
    /// # Errors
    /// Where the manifest has no such recipe, or it lacks a value.
    fn derive(&self, recipe: &str, args: &[(&str, &str)]) -> Result<String, Refusal>;

    /// Whether `given` is what a signing recipe makes of `message`.
    ///
    /// # Errors
    /// Where the manifest has no such recipe, or it does not sign.
    fn verify(
        &self,
        recipe: &str,
        args: &[(&str, &str)],
        message: &[u8],
        given: &str,
    ) -> Result<bool, Refusal>;

    /// A line for the person who runs Keyport.
    fn log(&self, level: Level, text: &str, data: &Value);

    /// The time, in seconds since 1970 (UTC).
    fn unix_time(&self) -> u64;
}

impl dyn Host + '_ {
    /// The manifest's parts, typed.
    ///
    /// # Errors
    /// Where the type does not fit.
    pub fn manifest<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.manifest_json()).map_err(|e| {
            Failure::other(format!(
                "the component does not understand its manifest: {e}"
            ))
            .code("manifest")
        })
    }

    /// A public field or capture that must be there.
    ///
    /// # Errors
    /// `Other`, naming the value.
    pub fn required(&self, name: &str) -> Result<String, Failure> {
        self.value(name).ok_or_else(|| {
            Failure::other(format!("this connection has no value for {name}")).code("missing_value")
        })
    }
}

/// The host as a component has it.
pub(crate) struct Imports;

/// Whether the component is built with the interface of placeholders. (`cfg!`, so that both are compiled always and the linker drops
/// the import that nothing calls.)
const SECRETS: bool = cfg!(feature = "secrets");

/// What is said where it is not.
fn no_secrets() -> Refusal {
    Refusal {
        code: "no_secrets".to_owned(),
        say: "the manifest declares no handles and no recipes".to_owned(),
        transient: false,
    }
}

mod imports {
    pub(super) use crate::bindings::connection::keyport::provider::{
        context, http, log, secrets, types,
    };
}

fn refusal(note: imports::types::Note) -> Refusal {
    let data: Value = serde_json::from_str(&note.data).unwrap_or(Value::Null);
    let transient = data
        .get("transient")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    Refusal {
        code: note.code,
        say: note.say,
        transient,
    }
}

fn pairs(args: &[(&str, &str)]) -> Vec<(String, String)> {
    args.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

impl Host for Imports {
    fn send(&self, request: &Request) -> Result<Response, Refusal> {
        let answer = imports::http::send(&imports::http::Request {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            options: Vec::new(),
        })
        .map_err(refusal)?;
        Ok(Response {
            status: answer.status,
            headers: answer.headers,
            body: answer.body,
        })
    }

    fn manifest_json(&self) -> String {
        imports::context::manifest()
    }

    fn value(&self, name: &str) -> Option<String> {
        imports::context::value(name)
    }

    fn handle(&self, name: &str) -> Result<String, Refusal> {
        if SECRETS {
            imports::secrets::handle(name).map_err(refusal)
        } else {
            Err(no_secrets())
        }
    }

    fn derive(&self, recipe: &str, args: &[(&str, &str)]) -> Result<String, Refusal> {
        if SECRETS {
            imports::secrets::derive(recipe, &pairs(args)).map_err(refusal)
        } else {
            Err(no_secrets())
        }
    }

    fn verify(
        &self,
        recipe: &str,
        args: &[(&str, &str)],
        message: &[u8],
        given: &str,
    ) -> Result<bool, Refusal> {
        if SECRETS {
            imports::secrets::verify(recipe, &pairs(args), message, given).map_err(refusal)
        } else {
            Err(no_secrets())
        }
    }

    fn log(&self, level: Level, text: &str, data: &Value) {
        imports::log::write(level.name(), text, &data.to_string());
    }

    fn unix_time(&self) -> u64 {
        // WASI's wall clock; before 1970 is a broken clock, and 0 will be refused by whoever checks it.
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }
}
