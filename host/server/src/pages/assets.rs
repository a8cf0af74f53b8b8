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
    JS "js/connect-steps.js",
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
pub(super) const CONNECT_JS: Asset = Asset {
    name: "connect.js",
    media_type: JS,
    text: include_str!("../../assets/connect.js"),
};
/// The types of [`CONNECT_JS`].
pub(super) const CONNECT_D_TS: Asset = Asset {
    name: "connect.d.ts",
    media_type: "text/plain; charset=utf-8",
    text: include_str!("../../assets/connect.d.ts"),
};

static ETAGS: LazyLock<Vec<(&'static str, HeaderValue)>> = LazyLock::new(|| {
    let all = ASSETS.iter().chain([&CONNECT_JS, &CONNECT_D_TS]);
    all.filter_map(|asset| Some((asset.name, etag(asset.text)?)))
        .collect()
});

fn etag(text: &str) -> Option<HeaderValue> {
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(text));
    HeaderValue::from_str(&format!("\"{digest}\"")).ok()
}

/// `GET /assets/{*name}`
pub(super) async fn asset(
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = ASSETS
        .iter()
        .find(|asset| asset.name == name)
        .ok_or_else(Problem::no_such_route)?;
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
    response
        .headers_mut()
        .insert(policy, HeaderValue::from_static("cross-origin"));
    response
}

