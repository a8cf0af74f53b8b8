//! Names in XML and HTML, and the places of what they name: elements, their attributes, and elements that say their name in one
//! (`<entry key="token">`, `<input name="token" value="…">`).
//!
//! A reader that never fails: an answer that is not well-formed is read as far as it can be. What it takes for a value too much
//! is hidden, which harms a recording less than one too few.

use std::ops::Range;

/// Elements of HTML that have no end.
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
];
/// Attributes that say the name of what their element holds.
const NAMING: &[&str] = &["name", "key", "id", "property"];
/// Attributes that hold it.
const HOLDING: &[&str] = &["value", "content"];
/// What a text in a document has to be read as, with a reserved character each.
const ENTITIES: &[(&str, &str)] = &[
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", "\""),
    ("&apos;", "'"),
    ("&#39;", "'"),
    // Last: what it leaves is no entity.
    ("&amp;", "&"),
];

/// A value as whoever reads the document has it.
pub fn decoded(value: &str) -> String {
    let each = |text: String, (from, to): &(&str, &str)| text.replace(from, to);
    ENTITIES.iter().fold(value.to_owned(), each)
}

/// The places of values that a telling name stands above, in their order. `tells` is given a name and whether one above it tells.
pub fn telling(text: &str, tells: impl Fn(&str, bool) -> bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if !text.trim_start().starts_with('<') {
        return found;
    }
    let mut open: Vec<(&str, bool)> = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let above = open.last().is_some_and(|(_, named)| *named);
        let to = |end: &str| rest.find(end).map_or(text.len(), |found| at + found);
        if rest.starts_with("<!--") {
            at = to("-->") + "-->".len();
        } else if let Some(inner) = rest.strip_prefix("<![CDATA[") {
            let (from, end) = (text.len() - inner.len(), to("]]>"));
            take(text, from..end, above, &mut found);
            at = end + "]]>".len();
        } else if rest.starts_with("<?") || rest.starts_with("<!") {
            at = to(">") + 1;
        } else if let Some(inner) = rest.strip_prefix("</") {
            let name = local(inner.split(|c: char| c == '>' || c.is_whitespace()).next());
            if let Some(depth) = open.iter().rposition(|(known, _)| *known == name) {
                open.truncate(depth);
            }
            at = to(">") + 1;
        } else if rest.starts_with('<') {
            let tag = Tag::read(text, at);
            let said = tag.named(NAMING).any(|(_, value)| {
                let value = text.get(value).unwrap_or_default();
                tells(value, false)
            });
            let named = said || tells(tag.name, above);
            for (name, value) in &tag.attributes {
                let holds = named && is_one(HOLDING, name);
                let own = !is_one(NAMING, name) && tells(name, false);
                take(text, value.clone(), holds || own, &mut found);
            }
            if !tag.closed && !is_one(VOID, tag.name) {
                open.push((tag.name, named));
            }
            at = tag.end;
        } else {
            let end = to("<");
            take(text, at..end, above, &mut found);
            at = end;
        }
    }
    found
}

/// Notes a value without what surrounds it.
fn take(text: &str, range: Range<usize>, named: bool, found: &mut Vec<Range<usize>>) {
    let Some(value) = text.get(range.clone()).filter(|_| named) else {
        return;
    };
    let from = range.start + (value.len() - value.trim_start().len());
    let length = value.trim().len();
    if length > 0 {
        found.push(from..from + length);
    }
}

