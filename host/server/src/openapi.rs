//! The document about the API, OpenAPI 3.1, made from the handlers themselves.
//!
//! What is not documented is not routed (`routes!` takes both from one place), and a snapshot test shows every
//! change of the API as a change of one file: `tests/snapshots/`.
//!
//! Left out: the hosted pages' own JSON under `/page`; it serves our pages only and changes with them.

use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::problem::{FieldProblem, ProblemView};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Keyport",
        description = "Connects people's app accounts to your platform. Every call carries a platform key: \
            `Authorization: Bearer kp_…`. Errors are problem details (RFC 9457): act on `code`, show `detail`. \
            Lists come in pages: hand `next_cursor` back as `cursor`.",
        license(name = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "This host")),
    tags(
        (name = "apps", description = "What can be connected"),
        (name = "configurations", description = "What you set for an app: its OAuth client above all"),
        (name = "sessions", description = "A short-lived right for one user's browser to connect or to manage"),
        (name = "connections", description = "One account of one owner at one app"),
        (name = "use", description = "Calling apps through a connection"),
        (name = "triggers", description = "Being told of what happens at apps"),
        (name = "webhooks", description = "Where events are sent"),
        (name = "events", description = "What happened"),
    ),
    components(schemas(ProblemView<'static>, FieldProblem)),
    security(("platform_key" = [])),
    modifiers(&PlatformKey),
)]
struct Api;

struct PlatformKey;

impl Modify for PlatformKey {
    fn modify(&self, document: &mut Document) {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some(
            "A platform key. Its scopes: manage, connect, actions, proxy, read-credentials. Make one with `keyport key create`."
                .to_owned(),
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("platform_key", SecurityScheme::Http(scheme));
    }
}

/// What is known before the routes add theirs.
pub(crate) fn base() -> Document {
    Api::openapi()
}
