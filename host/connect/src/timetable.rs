//! What has its time: rows named by it, so that a listing begins with what is first.
//!
//! One small row per thing, written in the same commit as the thing that remembers the time: the two cannot disagree, whatever
//! crashes. What a row says is never acted upon; whoever finds it looks at the thing. (Connections have a table of their own,
//! with rules of its own: [`crate::alive`].)

use keyport_vault::{Expect, Kind, Owner, RecordId, SecretWrite, Write};
use serde_json::json;

use crate::engine::Engine;
use crate::error::ConnectError;
use crate::ids;

/// One table.
pub(crate) struct Timetable(pub(crate) Kind);

/// What the ids of all rows begin with.
const PREFIX: &str = "at_";

impl Timetable {
    /// The write that enters `id` at this time.
    pub(crate) fn enter(&self, at: i64, id: &str) -> Write {
        Write::Put {
            id: self.row(at, id),
            expect: Expect::Any,
            clear: json!({ "id": id }),
            secret: SecretWrite::Keep,
        }
    }

    /// The write that takes the row out.
    pub(crate) fn strike(&self, at: i64, id: &str) -> Write {
        Write::Delete {
            id: self.row(at, id),
            expect: Expect::Any,
        }
    }

    /// The writes that move a row.
    pub(crate) fn shift(&self, from: Option<i64>, to: Option<i64>, id: &str) -> Vec<Write> {
        if from == to {
            return Vec::new();
        }
        let out = from.map(|at| self.strike(at, id));
        let into = to.map(|at| self.enter(at, id));
        out.into_iter().chain(into).collect()
    }

    /// The time, then the thing's own random part.
    fn row(&self, at: i64, id: &str) -> RecordId {
        let own = id.rsplit('_').next().unwrap_or(id);
        RecordId {
            kind: self.0,
            owner: Owner::keyport(),
            id: format!("{PREFIX}{}{own}", ids::time_chars(at)),
        }
    }
}

impl Engine {
    /// The rows whose time has come, earliest first; at most `limit`. (Time of the row, id of the thing.)
    pub(crate) async fn due_in(
        &self,
        table: &Timetable,
        limit: usize,
    ) -> Result<Vec<(i64, String)>, ConnectError> {
        let now = self.now();
        let page = self
            .inner
            .vault
            .list(table.0, Some(&Owner::keyport()), None, limit)
            .await?;
        Ok(page
            .heads
            .into_iter()
            .filter_map(|head| {
                let at = ids::time_of(PREFIX, &head.id.id)?;
                let id = head.clear.get("id")?.as_str()?.to_owned();
                Some((at, id))
            })
            .take_while(|(at, _)| *at <= now)
            .collect())
    }
}
