//! Name look-up, behind a trait so that tests can play a hostile name server.
//!
//! A look-up happens once per connection; its answer is filtered and the connection goes to exactly what
//! is left. Nothing resolves the name a second time, so a server that answers differently the second time
//! (DNS rebinding) is never asked.

use std::net::IpAddr;

use async_trait::async_trait;

/// Finds the addresses of a name.
#[async_trait]
pub trait Resolve: Send + Sync + 'static {
    /// The addresses in the order to be tried. An error is a short reason for a log and for the caller;
    /// an empty list counts as not found.
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, String>;
}

/// The operating system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        let found = tokio::net::lookup_host((host, 0))
            .await
            .map_err(|error| error.to_string())?;
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in found {
            if !addresses.contains(&address.ip()) {
                addresses.push(address.ip());
            }
        }
        Ok(addresses)
    }
}
