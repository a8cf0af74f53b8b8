//! `keyport new`: an app's folder from a few answers, or from the vendor's own OpenAPI document.
//!
//! All but [`command`] is pure: text in, text out. What comes out always
//! passes `keyport validate` without an error. What could not be known is a *blank*: a placeholder with a comment
//! `# TODO(keyport): …` above it that says what belongs there; `validate` warns until it is filled in.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`draft`] | the app as far as it is known: values and blanks |
//! | [`command`] | flags, files, what to do next |
//! | [`questions`] | what is asked in a terminal |
//! | [`answers`] | a draft from flags and answers |
//! | [`openapi`] | a draft from a vendor's document (OpenAPI 3.0, 3.1, Swagger 2.0) |
//! | [`manifest`] | a draft as `manifest.yaml` |
//! | [`methods`] | its ways to sign in |
//! | [`fixtures`] | a draft as `fixtures/` |
//! | [`code`] | a component of its own, in one of three languages |
//! | [`logo`] | a lettermark to stand in for the logo |
//! | [`yaml`] | YAML text with a sensible order and comments, which no serializer would write |
//! | [`text`] | ids, labels and sentences from names and prose |
//!
//! Against which threat: a vendor's document is somebody else's text. It is never executed or fetched from; what it says
//! lands in quoted scalars, holes of the template language are refused, only `https` addresses are taken over, and cookies,
//! the implicit grant and the password grant are left out with a remark instead of being imitated.
//!
//! What it leaves out: actions and triggers, but for the one that shows an author of code how. An OpenAPI document has hundreds of operations, and which few of them are
//! worth offering is the author's judgement.

mod answers;
mod code;
pub mod command;
mod draft;
mod fixtures;
mod logo;
mod manifest;
mod methods;
pub mod openapi;
mod questions;
#[cfg(test)]
mod tests;
mod text;
mod yaml;

use answers::{Answers, AuthKind};
use draft::Draft;
use text::app_id;

/// A file of the new folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Its path inside the app's folder.
    pub path: &'static str,
    /// What it holds.
    pub text: String,
}

/// What `keyport new` writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaffold {
    /// The app's id, which is the folder's name.
    pub id: String,
    /// The files, the manifest first.
    pub files: Vec<NewFile>,
    /// The files of `component/`, where the app has code of its own.
    pub code: Vec<(String, String)>,
    /// The blanks of the manifest: line and what belongs there.
    pub blanks: Vec<(usize, String)>,
    /// What of the vendor's document was not carried over, and why.
    pub remarks: Vec<String>,
}

/// The folder of an app as far as it is known.
#[must_use]
pub fn scaffold(draft: &Draft) -> Scaffold {
    let (manifest, blanks) = manifest::write(draft);
    let mut files = vec![
        NewFile {
            path: "manifest.yaml",
            text: manifest,
        },
        NewFile {
            path: "logo.svg",
            text: logo::draw(&draft.id, &draft.name),
        },
        NewFile {
            path: "fixtures/test.yaml",
            text: fixtures::test(draft),
        },
    ];
    files.extend(fixtures::token(draft).map(|text| NewFile {
        path: "fixtures/token.yaml",
        text,
    }));
    Scaffold {
        id: draft.id.clone(),
        files,
        code: draft
            .lang
            .map(|lang| code::files(draft, lang))
            .unwrap_or_default(),
        blanks,
        remarks: draft.remarks.clone(),
    }
}
