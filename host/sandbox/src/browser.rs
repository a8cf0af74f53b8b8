//! Which browser a form came from.
//!
//! The threat is another site that sends one of our forms from the visitor's browser: to allow its own client on the consent
//! page, or to revoke credentials. Each browser gets a random cookie; a form carries a MAC over that cookie, what the form
//! is for and what it is about. Nothing is stored, so there is nothing to fill up.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use hmac::Mac;

use crate::Vendor;
use crate::config::VendorError;
use crate::random;

/// Cookies are not kept apart by port, so the name says whose it is.
const COOKIE: &str = "vendora_browser";

/// A browser, known by its cookie.
pub(crate) struct Browser {
    id: String,
    fresh: bool,
}

impl Browser {
    /// The browser that sent the request; one without a usable cookie gets an identity now.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, VendorError> {
        match Self::known(headers) {
            Some(known) => Ok(known),
            None => Ok(Self {
                id: random::token("b_")?,
                fresh: true,
            }),
        }
    }

    /// The browser that sent the request, if it was here before.
    pub(crate) fn known(headers: &HeaderMap) -> Option<Self> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, id)| *name == COOKIE && is_id(id))
            .map(|(_, id)| Self {
                id: id.to_owned(),
                fresh: false,
            })
    }

    /// What a form for `purpose` about `subject` must carry.
    pub(crate) fn token(&self, vendor: &Vendor, purpose: &'static str, subject: &str) -> String {
        self.mac(vendor, purpose, subject)
            .map(|mac| random::hex(&mac.finalize().into_bytes()))
            .unwrap_or_default()
    }

    /// Whether a form's token is this browser's, for this purpose and subject.
    pub(crate) fn sent(
        &self,
        vendor: &Vendor,
        purpose: &'static str,
        subject: &str,
        token: Option<&str>,
    ) -> bool {
        let given = token.and_then(random::unhex);
        match (given, self.mac(vendor, purpose, subject)) {
            (Some(given), Some(mac)) => mac.verify_slice(&given).is_ok(),
            _ => false,
        }
    }

    fn mac(
        &self,
        vendor: &Vendor,
        purpose: &str,
        subject: &str,
    ) -> Option<hmac::Hmac<sha2::Sha256>> {
        let parts: [&[u8]; 5] = [
            self.id.as_bytes(),
            b"\0",
            purpose.as_bytes(),
            b"\0",
            subject.as_bytes(),
        ];
        random::hmac(&vendor.0.csrf_key, &parts)
    }

    /// Gives a new browser its cookie along with the answer.
    pub(crate) fn remember(&self, vendor: &Vendor, response: &mut Response) {
        if !self.fresh {
            return;
        }
        let secure = if vendor.0.public.scheme() == "https" {
            "; Secure"
        } else {
            ""
        };
        // Lax, not Strict: the consent page is reached from another site, and its cookie must be there then.
        let cookie = format!(
            "{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax{secure}",
            self.id
        );
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
}

/// 256 bits in base64url after the prefix.
fn is_id(text: &str) -> bool {
    text.strip_prefix("b_").is_some_and(|rest| {
        rest.len() == 43
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    })
}
