//! The apps and components that the build put into the binary.
//!
//! `build.rs` writes the lists; nothing here is read from disk, so a binary alone is a whole installation.

/// One app of this binary.
pub struct EmbeddedApp {
    /// Its folder's name, which is its id.
    pub id: &'static str,
    /// `manifest.yaml`.
    pub manifest: &'static str,
    /// `logo.svg`, where the app has one.
    pub logo: Option<&'static str>,
    /// The component that serves it.
    pub component: &'static [u8],
    /// That component's name: `rest`, or its folder in `providers/`.
    pub component_name: &'static str,
}

/// As `build.rs` writes it.
struct Source {
    id: &'static str,
    manifest: &'static str,
    logo: Option<&'static str>,
    component: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Every app of this binary, sorted by id.
pub fn apps() -> Vec<EmbeddedApp> {
    APPS.iter()
        .map(|app| EmbeddedApp {
            id: app.id,
            manifest: app.manifest,
            logo: app.logo,
            // The build refuses a manifest whose component it does not have.
            component: component(app.component).unwrap_or_default(),
            component_name: app.component,
        })
        .collect()
}

/// A component of this binary, by its folder's name in `providers/`.
pub fn component(name: &str) -> Option<&'static [u8]> {
    COMPONENTS.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// The component that serves every declarative app.
pub fn rest() -> &'static [u8] {
    component("rest").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_app_has_its_component_and_the_declarative_one_is_there() {
        assert!(rest().starts_with(b"\0asm"));
        assert!(component("sdk").is_none());
        let apps = apps();
        assert!(apps.iter().any(|app| app.id == "sandbox-signed" && app.component_name == "sandbox-signed"));
        assert!(apps.iter().all(|app| app.component.starts_with(b"\0asm") && app.manifest.contains(&format!("id: {}", app.id))));
    }
}
