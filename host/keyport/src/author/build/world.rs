//! The world of an app's component: what every component has, and the interfaces that the manifest's `code: true` asks for.

use keyport_manifest::Manifest;

/// A world of the author's own, in the component's folder, for whoever wants another.
pub const FILE: &str = "world.wit";

/// The name that every tool is given.
pub const NAME: &str = "app";

/// The interface of placeholders.
const SECRETS: &str = "secrets";

/// Whether a component of this world uses secrets: its text imports them, or all of `provider`.
pub fn has_secrets(world: &str) -> bool {
    let own = format!("import keyport:provider/{SECRETS}@");
    world.contains(&own)
        || world
            .lines()
            .any(|line| line.trim().starts_with("include "))
}

/// The world, as WIT.
pub fn of(manifest: &Manifest) -> String {
    let mut text = format!("package keyport:app;\n\nworld {NAME} {{\n");
    // An app that places no secret does not ask for them either.
    let secrets = !(manifest.handles.is_empty() && manifest.recipes.is_empty());
    let lifecycle = manifest.lifecycle.connected.is_some() || manifest.lifecycle.disconnecting;
    let mut grants = manifest.auth.values().filter_map(|auth| auth.oauth2());
    let exchange = grants.any(|oauth| oauth.by_component.is_some());
    let parts = [
        ("import", "http", true),
        ("import", "context", true),
        ("import", "log", true),
        ("import", SECRETS, secrets),
        ("export", "connection", true),
        (
            "export",
            "actions",
            manifest.actions.values().any(|it| it.code),
        ),
        (
            "export",
            "triggers",
            manifest.triggers.values().any(|it| it.code),
        ),
        ("export", "lifecycle", lifecycle),
        ("export", "exchange", exchange),
    ];
    for (way, name, _) in parts.iter().filter(|(.., wanted)| *wanted) {
        text.push_str(&format!("  {way} keyport:provider/{name}@1.0.0;\n"));
    }
    text.push_str("}\n");
    text
}
