//! The pages' own files, in the binary: nothing is read from disk and nothing is fetched from elsewhere.
//!
//! The table below is the whole list of what `/assets/…` can answer; a name is looked up, never joined to a path, so
//! there is no traversal to guard against. A test reads the folder and fails when a file is missing from the table.
//!
//! Left out: fingerprinted names. Files are revalidated by `ETag` on each load (304), so that an upgrade of the host is
//! seen at once and modules of two versions never mix.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::problem::Problem;

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// One file: its name under `/assets/`, its media type, its text.
pub(super) struct Asset {
    pub(super) name: &'static str,
    pub(super) media_type: &'static str,
    pub(super) text: &'static str,
}

macro_rules! assets {
    ($($media_type:ident $name:literal),+ $(,)?) => {
        &[$(Asset { name: $name, media_type: $media_type, text: include_str!(concat!("../../assets/", $name)) }),+]
    };
}

/// Everything under `/assets/`.
pub(super) const ASSETS: &[Asset] = assets![
    CSS "theme.css",
    CSS "base.css",
    CSS "apps.css",
    CSS "connect.css",
    SVG "keyport.svg",
    JS "js/api.js",
    JS "js/apps.js",
    JS "js/catalogue.js",
    JS "js/connect-dialog.js",
    JS "js/connect-panel.js",
    JS "js/connect-window.js",
    JS "js/deliver.js",
    JS "js/dialog.js",
    JS "js/dom.js",
    JS "js/end.js",
    JS "js/events.js",
    JS "js/fields.js",
    JS "js/list.js",
    JS "js/open.js",
    JS "js/pick.js",
    JS "js/popup.js",
    JS "js/row-actions.js",
    JS "js/row.js",
    JS "js/test-report.js",
    JS "js/wait.js",
    JS "js/words.js",
];

/// What a platform's page loads from here, by a route of its own.
pub(super) const CONNECT_JS: Asset =
    Asset { name: "connect.js", media_type: JS, text: include_str!("../../assets/connect.js") };
/// The types of [`CONNECT_JS`].
pub(super) const CONNECT_D_TS: Asset = Asset {
    name: "connect.d.ts",
    media_type: "text/plain; charset=utf-8",
    text: include_str!("../../assets/connect.d.ts"),
};

static ETAGS: LazyLock<Vec<(&'static str, HeaderValue)>> = LazyLock::new(|| {
    let all = ASSETS.iter().chain([&CONNECT_JS, &CONNECT_D_TS]);
    all.filter_map(|asset| Some((asset.name, etag(asset.text)?))).collect()
});

fn etag(text: &str) -> Option<HeaderValue> {
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(text));
    HeaderValue::from_str(&format!("\"{digest}\"")).ok()
}

/// `GET /assets/{*name}`
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let found = ASSETS.iter().find(|asset| asset.name == name).ok_or_else(Problem::no_such_route)?;
    Ok(send(found, &headers))
}

/// `GET /connect.js`: loaded by pages of other origins, so it says that it may be.
pub(super) async fn connect_js(headers: HeaderMap) -> Response {
    for_everyone(send(&CONNECT_JS, &headers))
}

/// `GET /connect.d.ts`
pub(super) async fn connect_d_ts(headers: HeaderMap) -> Response {
    for_everyone(send(&CONNECT_D_TS, &headers))
}

fn for_everyone(mut response: Response) -> Response {
    let policy = HeaderName::from_static("cross-origin-resource-policy");
    response.headers_mut().insert(policy, HeaderValue::from_static("cross-origin"));
    response
}

fn send(asset: &Asset, asked: &HeaderMap) -> Response {
    let tag = ETAGS.iter().find(|(name, _)| *name == asset.name).map(|(_, tag)| tag.clone());
    let known = tag.is_some() && asked.get(header::IF_NONE_MATCH) == tag.as_ref();
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { asset.text.into_response() };
    let headers = response.headers_mut();
    if !known {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Some(tag) = tag {
        headers.insert(header::ETAG, tag);
    }
    response
}
