//! Signing: `timestamp "\n" METHOD "\n" path-and-query "\n" body`, HMAC-SHA256, in hexadecimal. The path counts from the
//! server's root, so the base URL's own path goes before the request's.

use keyport_sdk::{Failure, Host, Request, Response};
use serde::Deserialize;

/// The manifest's recipe.
const RECIPE: &str = "request-signature";

#[derive(Deserialize)]
struct View {
    api: Api,
}

#[derive(Deserialize)]
struct Api {
    base_url: String,
}

/// Signs and sends.
pub fn send(host: &dyn Host, request: Request) -> Result<Response, Failure> {
    let view: View = host.manifest()?;
    let path = format!("{}{}", base_path(&view.api.base_url), request.url);
    let timestamp = host.unix_time().to_string();
    let body = match &request.body {
        None => "",
        Some(bytes) => {
            std::str::from_utf8(bytes).map_err(|_| Failure::other("only text can be signed"))?
        }
    };
    let args = [
        ("timestamp", timestamp.as_str()),
        ("method", request.method.as_str()),
        ("path", &path),
        ("body", body),
    ];
    let signature = host.derive(RECIPE, &args)?;
    let key_id = host.required("key_id")?;
    let request = request
        .header("x-vendor-key-id", key_id)
        .header("x-vendor-timestamp", timestamp)
        .header("x-vendor-signature", signature);
    Ok(host.send(&request)?)
}

/// `/signed` of `https://vendor.keyport.test/signed`; nothing where the base has no path.
fn base_path(base_url: &str) -> &str {
    let after_scheme = base_url
        .split_once("://")
        .map_or(base_url, |(_, rest)| rest);
    let path = after_scheme
        .find('/')
        .and_then(|at| after_scheme.get(at..))
        .unwrap_or("");
    path.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::base_path;

    #[test]
    fn the_base_urls_own_path_is_part_of_what_is_signed() {
        assert_eq!(base_path("https://vendor.keyport.test/signed"), "/signed");
        assert_eq!(base_path("https://vendor.keyport.test/a/b/"), "/a/b");
        assert_eq!(base_path("https://vendor.keyport.test"), "");
    }
}
