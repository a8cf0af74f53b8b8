//! The egress itself.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::body::Body;
use crate::error::EgressError;
use crate::limits::Limits;
use crate::origins::Origins;
use crate::pass::Pass;
use crate::resolve::{Resolve, SystemResolver};

/// What the operator decides about all outgoing traffic.
pub struct EgressConfig {
    /// Origin overrides, for development, tests and staging.
    pub origins: Origins,
    /// Address ranges that are reachable although they are special.
    pub allow_cidrs: Vec<IpNet>,
    /// Certificates to trust beside the public ones: PEM files, one or more certificates each.
    pub extra_roots_pem: Vec<Vec<u8>>,
    /// Where this process listens; never reachable, whatever `allow_cidrs` says.
    pub own_addresses: Vec<SocketAddr>,
    /// The ceiling of every pass's limits.
    pub limits: Limits,
    /// Name look-up.
    pub resolver: Arc<dyn Resolve>,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self {
            origins: Origins::none(),
            allow_cidrs: Vec::new(),
            extra_roots_pem: Vec::new(),
            own_addresses: Vec::new(),
            limits: Limits::default(),
            resolver: Arc::new(SystemResolver),
        }
    }
}

/// The one door out. Cheap to clone; all clones share pools and configuration.
#[derive(Clone)]
pub struct Egress(Arc<EgressConfig>);

impl Egress {
    /// Checks the configuration.
    ///
    /// # Errors
    /// [`EgressError::Config`] where a root certificate cannot be read.
    pub fn new(config: EgressConfig) -> Result<Self, EgressError> {
        Ok(Self(Arc::new(config)))
    }

    /// Sends one request, as far as its pass allows.
    pub async fn send(
        &self,
        _pass: &Pass,
        _request: http::Request<Body>,
    ) -> Result<http::Response<Body>, EgressError> {
        Err(EgressError::Config("the egress is not wired yet".to_owned()))
    }

    /// The origin overrides in force.
    pub fn origins(&self) -> &Origins {
        &self.0.origins
    }
}
