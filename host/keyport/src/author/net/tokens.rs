//! V93 and V94: the token endpoint, asked with a code that was made up, and with the author's own refresh token, twice.
//!
//! A rotated token is on disk, under the name that the author gave, before anything else happens. The old one is never shown
//! to the vendor again: many take that for a theft and end the grant.

use std::io::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use keyport_egress::EgressError;
use keyport_manifest::rules::outgoing::{rendered, token_request};
use keyport_manifest::rules::{TokenError, TokenErrorKind};
use keyport_manifest::yaml::Remark;
use keyport_manifest::{
    ClientAuth, Endpoints, Oauth2, Oauth2Grant, PlainResponse, RefreshBy, Rotates, Slot,
    refresh_answer, token_answer,
};
use url::Url;

use super::super::Failure;
use super::door::Door;
use super::given::Look;

/// Where a person would come back to; nobody does. (`.invalid` is nobody's: RFC 2606.)
pub const REDIRECT: &str = "https://keyport.invalid/oauth/callback";
/// As long as a verifier must be (RFC 7636, 4.1).
const VERIFIER: &str = "keyport-made-up-verifier-0123456789-0123456789";

/// Looks at the endpoints of one OAuth sign-in.
///
/// # Errors
/// A file with a refresh token that can't be read or written.
pub async fn look(door: &Door, look: &Look<'_>, remarks: &mut Vec<Remark>) -> Result<(), Failure> {
    let Some(oauth) = look.auth.oauth2() else {
        return Ok(());
    };
    super::addresses::authorize(door, look, remarks).await;
    if oauth.grant != Oauth2Grant::AuthorizationCode || oauth.discover.is_some() {
        remarks.push(Remark::note(
            "V93",
            look.path(),
            "not tried: only the token endpoint of a sign-in by code that is written down is",
        ));
    }
    let open = oauth
        .token_url
        .as_ref()
        .is_none_or(|t| look.unsettled(t).is_some());
    let Ok(Some(endpoints)) = look.manifest.endpoints(look.id, &look.public) else {
        return Ok(());
    };
    if open {
        return Ok(());
    }
    if let ClientAuth::PrivateKeyJwt | ClientAuth::ClientSecretJwt | ClientAuth::Tls =
        oauth.client_auth
    {
        remarks.push(Remark::note(
            "V93",
            format!("{}.client_auth", look.path()),
            "not tried: the host signs what this client proves itself with",
        ));
        return Ok(());
    }
    if oauth.grant == Oauth2Grant::AuthorizationCode {
        wrong_code(door, look, oauth, &endpoints, remarks).await;
    }
    if let Some(file) = look.given("refresh_token_file") {
        twice(door, look, oauth, &endpoints, Path::new(file), remarks).await?;
    }
    Ok(())
}

async fn wrong_code(
    door: &Door,
    look: &Look<'_>,
    oauth: &Oauth2,
    endpoints: &Endpoints,
    remarks: &mut Vec<Remark>,
) {
    let mut params = vec![
        ("grant_type", "authorization_code"),
        ("code", "keyport-made-up-code"),
        ("redirect_uri", REDIRECT),
    ];
    if !matches!(oauth.pkce, keyport_manifest::Pkce::Off(_)) {
        params.push(("code_verifier", VERIFIER));
    }
    let path = format!("{}.token_url", look.path());
    let answer = match ask(door, look, oauth, &endpoints.token, &params, false).await {
        Ok(answer) => answer,
        Err(Refused::Unmade(why)) => {
            remarks.push(Remark::note("V93", path, format!("not tried: {why}")));
            return;
        }
        Err(Refused::Unanswered(error)) => {
            remarks.push(Remark::warning("V89", path, error.to_string()));
            return;
        }
    };
    if matches!(answer.status, 404 | 410) && answer.json().is_none() {
        let url = &endpoints.token;
        let shown = format!("{}{}", url.origin().ascii_serialization(), url.path());
        remarks.push(Remark::warning(
            "V89",
            path,
            format!("{shown} answers {}", answer.status),
        ));
        return;
    }
    let (_, _, own) = look.oauth_client(oauth);
    match token_answer(oauth, &answer, now()).map(drop) {
        Ok(()) => remarks.push(Remark::warning(
            "V93",
            path,
            "the answer to a made-up code is read as tokens",
        )),
        Err(refused) => told(&path, &refused, own, remarks),
    }
}

