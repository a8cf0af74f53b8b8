//! What the build put into the binary: the manifests and logos of `manifests/`, and the components that serve them.
//! A build for authors alone has the manifests, which others may extend, and no component.

/// An app of the repository.
#[cfg_attr(
    not(feature = "host"),
    allow(dead_code, reason = "only a host shows logos and runs components")
)]
pub struct EmbeddedApp {
    /// Its id, which is its folder's name.
    pub id: &'static str,
    /// Its manifest, YAML.
    pub manifest: &'static str,
    /// Its logo, SVG.
    pub logo: Option<&'static str>,
    /// The name of the component that serves it.
    pub component: &'static str,
}

#[cfg_attr(
    not(feature = "host"),
    allow(dead_code, reason = "only a host runs components")
)]
mod table {
    use super::EmbeddedApp;

    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// All apps, by id.
pub fn apps() -> &'static [EmbeddedApp] {
    table::APPS
}

/// A component by its name: `rest`, or a folder of `providers/`.
#[cfg(feature = "host")]
pub fn component(name: &str) -> Option<&'static [u8]> {
    table::COMPONENTS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, bytes)| *bytes)
}
