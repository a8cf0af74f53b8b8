//! V91 and V92: the test call with a made-up credential, which must fail, and with the author's own, which must pass.
//!
//! Only a request that reads is sent: V41 holds every test to that, and this file does not rely on it.

use keyport_egress::{Credential, Injection, Pass, Place, Purpose, Secret};
use keyport_manifest::yaml::Remark;
use keyport_manifest::{
    Account, AuthMethod, CredentialRef, Failure, Means, ResolvedApi, Scope, Slot, Template, Test,
    TestCall, judge_call, refused_by_all,
};

use super::door::{Door, limits};
use super::given::{Look, not_known};

/// Makes both calls, as far as there is something to make them with.
pub async fn look(door: &Door, look: &Look<'_>, remarks: &mut Vec<Remark>) {
    if matches!(look.auth, AuthMethod::None(_)) {
        return;
    }
    let test = look.manifest.test_for(look.id);
    if matches!(test, Test::None { .. }) {
        return;
    }
    let api = match tryable(look, test) {
        Ok(api) => api,
        Err(why) => {
            // Where its host is not known was said at the base URL.
            if look.api.is_ok() || look.signed_in {
                remarks.push(Remark::note("V91", look.path(), why));
            }
            return;
        }
    };
    match passes(door, look, api, test.calls(), &look.made_up).await {
        Err(why) => remarks.push(Remark::warning("V91", look.path(), why)),
        Ok(verdict) => made_up(look, verdict, remarks),
    }
    if look.signed_in {
        match passes(door, look, api, test.calls(), &look.own).await {
            Err(why) => remarks.push(Remark::error("V92", look.path(), why)),
            Ok(Ok(account)) => remarks.push(Remark::note(
                "V92",
                look.path(),
                format!(
                    "your credential passes the test; people will see `{}`",
                    account.label
                ),
            )),
            Ok(Err(failure)) => remarks.push(Remark::error(
                "V92",
                look.path(),
                format!(
                    "your credential does not pass the test: {} ({})",
                    failure.say,
                    failure.means.as_str()
                ),
            )),
        }
    }
}

fn made_up(look: &Look<'_>, verdict: Result<Account, Failure>, remarks: &mut Vec<Remark>) {
    let at = look.path();
    match verdict {
        Ok(_) => remarks.push(
            Remark::error(
                "V91",
                at,
                "a made-up credential passes the test, so the test says nothing of the real one",
            )
            .fix("use a request that only works with a credential"),
        ),
        Err(failure) => match failure.means {
            Means::NeedsReconnect => {}
            Means::RateLimited | Means::ProviderDown => remarks.push(Remark::note(
                "V91",
                at,
                format!("the test could not be tried: {}", failure.say),
            )),
            other => remarks.push(
                Remark::warning(
                    "V91",
                    at,
                    format!(
                        "the refusal of a made-up credential is read as `{}`, so people would not be told to sign in again",
                        other.as_str()
                    ),
                )
                .fix("add what this refusal looks like to the test's `failures`, with `means: needs_reconnect`"),
            ),
        },
    }
}

/// The API, if the test can be tried here; else why not.
fn tryable<'l>(look: &'l Look<'_>, test: &Test) -> Result<&'l ResolvedApi, String> {
    if look.auth.injections().is_empty()
        || matches!(
            look.auth,
            AuthMethod::Jwt(_) | AuthMethod::Session(_) | AuthMethod::Hmac(_) | AuthMethod::Mtls(_)
        )
    {
        return Err(format!(
            "not tried: the host prepares the requests of `{}` by itself, and `validate` does not",
            look.auth.kind()
        ));
    }
    if matches!(test, Test::Code) {
        return Err("not tried: the component makes the test call".to_owned());
    }
    let injections = look.auth.injections();
    if injections.iter().any(|inject| {
        !matches!(
            inject.place,
            keyport_manifest::Place::Header
                | keyport_manifest::Place::Query
                | keyport_manifest::Place::Cookie
        )
    }) {
        return Err("not tried: the credential goes into the body".to_owned());
    }
    let own = test
        .calls()
        .iter()
        .flat_map(|call| call.request.templates());
    let read: Vec<&Template> = own
        .map(|(_, template)| template)
        .chain(injections.iter().map(|inject| &inject.value))
        .collect();
    for template in read {
        let secret = |name: &str| {
            look.manifest
                .fields_for(look.id)
                .any(|f| f.secret && f.id == name)
        };
        if let Some(open) = look.unsettled(template) {
            let name = open.split('.').nth(1).unwrap_or_default();
            if !secret(name) && open.starts_with("capture.") {
                return Err(not_known(&open));
            }
        }
    }
    if let Some(call) = test
        .calls()
        .iter()
        .find(|call| !call.request.method.is_safe() && !call.request.safe)
    {
        return Err(format!(
            "not tried: {} may change things",
            call.request.method.as_str()
        ));
    }
    look.api.as_ref().map_err(Clone::clone)
}

/// The verdict on the calls, one after the other; the first that passes decides. Why there is none.
async fn passes(
    door: &Door,
    look: &Look<'_>,
    api: &ResolvedApi,
    calls: &[TestCall],
    secrets: &Scope,
) -> Result<Result<Account, Failure>, String> {
    let pass = pass(look, api, secrets)?;
    let mut failures = Vec::new();
    for call in calls {
        let request = call
            .request
            .build(&look.public)
            .map_err(|e| format!("not tried: {e}"))?;
        let answer = door
            .send(&pass, &request)
            .await
            .map_err(|e| format!("the test could not be tried: {e}"))?;
        match judge_call(call, &look.public, &answer) {
            Ok(account) => return Ok(Ok(account)),
            Err(failure) => failures.push(failure),
        }
    }
    Ok(Err(refused_by_all(failures)))
}

/// As the host makes it: the manifest's hosts and constants, the credential for its audience alone.
fn pass(look: &Look<'_>, api: &ResolvedApi, secrets: &Scope) -> Result<Pass, String> {
    let mut parts = Vec::new();
    for inject in look.auth.injections() {
        if inject.credential != CredentialRef::Main {
            continue;
        }
        let (place, slot) = match inject.place {
            keyport_manifest::Place::Header => (Place::Header, Slot::Header),
            keyport_manifest::Place::Cookie => (Place::Cookie, Slot::Header),
            _ => (Place::Query, Slot::Raw),
        };
        let value = inject
            .value
            .render_secret(secrets, slot)
            .map_err(|e| format!("not tried: {e}"))?;
        parts.push(Injection {
            place,
            name: inject.name,
            value: Secret::new(value.expose()),
        });
    }
    let mut pass = Pass::new("validate", Purpose::Flow, api.hosts.clone());
    pass.base_url = Some(api.base_url.clone());
    pass.fixed_headers = api.headers.clone();
    pass.fixed_query = api.query.clone();
    pass.limits = limits();
    pass.credential = Some(Credential {
        parts,
        ..Credential::new(api.audience(&CredentialRef::Main))
    });
    Ok(pass)
}