fn send(asset: &Asset, asked: &HeaderMap) -> Response {
    let tag = ETAGS
        .iter()
        .find(|(name, _)| *name == asset.name)
        .map(|(_, tag)| tag.clone());
    let known = tag.is_some() && asked.get(header::IF_NONE_MATCH) == tag.as_ref();
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        asset.text.into_response()
    };
    let headers = response.headers_mut();
    if !known {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(asset.media_type),
        );
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Some(tag) = tag {
        headers.insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path as FilePath, PathBuf};

    use super::*;

    fn folder() -> PathBuf {
        FilePath::new(env!("CARGO_MANIFEST_DIR")).join("assets")
    }

    /// Every file of the folder: (name relative to it, text).
    fn files() -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut open = vec![folder()];
        while let Some(at) = open.pop() {
            for entry in std::fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let name = path
                        .strip_prefix(folder())
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .replace('\\', "/");
                    found.push((name, std::fs::read_to_string(&path).unwrap()));
                }
            }
        }
        found
    }

    fn of_kind(endings: &[&str]) -> Vec<(String, String)> {
        files()
            .into_iter()
            .filter(|(name, _)| endings.iter().any(|ending| name.ends_with(ending)))
            .collect()
    }

    #[test]
    fn every_file_of_the_folder_is_in_the_binary_and_in_the_table() {
        let apart = ["README.md", "connect.js", "connect.d.ts"];
        let on_disk: BTreeSet<String> = files()
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| !name.ends_with(".html") && !apart.contains(&name.as_str()))
            .collect();
        let in_table: BTreeSet<String> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
        assert_eq!(on_disk, in_table);
    }

    #[test]
    fn no_file_builds_elements_from_text_or_runs_text_as_code() {
        let ways = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "DOMParser",
            "createContextualFragment",
            "srcdoc",
            "javascript:",
            "eval(",
            "new Function",
            "setAttribute('on",
            "setAttribute(\"on",
        ];
        for (name, text) in of_kind(&[".js", ".html"]) {
            for way in ways {
                assert!(!text.contains(way), "{name} has {way}");
            }
        }
    }

    #[test]
    fn no_document_has_inline_scripts_styles_or_handlers() {
        for (name, text) in of_kind(&[".html", ".svg"]) {
            for tag in text.split('<').skip(1) {
                let tag = tag.split('>').next().unwrap();
                assert!(!tag.starts_with("style"), "{name}: <{tag}>");
                assert!(
                    !tag.starts_with("script") || tag.contains(" src=\"/assets/"),
                    "{name}: <{tag}>"
                );
                for attribute in tag.split_ascii_whitespace().skip(1) {
                    assert!(
                        !attribute.starts_with("on") && !attribute.starts_with("style="),
                        "{name}: <{tag}>"
                    );
                }
            }
        }
    }

    #[test]
    fn no_file_loads_anything_from_elsewhere() {
        // Names of a namespace and of an example in a comment; neither is ever fetched.
        let allowed = ["www.w3.org/2000/svg", "keyport.example/connect.js"];
        for (name, text) in of_kind(&[".js", ".html", ".css", ".svg", ".ts"]) {
            for (at, _) in text.match_indices("://") {
                let rest = text.get(at + 3..).unwrap();
                let named = rest.starts_with(|letter: char| letter.is_ascii_alphanumeric());
                assert!(
                    !named || allowed.iter().any(|known| rest.starts_with(known)),
                    "{name}: {}",
                    rest.lines().next().unwrap()
                );
            }
            assert!(
                !name.ends_with(".css") || !(text.contains("url(") || text.contains("@import")),
                "{name}"
            );
            for value in text
                .split("src=\"")
                .skip(1)
                .chain(text.split("href=\"").skip(1))
            {
                let local =
                    value.starts_with("/assets/") || name.ends_with(".js") || name.ends_with(".ts");
                assert!(local, "{name}: {}", value.lines().next().unwrap());
            }
        }
    }

    #[test]
    fn messages_between_windows_always_name_an_exact_origin() {
        for (name, text) in of_kind(&[".js"]) {
            assert!(
                !text.contains("'*'") && !text.contains("\"*\""),
                "{name} has a wildcard"
            );
        }
    }

    /// The body of a function of a script.
    fn function<'t>(text: &'t str, name: &str) -> &'t str {
        let (_, body) = text
            .split_once(&format!("function {name}("))
            .unwrap_or_else(|| panic!("there is no {name}"));
        body.split("\n}").next().unwrap()
    }

    fn script(name: &str) -> &'static str {
        ASSETS.iter().find(|asset| asset.name == name).unwrap().text
    }

    /// A15: a page that knew the name of a window could send it elsewhere, and one that was opened could send its opener.
    #[test]
    fn a_second_window_has_a_name_that_nobody_knows_and_forgets_who_opened_it() {
        for (name, text) in of_kind(&[".js"]) {
            for (at, _) in text.match_indices("window.open(") {
                let call = text.get(at..).unwrap().split(')').next().unwrap();
                assert_eq!(call.split(", ").nth(1), Some("name"), "{name}: {call}");
                let before = text.get(..at).unwrap();
                let named = before
                    .rsplit("name = ")
                    .next()
                    .unwrap()
                    .lines()
                    .next()
                    .unwrap();
                assert!(named.contains("crypto.getRandomValues"), "{name}: {named}");
            }
        }
        let sends = function(script("js/popup.js"), "sendPopup");
        let forgets = sends
            .find("popup.opener = null;")
            .expect("it forgets who opened it");
        assert!(forgets < sends.find("popup.location.replace(").unwrap());
        assert!(sends.contains("if (target.origin !== location.origin) throw"));
    }

    /// A38: what an app says as an address is a link if it is https, and text otherwise.
    #[test]
    fn an_address_of_an_app_becomes_a_link_only_if_it_is_https() {
        let outside = function(script("js/dom.js"), "outside");
        let check = outside.find("if (parsed.protocol !== 'https:') return null;");
        assert!(check.expect("it looks at the scheme") < outside.find("el('a'").unwrap());
        assert!(outside.contains("rel: 'noopener noreferrer'"));
        // No other place makes a link of anything but an address of our own.
        for (name, text) in of_kind(&[".js"]) {
            for (at, _) in text.match_indices("href:") {
                let value = text.get(at + 5..).unwrap().trim_start();
                let own = value.starts_with("'/") || value.starts_with("`/");
                assert!(
                    own || value.starts_with("parsed.href"),
                    "{name}: {value:.40}"
                );
            }
        }
    }

    #[test]
    fn every_module_that_is_imported_exists() {
        for (name, text) in of_kind(&[".js"]) {
            for import in text.split("from './").skip(1) {
                let wanted = format!("js/{}", import.split('\'').next().unwrap());
                assert!(
                    ASSETS.iter().any(|asset| asset.name == wanted),
                    "{name} imports {wanted}"
                );
            }
        }
    }
}
