//! The authors' commands: all that one needs to write a manifest, offline and without a host.
//!
//! | command | what it does |
//! |---|---|
//! | `new` | an app's folder, from answers or from the vendor's OpenAPI document |
//! | `build` | a component of its own, from Rust, JavaScript or Python |
//! | `validate` | everything that is wrong with manifests, in one run |
//! | `render` | the form and the requests that a manifest produces |
//! | `diff` | what a new version breaks for those who used the old one |
//! | `schema` | the JSON Schema of the manifest, and the page that explains every key |
//!
//! None of them runs a component, opens a store or, without `validate --net`, sends anything, so this folder builds without wasmtime; what a manifest means is asked
//! of `keyport-manifest`, the crate that the host itself asks.

mod bases;
pub mod build;
mod component;
pub mod diff;
mod fixing;
mod neighbours;
pub mod net;
pub mod new;
mod older;
pub mod output;
pub mod render;
pub mod schema;
mod source;
pub mod validate;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::folders::FolderError;

/// What a command ends with: 0 nothing to say, 1 findings.
pub type Outcome = Result<ExitCode, Failure>;

/// Why a command could not do its work at all (exit code 2); printed as one sentence after `keyport: `.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A folder of apps could not be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Anything that is one sentence already.
    #[error("{0}")]
    Said(String),
}

/// `1 error`, `2 errors`.
pub fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
