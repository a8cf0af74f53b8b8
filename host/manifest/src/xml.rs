//! XML as JSON, for apps that answer in nothing else.
//!
//! Elements become objects, attributes `@name`, the text of an element that also has attributes or children `$text`,
//! repeated elements lists; an element with nothing but text is that text, an empty one null. The root element is the one
//! top key. Names keep their prefixes as written; namespaces are not resolved.
//!
//! Threats: entities that grow (`&lol9;`), files and addresses read through a DTD, nesting that exhausts the stack. A
//! document with a DTD is not read at all, only the five entities of XML itself and character references are known, and
//! depth, size and the number of nodes are bounded.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

/// Largest document, in bytes; the egress bounds answers too.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Most elements and attributes.
const MAX_NODES: usize = 200_000;

/// An element that is not closed yet.
struct Open {
    name: String,
    members: Map<String, Value>,
    text: String,
}

/// The document as JSON; `None` if it is not well-formed, has a DTD, or exceeds a limit.
pub(crate) fn to_json(bytes: &[u8]) -> Option<Value> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).ok()?;
    if text.len() > MAX_BYTES {
        return None;
    }
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let mut root: Option<(String, Value)> = None;
    let mut nodes = 0;
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) => {
                if root.is_some() || open.len() >= MAX_DEPTH {
                    return None;
                }
                open.push(start(&tag, &mut nodes)?);
            }
            Event::Empty(tag) => {
                if root.is_some() || open.len() >= MAX_DEPTH {
                    return None;
                }
                let element = start(&tag, &mut nodes)?;
                close(element, &mut open, &mut root);
            }
            Event::End(_) => {
                let element = open.pop()?;
                close(element, &mut open, &mut root);
            }
            Event::Text(piece) => match open.last_mut() {
                Some(element) => element.text.push_str(&piece.xml10_content()),
                None if piece.trim().is_empty() => {}
                None => return None,
            },
            Event::CData(piece) => open.last_mut()?.text.push_str(&piece),
            Event::GeneralRef(entity) => {
                let text = &mut open.last_mut()?.text;
                match entity.resolve_char_ref().ok()? {
                    Some(c) => text.push(c),
                    None => text.push(known_entity(&entity)?),
                }
            }
            Event::DocType(_) => return None,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    let (name, value) = root.filter(|_| open.is_empty())?;
    Some(Value::Object(Map::from_iter([(name, value)])))
}

fn start(tag: &BytesStart<'_>, nodes: &mut usize) -> Option<Open> {
    let mut members = Map::new();
    for attribute in tag.attributes() {
        let attribute = attribute.ok()?;
        *nodes += 1;
        let name = attribute.key.as_ref();
        members.insert(format!("@{name}"), unescape(&attribute.value)?.into());
    }
    *nodes += 1;
    (*nodes <= MAX_NODES).then_some(Open {
        name: tag.name().as_ref().to_owned(),
        members,
        text: String::new(),
    })
}

/// Puts a whole element where it belongs: into the one around it, or as the root.
fn close(element: Open, open: &mut [Open], root: &mut Option<(String, Value)>) {
    let Open {
        name,
        mut members,
        text,
    } = element;
    let text = text.trim();
    let value = match (members.is_empty(), text.is_empty()) {
        (true, true) => Value::Null,
        (true, false) => Value::from(text),
        (false, true) => Value::Object(members),
        (false, false) => {
            members.insert("$text".to_owned(), text.into());
            Value::Object(members)
        }
    };
    let Some(around) = open.last_mut() else {
        *root = Some((name, value));
        return;
    };
    match around.members.get_mut(&name) {
        // An element's own value is never a list, so a list here is of earlier siblings.
        Some(Value::Array(siblings)) => siblings.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
        None => {
            around.members.insert(name, value);
        }
    }
}

/// An attribute's value with its references resolved.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (name, tail) = after.split_once(';')?;
        out.push_str(before);
        out.push(match name.strip_prefix('#') {
            Some(number) => {
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code).filter(|c| *c != '\0')?
            }
            None => known_entity(name)?,
        });
        rest = tail;
    }
    out.push_str(rest);
    Some(out)
}

/// The five entities that XML itself has.
fn known_entity(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn xml_is_read_as_the_manifest_language_says() {
        for (xml, wanted) in [
            ("<a/>", json!({"a": null})),
            ("<a>x</a>", json!({"a": "x"})),
            ("<a> x &amp; &#65;&#x42; </a>", json!({"a": "x & AB"})),
            ("<a b='1'/>", json!({"a": {"@b": "1"}})),
            (
                "<a b='&lt;&quot;&#10;'>t</a>",
                json!({"a": {"@b": "<\"\n", "$text": "t"}}),
            ),
            (
                "<a><b>1</b><b>2</b><c/></a>",
                json!({"a": {"b": ["1", "2"], "c": null}}),
            ),
            (
                "<a><b x='1'/><b/><b>3</b></a>",
                json!({"a": {"b": [{"@x": "1"}, null, "3"]}}),
            ),
            (
                "<a>one<b/>two</a>",
                json!({"a": {"b": null, "$text": "onetwo"}}),
            ),
            ("<a><![CDATA[<x>&y;]]></a>", json!({"a": "<x>&y;"})),
            (
                "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- c -->\n<s:E xmlns:s=\"u\"><s:B>1</s:B></s:E>\n",
                json!({"s:E": {"@xmlns:s": "u", "s:B": "1"}}),
            ),
        ] {
            assert_eq!(to_json(xml.as_bytes()), Some(wanted), "{xml}");
        }
    }

    #[test]
    fn what_is_not_plain_well_formed_xml_is_not_read() {
        let deep = format!("{}{}", "<a>".repeat(65), "</a>".repeat(65));
        let wide = format!("<r>{}</r>", "<a/>".repeat(MAX_NODES));
        let large = format!("<a>{}</a>", "x".repeat(MAX_BYTES));
        for xml in [
            "",
            "text",
            "<a>",
            "<a></b>",
            "</a>",
            "<a/><b/>",
            "<a/>x",
            "<a b='1' b='2'/>",
            "<a>&nbsp;</a>",
            "<a>&lol;</a>",
            "<a b='&lol;'/>",
            "<a b='&'/>",
            "<a>&#0;</a>",
            "<!DOCTYPE a><a/>",
            "<!DOCTYPE a [<!ENTITY l \"x\"><!ENTITY m \"&l;&l;\">]><a>&m;</a>",
            "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
            &deep,
            &wide,
            &large,
        ] {
            assert_eq!(to_json(xml.as_bytes()), None, "{:.60}", xml);
        }
        assert_eq!(to_json(b"<a>\xff</a>"), None);
        let fits = format!("{}x{}", "<a>".repeat(64), "</a>".repeat(64));
        assert!(to_json(fits.as_bytes()).is_some());
    }
}
