//! What @@NAME@@ can do. The host attaches the credential to every request; there is none in here.

use keyport_sdk::{Account, Failure, Host, Provider, Request, Value, json};

/// The app.
pub struct App;

// Name what it does beside the test call: `actions`, `triggers`, `lifecycle`, `exchange`.
keyport_sdk::export!(App, actions);

/// Where an answer has the account's id and label, best first.
const IDS: &[&[&str]] = &@@ID_PATHS@@;
const LABELS: &[&[&str]] = &@@LABEL_PATHS@@;

/// The first value at one of these paths, as text.
fn first(body: &Value, paths: &[&[&str]]) -> Option<String> {
    paths.iter().find_map(|path| {
        let found = path.iter().try_fold(body, |at, name| at.get(name))?;
        match found {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    })
}

impl Provider for App {
    fn check(host: &dyn Host) -> Result<Account, Failure> {
        let body: Value = host.send(&Request::get("@@TEST_PATH@@"))?.success()?.json()?;
        let id = first(&body, IDS)
            .ok_or_else(|| Failure::provider_down("@@NAME@@ did not say whose credential this is"))?;
        let label = first(&body, LABELS).unwrap_or_else(|| id.clone());
        Ok(Account::new(id, label))
    }

    fn run(host: &dyn Host, action: &str, _input: Value) -> Result<Value, Failure> {
        match action {
            "get_account" => {
                let account = Self::check(host)?;
                Ok(json!({ "id": account.id, "label": account.label }))
            }
            other => Err(Failure::not_found(format!("this app has no action {other}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use keyport_sdk::Means;
    use keyport_sdk::recorded::Recorded;
    use keyport_sdk::testing::FakeHost;

    use super::*;

    const BODY: &str = r##"@@BODY@@"##;

    #[test]
    fn the_account_is_read_from_the_answer() {
        let body = BODY.parse().unwrap();
        let host = FakeHost::new(&json!({})).answer(200, &body);
        let account = App::check(&host).unwrap();
        assert_eq!((account.id.as_str(), account.label.as_str()), (@@EXPECT_ID@@, @@EXPECT_LABEL@@));
        assert_eq!(host.sent()[0].url, "@@TEST_PATH@@");
    }

    #[test]
    fn a_credential_that_is_not_accepted_asks_for_a_new_sign_in() {
        let host = FakeHost::new(&json!({})).answer(401, &json!({}));
        assert_eq!(App::check(&host).unwrap_err().means, Means::NeedsReconnect);
    }

    /// As `keyport test` plays them to the component, but with a debugger at hand.
    #[test]
    fn the_fixtures_are_played() {
        let fixtures = Recorded::read(include_str!("../../fixtures/test.yaml")).unwrap();
        assert!(fixtures.play::<App>().unwrap() > 0);
    }
}
