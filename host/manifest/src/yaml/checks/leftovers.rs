//! What was left over from a draft.
//!
//! V12 no `TODO`, `<your …>`, `example.com` or filler text where the real thing belongs. Samples and a field's `example` may hold
//! addresses under example.com: that is what these names are for (RFC 2606). Comments are `blanks`.

use std::sync::LazyLock;

use super::Checker;
use super::texts;
use crate::pattern::Pattern;

static MARKS: LazyLock<Option<Pattern>> = LazyLock::new(|| {
    Pattern::parse(
        r"(?-u:\b)(TODO|FIXME|CHANGEME|CHANGE_ME|REPLACE_ME|REPLACEME|XXX+|TBD)(?-u:\b)|<(your|my|insert|the|todo)[ _-][^<>]*>|(?i:lorem ipsum)|(?i:(?-u:\b)your[-_](company|domain|app|api[-_]?key|token)(?-u:\b))",
    )
    .ok()
});
static ADDRESS: LazyLock<Option<Pattern>> = LazyLock::new(|| {
    Pattern::parse(r"(?i)^(https?://)?([a-z0-9-]+\.)*example\.(com|org|net)(?-u:\b)").ok()
});

pub(super) fn check(c: &mut Checker<'_>) {
    for (path, text) in texts::all(c.tree) {
        if texts::in_sample(&path) {
            continue;
        }
        // The address of a vendor's page is the vendor's: `…/find-your-app`.
        let page = texts::last_key(&path) == "help_url"
            || path.starts_with("sources")
            || path.starts_with("links");
        if !page && MARKS.as_ref().is_some_and(|p| p.finds(text)) {
            c.warn(
                "V12",
                &path,
                "this was left over from a draft",
                Some("write what is meant, or remove it"),
            );
        } else if texts::last_key(&path) != "example"
            && ADDRESS.as_ref().is_some_and(|p| p.finds(text))
        {
            c.warn(
                "V12",
                &path,
                "an address under `example` leads nowhere",
                Some("write the vendor's own"),
            );
        }
    }
}
