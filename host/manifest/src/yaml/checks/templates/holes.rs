//! What a template's text says wrong by itself: a hole of another language (V13), a fallback that can be missing too (V17).

use std::sync::LazyLock;

use crate::pattern::Pattern;
use crate::template::Template;

/// `${x}` or `{x}` in literal text: a hole of another template language.
pub(super) fn foreign_hole(t: &Template) -> Option<String> {
    static FOREIGN: LazyLock<Option<Pattern>> =
        LazyLock::new(|| Pattern::parse(r"\$\{[^}]*\}|\{[a-z_][a-zA-Z0-9_.]*\}").ok());
    let pattern = FOREIGN.as_ref()?;
    t.literals().find(|text| pattern.finds(text)).map(|text| {
        let from = text.find("${").or_else(|| text.find('{')).unwrap_or(0);
        let rest = text.get(from..).unwrap_or_default();
        rest.split_inclusive('}')
            .next()
            .unwrap_or_default()
            .to_owned()
    })
}

/// The last `default(x)` of an expression whose `x` is a value that can be missing as well.
pub(super) fn open_fallback(t: &Template) -> Option<String> {
    t.expressions().find_map(|e| {
        let (_, last) = e
            .rsplit_once("default(")
            .or_else(|| e.rsplit_once("default ("))?;
        let argument = last.split(')').next().unwrap_or_default().trim();
        let names_a_value = crate::template::ROOTS.iter().any(|r| {
            argument
                .strip_prefix(r)
                .is_some_and(|rest| rest.starts_with('.'))
        });
        names_a_value.then(|| argument.to_owned())
    })
}
