//! Exports the test call and nothing else. It tries to write first, and says what became of that.

use keyport_sdk::{Account, Failure, Host, Provider, Request, json};

/// The guest.
pub struct Quiet;

keyport_sdk::export!(Quiet);

impl Provider for Quiet {
    fn check(host: &dyn Host) -> Result<Account, Failure> {
        let wrote = host
            .send(&Request::post("/me"))
            .map_or_else(|refusal| refusal.code, |answer| answer.status.to_string());
        let me: keyport_sdk::Value = host.send(&Request::get("/me"))?.success()?.json()?;
        let name = me
            .get("name")
            .and_then(keyport_sdk::Value::as_str)
            .unwrap_or_default();
        Ok(Account {
            extra: json!({ "wrote": wrote }),
            ..Account::new("1", name)
        })
    }
}