fn is_one(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// A name without the prefix of its namespace.
fn local(name: Option<&str>) -> &str {
    let name = name.unwrap_or_default();
    name.rsplit(':').next().unwrap_or(name)
}

/// The beginning of an element.
struct Tag<'t> {
    name: &'t str,
    /// Names and the places of values, without quotes.
    attributes: Vec<(&'t str, Range<usize>)>,
    closed: bool,
    /// Where it is over.
    end: usize,
}

impl<'t> Tag<'t> {
    /// The tag that begins at `from`, with its `<`.
    fn read(text: &'t str, from: usize) -> Self {
        let mut at = from + 1;
        let mut tag = Self {
            name: local(Some(word(text, &mut at))),
            attributes: Vec::new(),
            closed: false,
            end: text.len(),
        };
        while let Some(next) = text.get(at..).and_then(|rest| rest.chars().next()) {
            match next {
                '>' => {
                    tag.end = at + 1;
                    break;
                }
                '/' | '=' | '"' | '\'' => {
                    tag.closed = next == '/';
                    at += 1;
                }
                '<' => {
                    // No tag after all.
                    tag.end = at;
                    break;
                }
                space if space.is_whitespace() => at += space.len_utf8(),
                _ => {
                    tag.closed = false;
                    let name = local(Some(word(text, &mut at)));
                    if let Some(value) = value(text, &mut at) {
                        tag.attributes.push((name, value));
                    }
                }
            }
        }
        tag
    }

    fn named(&self, names: &[&str]) -> impl Iterator<Item = (&'t str, Range<usize>)> {
        let of = |(name, _): &&(&str, Range<usize>)| is_one(names, name);
        self.attributes.iter().filter(of).cloned()
    }
}

/// Up to what ends a name.
fn word<'t>(text: &'t str, at: &mut usize) -> &'t str {
    let rest = text.get(*at..).unwrap_or_default();
    let ends = |c: char| c.is_whitespace() || matches!(c, '>' | '/' | '=' | '<' | '"' | '\'');
    let length = rest.find(ends).unwrap_or(rest.len());
    *at += length;
    rest.get(..length).unwrap_or_default()
}

/// The place of `= "value"`, if that comes next.
fn value(text: &str, at: &mut usize) -> Option<Range<usize>> {
    let rest = text.get(*at..)?;
    let after = rest.trim_start().strip_prefix('=')?.trim_start();
    let from = text.len() - after.len();
    let (from, length, quote) = match after.chars().next()? {
        quote @ ('"' | '\'') => {
            let inner = after.get(1..)?;
            (from + 1, inner.find(quote).unwrap_or(inner.len()), 1)
        }
        _ => {
            let ends = |c: char| c.is_whitespace() || c == '>';
            (from, after.find(ends).unwrap_or(after.len()), 0)
        }
    };
    *at = (from + length + quote).min(text.len());
    Some(from..from + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<&str> {
        let tells = |name: &str, above: bool| above || name.eq_ignore_ascii_case("token");
        let places = telling(text, tells);
        places.into_iter().map(|place| &text[place]).collect()
    }

    #[test]
    fn values_are_found_by_the_names_of_elements_and_attributes() {
        for (text, expected) in [
            ("<a><token> x </token><b>y</b></a>", &["x"][..]),
            (
                "<s:token><id>1</id><!-- no --><k>2</k></s:token>",
                &["1", "2"],
            ),
            ("<token><![CDATA[a<b]]></token>", &["a<b"]),
            ("<a token = 'x y' b='z'/><c>d</c>", &["x y"]),
            ("<input name=token value=x><p>y</p>", &["x"]),
            ("<META CONTENT='x' NAME=\"token\"><p>y", &["x"]),
            ("<map><e key='token'>x</e><e key='b'>y</e></map>", &["x"]),
            ("<token/><b>y</b>", &[]),
            ("<token></token>", &[]),
            ("a <token>x</token>", &[]),
        ] {
            assert_eq!(values(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_well_formed_is_read_to_its_end() {
        let whole = "<?x?><!D><a><token b=\"ä\" c='>'>é<![CDATA[x]]>y</token></a><!-- ö -->";
        for (at, _) in whole.char_indices() {
            values(&whole[..at]);
            values(&format!("<{}", &whole[at..]));
        }
        assert_eq!(values("<token>x<b>y</c>z"), ["x", "y", "z"]);
        assert_eq!(values("<token>x</b></token>y"), ["x"]);
        assert_eq!(values("< <token>x"), ["x"]);
    }

    #[test]
    fn a_value_is_what_its_entities_mean() {
        assert_eq!(decoded("a&amp;lt;&lt;&#39;&quot;"), "a&lt;<'\"");
    }
}
