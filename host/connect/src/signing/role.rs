//! Temporary keys of an AWS role (Security Token Service, AssumeRole).
//!
//! The keys that a person pasted sign one request to the region's STS; what it answers signs everything else until it
//! ends. Kept in memory only: asking again is cheap, and nothing is lost by it.

use keyport_egress::{Body, Credential, Pass, Purpose, Secret};
use keyport_manifest::message::Decode;
use keyport_manifest::{AssumeRole, HostPattern, Means, Scope};
use keyport_vault::Owner;
use serde_json::Value;
use std::sync::Arc;
use url::Url;

use super::arrange::{optional, text};
use super::clocks::HostTime;
use super::kept::made_of;
use super::sigv4::{Keys, Sigv4};
use crate::clock::parse_rfc3339;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::hidden::Hidden;

/// STS answers are a few kilobytes.
const MAX_ANSWER: u64 = 64 << 10;
const VERSION: &str = "2011-06-15";

impl Engine {
    /// The role's keys, fresh or kept.
    pub(super) async fn role_keys(
        &self,
        owner: &Owner,
        role: &AssumeRole,
        scope: &Scope,
        keys: Keys,
        region: &str,
    ) -> Result<Keys, ConnectError> {
        let arn = text(&role.role_arn, scope)?;
        let external = optional(role.external_id.as_ref(), scope)?;
        let name = optional(role.session_name.as_ref(), scope)?;
        let of = made_of([
            "aws role",
            owner.as_str(),
            &keys.id,
            keys.secret.expose(),
            region,
            arn.expose(),
            external.as_ref().map(Hidden::expose).unwrap_or_default(),
            name.as_ref().map(Hidden::expose).unwrap_or_default(),
            &role.duration.to_string(),
        ]);
        let now = self.now();
        if let Some(kept) = self.inner.signing.kept.get(&of, now)
            && let [id, secret, session] = kept.as_slice()
        {
            return Ok(Keys {
                id: id.expose().to_owned(),
                secret: secret.clone(),
                session: Some(session.clone()),
            });
        }
        let duration = role.duration.to_string();
        let form = {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("Action", "AssumeRole")
                .append_pair("Version", VERSION)
                .append_pair("RoleArn", arn.expose())
                .append_pair(
                    "RoleSessionName",
                    name.as_ref().map_or("keyport", Hidden::expose),
                )
                .append_pair("DurationSeconds", &duration);
            if let Some(external) = &external {
                form.append_pair("ExternalId", external.expose());
            }
            form.finish()
        };
        let answer = self.ask_sts(owner, keys, region, form).await?;
        let (granted, ends) = read(&answer)?;
        let keep = vec![
            Hidden::new(granted.id.as_str()),
            granted.secret.clone(),
            granted.session.clone().unwrap_or_default(),
        ];
        self.inner.signing.kept.put(of, keep, now, ends);
        Ok(granted)
    }

    async fn ask_sts(
        &self,
        owner: &Owner,
        keys: Keys,
        region: &str,
        form: String,
    ) -> Result<keyport_manifest::PlainResponse, ConnectError> {
        let broken = || ConnectError::internal("bad_sts_url", "AWS cannot be asked for the role");
        let tail = if region.starts_with("cn-") { ".cn" } else { "" };
        let host = format!("sts.{region}.amazonaws.com{tail}");
        let url = Url::parse(&format!("https://{host}/")).map_err(|_| broken())?;
        let only: keyport_manifest::AllowedHosts =
            [HostPattern::of_url(&url).map_err(|_| broken())?]
                .into_iter()
                .collect();
        let mut pass = Pass::new(owner.as_str(), Purpose::Flow, only.clone());
        pass.limits.total = self.inner.options.token_request;
        pass.credential = Some(Credential {
            scrub: vec![Secret::new(keys.secret.expose())],
            signer: Some(Arc::new(Sigv4 {
                keys,
                region: region.to_owned(),
                service: "sts".to_owned(),
                time: self.time_at(&host),
            })),
            ..Credential::new(only)
        });
        let request = http::Request::post(url.as_str())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from_bytes(form))
            .map_err(|_| broken())?;
        self.send_plain(&pass, request, MAX_ANSWER)
            .await
            .map_err(|error| unsent(&error))
    }

    /// The time at a host of this engine's apps.
    pub(crate) fn time_at(&self, host: &str) -> HostTime {
        HostTime::new(
            Arc::clone(&self.inner.clock),
            Arc::clone(&self.inner.signing.clocks),
            host,
        )
    }
}

/// A request that got no answer.
pub(crate) fn unsent(error: &keyport_egress::EgressError) -> ConnectError {
    if error.is_transient() {
        ConnectError::App {
            means: Means::ProviderDown,
            code: error.code().to_owned(),
            say: format!("the app cannot be reached: {error}"),
            retry_after_ms: None,
        }
    } else {
        ConnectError::Refused {
            code: error.code(),
            say: error.to_string(),
        }
    }
}

