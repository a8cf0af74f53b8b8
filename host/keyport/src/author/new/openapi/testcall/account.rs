//! The rule of success and the account of a test call, from what its answer says.

use super::super::super::draft::{Said, Test};
use super::super::answer::{Whose, put};

/// The rule of success and the account, from what an answer says.
pub(super) fn from_whose(whose: &Whose, app: &str, prefix: Option<&str>, status: u16) -> Test {
    let root = if whose.list { "body[0]" } else { "body" };
    let hole = |path: &[String]| format!("{root}.{}", path.join("."));
    let fallback = format!("{} account", app.replace(['\'', '"', '\\', '{', '}'], ""));
    let mut body = if whose.body.is_null() {
        serde_json::json!({})
    } else {
        whose.body.clone()
    };
    let first = if whose.list {
        body.get(0).cloned().unwrap_or_default()
    } else {
        body.clone()
    };
    let text_at = |path: &[String]| {
        path.iter()
            .try_fold(&first, |at, name| at.get(name))
            .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
    };
    let (account_id, id_text) = match (&whose.id, whose.list) {
        (Some(id), false) => (Said::known(format!("{{{{ {} }}}}", hole(id))), text_at(id)),
        (Some(id), true) => (
            Said::blank(
                format!("{{{{ {} }}}}", hole(id)),
                "the answer is a list: what in it tells one account from another and never changes?",
            ),
            text_at(id),
        ),
        (None, _) => {
            let path = vec!["id".to_owned()];
            let inner = if whose.list {
                body.get_mut(0)
            } else {
                Some(&mut body)
            };
            if let Some(inner) = inner {
                put(inner, &path, "1".into());
            }
            (
                Said::blank(
                    format!("{{{{ {root}.id }}}}"),
                    "where the answer has an id that never changes",
                ),
                Some("1".to_owned()),
            )
        }
    };
    let mut expect_id = id_text.unwrap_or_default();
    let account_id = match prefix {
        Some(field) => {
            expect_id = format!("acme:{expect_id}");
            Said {
                text: format!("{{{{ fields.{field} }}}}:{}", account_id.text),
                todo: account_id.todo,
            }
        }
        None => account_id,
    };
    let mut holes: Vec<String> = whose.labels.iter().map(|l| hole(l)).collect();
    let todo = holes
        .is_empty()
        .then(|| "what people know the account by: a name or an address in the answer".to_owned());
    if let (true, Some(id)) = (holes.is_empty(), &whose.id) {
        holes.push(hole(id));
    }
    if holes.is_empty() {
        holes.push(format!("{root}.name"));
    }
    let expect_label = whose
        .labels
        .first()
        .or(whose.id.as_ref())
        .and_then(|path| text_at(path))
        .unwrap_or_else(|| fallback.clone());
    let chain = holes_chain(&holes, &fallback);
    Test {
        path: Said::known("/"),
        query: Vec::new(),
        status,
        ok: whose
            .id
            .as_ref()
            .filter(|_| !whose.list)
            .map(|id| format!("$.{}", id.join("."))),
        account_id,
        account_label: Said { text: chain, todo },
        body,
        from_vendor: whose.from_vendor,
        expect_id,
        expect_label,
    }
}

/// `{{ a | default(b) | default('App account') }}`.
pub(super) fn holes_chain(holes: &[String], fallback: &str) -> String {
    let mut out = String::new();
    for (i, hole) in holes.iter().enumerate() {
        if i == 0 {
            out.push_str(hole);
        } else {
            out.push_str(&format!(" | default({hole})"));
        }
    }
    format!("{{{{ {out} | default('{fallback}') }}}}")
}
