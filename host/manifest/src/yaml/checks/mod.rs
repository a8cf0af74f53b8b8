//! Checks of sense, one file per subject. A rule that is listed in a file's header fires from there.

mod auth;
mod catalogue;
mod component;
mod discovery;
mod failures;
mod fields;
mod form;
mod hosts;
mod identity;
mod leftovers;
mod limits;
mod literals;
mod logo;
mod operations;
mod sample;
mod schema_form;
mod scopes;
mod signin;
mod support;
mod templates;
mod testcall;
mod texts;
mod variants;
mod vendors;
mod webhooks;
mod words;

pub use literals::secret_form;
pub(super) use literals::written;

pub(crate) use schema_form::KEYS as SCHEMA_KEYS;

use serde_json::Value;

use super::finding::{Finding, FolderFacts, Severity};
use super::places::Places;
use crate::model::{Field, Manifest};
use crate::template::Ref;

/// Most findings that checks may have.
const MAX_FINDINGS: usize = 2_000;

/// What every check is given: the manifest, its tree, its places, and where to put findings.
pub(super) struct Checker<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) tree: &'a Value,
    places: &'a Places,
    findings: &'a mut Vec<Finding>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(
        manifest: &'a Manifest,
        tree: &'a Value,
        places: &'a Places,
        findings: &'a mut Vec<Finding>,
    ) -> Self {
        Self {
            manifest,
            tree,
            places,
            findings,
        }
    }

    /// An error at the value of a path.
    pub(super) fn error(
        &mut self,
        rule: &'static str,
        path: &str,
        message: impl Into<String>,
        fix: Option<&str>,
    ) {
        self.add(rule, Severity::Error, path, message.into(), fix);
    }

    /// A warning at the value of a path.
    pub(super) fn warn(
        &mut self,
        rule: &'static str,
        path: &str,
        message: impl Into<String>,
        fix: Option<&str>,
    ) {
        self.add(rule, Severity::Warning, path, message.into(), fix);
    }

    /// Something worth knowing, at the value of a path.
    pub(super) fn note(&mut self, rule: &'static str, path: &str, message: impl Into<String>) {
        self.add(rule, Severity::Note, path, message.into(), None);
    }

    fn add(
        &mut self,
        rule: &'static str,
        severity: Severity,
        path: &str,
        message: String,
        fix: Option<&str>,
    ) {
        // Nobody reads to the end of so many; reading on only costs.
        if self.findings.len() >= MAX_FINDINGS {
            return;
        }
        let at = self.places.value(path);
        let (path, fix) = (path.to_owned(), fix.map(str::to_owned));
        self.findings.push(Finding {
            rule,
            file: None,
            severity,
            message,
            path,
            line: at.line,
            column: at.column,
            fix,
            edit: None,
        });
    }

    /// A finding at a place of its own, in another file of the folder.
    pub(super) fn elsewhere(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// The declaration of a field, as templates of one way to sign in see it.
    fn field(&self, root: &str, name: &str, method: Option<&str>) -> Option<&'a Field> {
        let manifest = self.manifest;
        match root {
            "fields" => manifest.fields.iter().find(|f| f.id == name),
            "credentials" => manifest
                .auth
                .get(method?)
                .and_then(|m| m.fields().iter().find(|f| f.id == name)),
            _ => None,
        }
    }

    /// Whether a value is secret, seen from one way to sign in. What is not declared counts as secret.
    fn is_secret(&self, r: &Ref, method: Option<&str>) -> bool {
        let name = r.name().unwrap_or_default();
        match r.root.as_str() {
            "fields" | "credentials" => self.field(&r.root, name, method).is_none_or(|f| f.secret),
            "capture" => self.capture(name, method).is_none_or(|c| !c.public),
            "token" | "tokens" | "jwt" | "callback" => true,
            "app" => name != "client_id",
            _ => false,
        }
    }

    fn capture(&self, name: &str, method: Option<&str>) -> Option<&'a crate::model::Capture> {
        self.manifest
            .auth
            .get(method?)
            .and_then(|m| m.capture(name))
            .or_else(|| self.discovered(name, method?).map(|(_, capture)| capture))
    }

    /// A capture of discovery, as one way to sign in sees it, and the number of its step.
    fn discovered(&self, name: &str, method: &str) -> Option<(usize, &'a crate::model::Capture)> {
        let steps = self.manifest.discovery.iter().enumerate();
        steps
            .filter(|(_, step)| step.is_for(method))
            .find_map(|(i, step)| Some((i, step.capture.get(name)?)))
    }
}

/// Runs every check.
pub(super) fn all(c: &mut Checker<'_>, folder: Option<&FolderFacts>) {
    identity::check(c, folder);
    fields::check(c);
    variants::check(c);
    discovery::check(c);
    templates::check(c);
    hosts::check(c);
    auth::check(c);
    testcall::check(c);
    operations::check(c);
    failures::check(c);
    form::check(c);
    words::check(c);
    leftovers::check(c);
    literals::check(c);
    vendors::check(c);
    scopes::check(c);
    limits::check(c);
    schema_form::check(c);
    sample::check(c);
    catalogue::check(c);
    webhooks::check(c);
    component::check(c);
    support::check(c);
    if let Some(folder) = folder {
        logo::check(c, folder);
    }
}
