//! One app's folder: `manifest.yaml`, `logo.svg`, and the component that the manifest names.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyport_connect::{AppSource, LeftOut};
use keyport_manifest::{AppId, Component, Manifest, Severity};
use sha2::{Digest as _, Sha256};

use super::{base, embedded_component};
use crate::folders::MANIFEST;
use crate::wiring::WiringError;

/// A component larger than this is not an app's: the largest language runtime known is 20 MB.
const COMPONENT_MAX_BYTES: u64 = 64 << 20;
/// The longest manifest and logo that are looked at.
const TEXT_MAX_BYTES: u64 = 4 << 20;

/// The logo's file.
pub const LOGO: &str = "logo.svg";

/// Reads an app's folder. A manifest that can't be read names no component; whoever reads it says what is wrong with it.
///
/// # Errors
/// A file that is not there, cannot be read or is too large.
pub fn source(folder: &Path) -> Result<AppSource, WiringError> {
    let path = folder.join(MANIFEST);
    let manifest_yaml = text(&path)?;
    let mut source = AppSource {
        origin: path.display().to_string(),
        manifest_yaml,
        logo_svg: std::fs::read(folder.join(LOGO))
            .ok()
            .map(bytes::Bytes::from),
        component: Arc::from(Vec::new()),
    };
    if let Ok(manifest) = manifest(&source, Some(folder)) {
        source.component = component(folder, &manifest.component)?;
    }
    Ok(source)
}

/// The manifest of a source that lies in `folder`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn manifest(source: &AppSource, folder: Option<&Path>) -> Result<Manifest, LeftOut> {
    let bases = |id: &AppId| base(folder, id);
    keyport_manifest::parse_with(&source.origin, &source.manifest_yaml, &bases).map_err(|all| {
        LeftOut {
            origin: source.origin.clone(),
            problems: all
                .iter()
                .filter(|finding| finding.severity == Severity::Error)
                .map(|f| format!("{}:{}:{}: {}", source.origin, f.line, f.column, f.message))
                .collect(),
        }
    })
}

/// The file of an app's own component. `None` where a component of the binary serves the app.
pub fn component_file(folder: &Path, component: &Component) -> Option<PathBuf> {
    component.file().map(|name| folder.join(name))
}

/// The bytes of the component that serves an app.
pub fn component(folder: &Path, component: &Component) -> Result<Arc<[u8]>, WiringError> {
    let of = folder.display().to_string();
    let path = match component {
        Component::Rest => return embedded_component("rest", &of),
        Component::Provider(name) => return embedded_component(name, &of),
        Component::Path(_) => match component_file(folder, component) {
            Some(path) => path,
            None => return Ok(Arc::from(Vec::new())),
        },
    };
    if !path.is_file() {
        return Err(WiringError::Apps(format!(
            "{} is not there; `keyport build {of}` makes it",
            path.display()
        )));
    }
    limited(&path, COMPONENT_MAX_BYTES).map(Arc::from)
}

/// A file's text.
pub fn text(path: &Path) -> Result<String, WiringError> {
    String::from_utf8(limited(path, TEXT_MAX_BYTES)?)
        .map_err(|_| WiringError::Apps(format!("{} is not UTF-8", path.display())))
}

fn limited(path: &Path, most: u64) -> Result<Vec<u8>, WiringError> {
    let file = |source| WiringError::File {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .map_err(file)?
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(file)?;
    if bytes.len() as u64 > most {
        return Err(WiringError::Apps(format!(
            "{} is larger than {} MiB",
            path.display(),
            most >> 20
        )));
    }
    Ok(bytes)
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
