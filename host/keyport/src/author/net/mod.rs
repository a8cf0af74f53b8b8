//! `keyport validate --net`: what only the network can say of a manifest (V89 to V94). Nothing is sent without the flag.
//!
//! | file | what it looks at |
//! |---|---|
//! | `door` | the way out: Keyport's own egress, with its filter of addresses, its TLS and its limits |
//! | `given` | what the author gives: fields by `--set`, credentials by environment variables |
//! | `addresses` | V89: pages, authorization pages and the API answer |
//! | `metadata` | V90: what the vendor publishes about its sign-in (RFC 8414, OpenID Connect Discovery) |
//! | `calls` | V91, V92: the test refuses a made-up credential, and takes the author's own |
//! | `tokens` | V93, V94: the token endpoint tells a wrong code from a wrong client; what refreshing twice shows |
//!
//! Threats: a manifest from a stranger that makes its reader's machine call into the reader's network, so every address goes
//! through the egress's rules; a credential that goes to another app's host, so each variable names its app and is only sent
//! where that app's manifest sends it; a refresh token that is lost by trying it, so the new one is on disk before anything else
//! happens. Only requests that read are sent, and only of a manifest without errors.
//!
//! Left out: ways to sign in whose requests the host signs (JWT, SigV4, OAuth 1.0a, HMAC, WSSE, client certificates) and
//! sessions. That is said for each of them, not passed over.
//!
//! The feature `net` carries it; without it, `--net` says where it is.

#[cfg(feature = "net")]
mod addresses;
#[cfg(feature = "net")]
mod calls;
#[cfg(feature = "net")]
mod door;
#[cfg(feature = "net")]
pub mod given;
#[cfg(feature = "net")]
mod metadata;
#[cfg(feature = "net")]
mod tokens;

use clap::Args;
use keyport_manifest::Manifest;
use keyport_manifest::yaml::Remark;

use super::Failure;

/// Flags for looking on the network.
#[derive(Args, Debug, Default)]
pub struct NetArguments {
    /// Also look on the network: whether addresses answer, whether the test refuses a made-up credential and takes yours. Yours
    /// come from the environment: KEYPORT_NET_<APP>_<FIELD> for each field of a way to sign in; for OAuth …_CLIENT_ID,
    /// …_CLIENT_SECRET, …_ACCESS_TOKEN, and …_REFRESH_TOKEN_FILE, a file that is rewritten when the token rotates
    #[arg(long)]
    pub net: bool,
    /// With `--net`, for one manifest: the value of a field that decides where its app is
    #[arg(long = "set", value_name = "FIELD=VALUE", requires = "net")]
    pub set: Vec<String>,
    /// With `--net`: an origin that is reached elsewhere, such as https://api.example.com=http://127.0.0.1:4010
    #[arg(long = "origin", value_name = "FROM=TO", requires = "net")]
    pub origins: Vec<String>,
}

/// Looks at each manifest; the remarks are in the same order.
///
/// # Errors
/// Flags or variables that say nothing, or a file that can't be used.
#[cfg(feature = "net")]
pub fn look(
    manifests: &[&Manifest],
    arguments: &NetArguments,
) -> Result<Vec<Vec<Remark>>, Failure> {
    use futures_util::StreamExt as _;

    /// Apps that are looked at side by side. Requests to one app go one after the other.
    const AT_ONCE: usize = 8;

    let read = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    given::all_known(manifests, names)?;
    if !arguments.set.is_empty() && manifests.len() != 1 {
        return Err(Failure::Said(
            "`--set` is for one manifest; KEYPORT_NET_<APP>_<FIELD> gives values to several"
                .to_owned(),
        ));
    }
    let door = door::Door::new(&arguments.origins)?;
    let given: Vec<given::Given> = manifests
        .iter()
        .map(|manifest| given::Given::new(manifest, &arguments.set, &read))
        .collect::<Result<_, _>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Said(format!("the network can't be used: {error}")))?;
    runtime.block_on(async {
        let looks = manifests
            .iter()
            .zip(&given)
            .map(|(manifest, given)| one(&door, manifest, given));
        let found: Vec<Result<Vec<Remark>, Failure>> = futures_util::stream::iter(looks)
            .buffered(AT_ONCE)
            .collect()
            .await;
        found.into_iter().collect()
    })
}

/// This build has no way out.
///
/// # Errors
/// Always: a sentence that says where there is one.
#[cfg(not(feature = "net"))]
pub fn look(
    _manifests: &[&Manifest],
    _arguments: &NetArguments,
) -> Result<Vec<Vec<Remark>>, Failure> {
    Err(Failure::Said(
        "`--net` is not in this build; build keyport with `--features net`, or with its default features"
            .to_owned(),
    ))
}

#[cfg(feature = "net")]
async fn one(
    door: &door::Door,
    manifest: &Manifest,
    given: &given::Given,
) -> Result<Vec<Remark>, Failure> {
    let mut remarks = Vec::new();
    addresses::look(door, manifest, given, &mut remarks).await;
    for (id, auth) in &manifest.auth {
        let look = match given.of_method(manifest, id, auth) {
            Ok(look) => look,
            Err(why) => {
                remarks.push(Remark::note("V89", format!("auth.{id}"), why));
                continue;
            }
        };
        metadata::look(door, &look, &mut remarks).await;
        tokens::look(door, &look, &mut remarks).await?;
        calls::look(door, &look, &mut remarks).await;
    }
    Ok(remarks)
}