/// The keys and when they end, in milliseconds since 1970; or what AWS said, in our words.
fn read(answer: &keyport_manifest::PlainResponse) -> Result<(Keys, i64), ConnectError> {
    let body = answer.decoded(Decode::Xml);
    let at = |path: &str| body.pointer(path).and_then(Value::as_str);
    if !(200..300).contains(&answer.status) {
        return Err(refusal(
            answer.status,
            // Services that speak the protocol's older form wrap it once more.
            at("/ErrorResponse/Error/Code")
                .or_else(|| at("/ErrorResponse/Errors/Error/Code"))
                .unwrap_or_default(),
        ));
    }
    let part = |name: &str| {
        at(&format!(
            "/AssumeRoleResponse/AssumeRoleResult/Credentials/{name}"
        ))
        .filter(|text| !text.is_empty())
        .ok_or_else(|| {
            refused(
                Means::Other,
                "role_answer",
                "AWS gave an answer for the role that cannot be read",
            )
        })
    };
    let ends = parse_rfc3339("expiration", part("Expiration")?)?;
    Ok((
        Keys {
            id: part("AccessKeyId")?.to_owned(),
            secret: Hidden::new(part("SecretAccessKey")?),
            session: Some(Hidden::new(part("SessionToken")?)),
        },
        ends,
    ))
}

/// R64: three refusals, three messages.
fn refusal(status: u16, code: &str) -> ConnectError {
    match code {
        "SignatureDoesNotMatch" => refused(
            Means::NeedsReconnect,
            code,
            "the secret access key does not belong to this access key id",
        ),
        "InvalidClientTokenId" | "UnrecognizedClientException" => refused(
            Means::NeedsReconnect,
            code,
            "AWS does not know this access key, or the region is not switched on for the account",
        ),
        "ExpiredToken" | "ExpiredTokenException" => {
            refused(Means::NeedsReconnect, code, "the temporary key has expired")
        }
        "AccessDenied" => refused(
            Means::NeedsReconnect,
            code,
            "this key may not take on the role; look at the role's trust policy and the external id",
        ),
        "ValidationError" => refused(
            Means::NeedsReconnect,
            code,
            "AWS does not accept the role's details; check its arn and the external id",
        ),
        "Throttling" => refused(Means::RateLimited, code, "AWS asks to slow down"),
        _ if status >= 500 => refused(
            Means::ProviderDown,
            "provider_down",
            "AWS has a problem of its own; try again later",
        ),
        _ => refused(Means::Other, "role_refused", "AWS did not give the role"),
    }
}

fn refused(means: Means, code: &str, say: &str) -> ConnectError {
    let mut snake = String::new();
    for letter in code.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    ConnectError::App {
        means,
        code: snake,
        say: say.to_owned(),
        retry_after_ms: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<(Keys, i64), ConnectError> {
        read(&keyport_manifest::PlainResponse {
            status,
            headers: vec![],
            body: body.as_bytes().to_vec(),
        })
    }

    #[test]
    fn the_documented_answer_is_read() {
        let body = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
            <SourceIdentity>Alice</SourceIdentity><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/demo/TestAR</Arn>
            <AssumedRoleId>ARO123EXAMPLE123:TestAR</AssumedRoleId></AssumedRoleUser><Credentials>
            <AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY</SecretAccessKey>
            <SessionToken>AQoDYXdzEPT//////////wEXAMPLE</SessionToken><Expiration>2019-11-09T13:34:41Z</Expiration></Credentials>
            </AssumeRoleResult></AssumeRoleResponse>"#;
        let (keys, ends) = answer(200, body).ok().unwrap();
        assert_eq!(
            (keys.id.as_str(), ends),
            ("ASIAIOSFODNN7EXAMPLE", 1_573_306_481_000)
        );
        assert_eq!(
            keys.session.unwrap().expose(),
            "AQoDYXdzEPT//////////wEXAMPLE"
        );
        assert!(answer(200, "<AssumeRoleResponse/>").is_err());
    }

    /// R64: a wrong secret, an unknown key and a missing permission are three different sentences.
    #[test]
    fn three_refusals_are_three_messages() {
        let said = |code: &str| {
            let body = format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code></Error></ErrorResponse>"
            );
            let error = answer(403, &body).err().unwrap();
            (error.code().to_owned(), error.to_string())
        };
        let all: Vec<_> = [
            "SignatureDoesNotMatch",
            "InvalidClientTokenId",
            "AccessDenied",
        ]
        .map(said)
        .into();
        assert_eq!(
            all.iter()
                .map(|(code, _)| code.as_str())
                .collect::<Vec<_>>(),
            [
                "signature_does_not_match",
                "invalid_client_token_id",
                "access_denied"
            ]
        );
        assert!(all[0].1 != all[1].1 && all[1].1 != all[2].1 && all[0].1 != all[2].1);
        assert_eq!(answer(503, "busy").err().unwrap().code(), "provider_down");
    }
}
