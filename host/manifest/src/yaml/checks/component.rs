//! What a manifest has its component do.
//!
//! V34 what runs code of its own has a component of its own; what that returns has a name of its own.

use super::Checker;
use crate::model::Component;
use crate::yaml::places::{child, item};

pub(super) fn check(c: &mut Checker<'_>) {
    let m = c.manifest;
    let rest = m.component == Component::Rest;
    let own = |c: &mut Checker<'_>, path: &str| {
        c.error(
            "V34",
            path,
            "`rest` runs no code of an app's own",
            Some("name a component: `component: ./component`"),
        );
    };
    if rest && m.lifecycle != crate::model::Lifecycle::default() {
        own(c, "lifecycle");
    }
    for (id, auth) in &m.auth {
        let Some(by) = auth.oauth2().and_then(|o| o.by_component.as_deref()) else {
            continue;
        };
        let path = child(&child("auth", id), "by_component");
        if rest {
            own(c, &path);
        }
        if by.slots.is_empty() {
            c.error(
                "V34",
                &child(&path, "slots"),
                "without a slot the component cannot send the code",
                Some("add `code: [{ body: code }]`"),
            );
        }
    }
    let captures = m.lifecycle.connected.iter().flat_map(|own| &own.captures);
    for (i, id) in captures.enumerate() {
        let path = item("lifecycle.connected.captures", i);
        let taken = m.auth.values().any(|auth| auth.capture(id).is_some())
            || m.discovery.iter().any(|step| step.capture.contains_key(id))
            || m.app_fields().any(|field| field.id == *id);
        if taken {
            c.error(
                "V34",
                &path,
                format!("`{id}` is a field or a capture already"),
                Some("give what the component returns a name of its own"),
            );
        }
    }
}
