//! Who is signed in at the demo platform: whoever opened the printed link, as the user `demo`.
//!
//! A real platform has accounts; what matters here is the shape: the browser holds an opaque cookie, the
//! backend knows whose it is, and nothing that the browser sends names the user.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::COOKIE;

/// The demo platform's one user; to Keyport this is the owner of the connections.
pub const USER: &str = "demo";
const COOKIE_NAME: &str = "demo_session";

/// Two random values: the link's, and the cookie's.
pub struct Visitors {
    entrance: String,
    cookie: String,
}

impl Visitors {
    /// Fresh values for this run.
    pub fn new() -> Result<Self, getrandom::Error> {
        Ok(Self {
            entrance: random()?,
            cookie: random()?,
        })
    }

    /// What the link carries.
    pub fn entrance(&self) -> &str {
        &self.entrance
    }

    /// The `Set-Cookie` value for whoever brought the right token, else nothing.
    pub fn admit(&self, token: &str) -> Option<String> {
        (token == self.entrance).then(|| {
            format!(
                "{COOKIE_NAME}={}; Path=/; HttpOnly; SameSite=Lax",
                self.cookie
            )
        })
    }

    /// The signed-in user of a request.
    pub fn user(&self, headers: &HeaderMap) -> Option<&'static str> {
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .any(|(name, value)| name == COOKIE_NAME && value == self.cookie)
            .then_some(USER)
    }
}

fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; 24];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_printed_link_signs_in_and_only_its_cookie_counts() {
        let visitors = Visitors::new().unwrap();
        assert!(visitors.admit("guess").is_none());
        let cookie = visitors.admit(visitors.entrance()).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, "demo_session=guess".parse().unwrap());
        assert_eq!(visitors.user(&headers), None);
        headers.insert(
            COOKIE,
            format!("other=1; {}", cookie.split(';').next().unwrap())
                .parse()
                .unwrap(),
        );
        assert_eq!(visitors.user(&headers), Some(USER));
    }
}
