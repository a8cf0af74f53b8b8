//! A row of the due-index as it is kept: which connection to look at. The time is in its id. Nothing of it is sealed.

use keyport_vault::Kind;
use serde::{Deserialize, Serialize};

use super::Entity;

pub(crate) struct Due;

impl Entity for Due {
    const KIND: Kind = Kind::new("due");
    const PREFIX: &'static str = "due_";
    const WHAT: &'static str = "row of the due-index";
    type Clear = DueClear;
    type Sealed = ();
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DueClear {
    pub(crate) id: String,
}