fn told(path: &str, refused: &TokenError, own: bool, remarks: &mut Vec<Remark>) {
    match refused.kind {
        TokenErrorKind::Refused => {}
        TokenErrorKind::Misconfigured if own => remarks.push(
            Remark::warning(
                "V93",
                path,
                format!(
                    "your client is not taken: {} where a wrong code alone was to be told",
                    refused.error
                ),
            )
            .fix("look at the client's id and secret, at `client_auth`, and at the parameters that the vendor wants"),
        ),
        TokenErrorKind::Misconfigured => {}
        TokenErrorKind::Retry => remarks.push(Remark::note(
            "V93",
            path,
            format!("could not be tried: the answer was {}", refused.error),
        )),
        TokenErrorKind::Unreadable => remarks.push(
            Remark::warning(
                "V93",
                path,
                format!(
                    "the refusal of a made-up code cannot be read ({})",
                    refused.error
                ),
            )
            .fix("say under `response` where the error is, and how the answer is written"),
        ),
    }
}

/// V94: two refreshes, each with the newest token.
async fn twice(
    door: &Door,
    look: &Look<'_>,
    oauth: &Oauth2,
    endpoints: &Endpoints,
    file: &Path,
    remarks: &mut Vec<Remark>,
) -> Result<(), Failure> {
    let path = format!("{}.refresh", look.path());
    if oauth.refresh.by != RefreshBy::RefreshToken {
        remarks.push(Remark::note(
            "V94",
            path,
            "not tried: no refresh token is used here",
        ));
        return Ok(());
    }
    let unusable = |source| Failure::File {
        path: file.to_owned(),
        source,
    };
    let mut token = std::fs::read_to_string(file)
        .map_err(unusable)?
        .trim()
        .to_owned();
    let mut changed = 0;
    for round in 1..=2 {
        let params = [("grant_type", "refresh_token"), ("refresh_token", &token)];
        let answer = match ask(door, look, oauth, &endpoints.refresh, &params, true).await {
            Ok(answer) => answer,
            Err(error) => {
                remarks.push(Remark::warning("V94", path, error.to_string()));
                return Ok(());
            }
        };
        match refresh_answer(oauth, &answer, now()) {
            Ok(answer) => {
                if let Some(newer) = answer.refresh_token.filter(|t| t.expose() != token) {
                    changed += 1;
                    newer.expose().clone_into(&mut token);
                    keep(file, &token).map_err(unusable)?;
                }
            }
            Err(refused) => {
                remarks.push(Remark::warning(
                    "V94",
                    path,
                    format!("refresh {round} of 2 was refused: {}", refused.error),
                ));
                return Ok(());
            }
        }
    }
    let shown = match changed {
        0 => "the refresh token stayed the same in both of two refreshes",
        1 => "the refresh token changed in one of two refreshes",
        _ => "the refresh token changed in both of two refreshes",
    };
    let said = match oauth.refresh.rotates {
        Some(Rotates::Always) => "always",
        Some(Rotates::Maybe) => "maybe",
        Some(Rotates::Never) => "never",
        None => "nothing",
    };
    let fits = match oauth.refresh.rotates {
        Some(Rotates::Always) => changed == 2,
        Some(Rotates::Never) => changed == 0,
        Some(Rotates::Maybe) => true,
        None => false,
    };
    remarks.push(if fits {
        Remark::note("V94", path, shown)
    } else {
        Remark::warning(
            "V94",
            path,
            format!("{shown}, and the manifest says `{said}`"),
        )
        .fix("set `refresh.rotates` to what is so")
    });
    Ok(())
}

/// Puts a token into a file that only its owner reads, and makes sure that it is there.
fn keep(file: &Path, token: &str) -> std::io::Result<()> {
    let folder = file.parent().filter(|f| *f != Path::new(""));
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = folder.unwrap_or(Path::new(".")).join(name);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&beside)?;
    writeln!(out, "{token}")?;
    out.sync_all()?;
    std::fs::rename(beside, file)
}

/// Why there is no answer.
enum Refused {
    /// The request cannot be made.
    Unmade(String),
    /// It was not answered.
    Unanswered(EgressError),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unmade(why) => f.write_str(why),
            Self::Unanswered(error) => error.fmt(f),
        }
    }
}

async fn ask(
    door: &Door,
    look: &Look<'_>,
    oauth: &Oauth2,
    endpoint: &Url,
    params: &[(&str, &str)],
    is_refresh: bool,
) -> Result<PlainResponse, Refused> {
    let unmade = |e: keyport_manifest::RenderError| Refused::Unmade(e.to_string());
    let (id, secret, _) = look.oauth_client(oauth);
    let declared = if is_refresh {
        &oauth.refresh_params
    } else {
        &oauth.token_params
    };
    let further = rendered(declared, &look.own, Slot::Raw).map_err(unmade)?;
    let mut headers = rendered(&oauth.token_headers, &look.own, Slot::Header).map_err(unmade)?;
    if is_refresh {
        let own = rendered(&oauth.refresh.headers, &look.own, Slot::Header).map_err(unmade)?;
        headers.extend(own);
    }
    let client = (id.as_str(), secret.as_deref());
    let request = token_request(
        oauth, endpoint, params, &further, &headers, client, &look.own,
    )
    .map_err(unmade)?;
    door.plain(&request).await.map_err(Refused::Unanswered)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}
