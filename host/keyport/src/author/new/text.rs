//! Ids, labels and sentences from names and prose that somebody else wrote.

/// An app's id made of a name: lower-case letters, digits and hyphens, a letter first, at most 40. `None` if nothing is left.
#[must_use]
pub fn app_id(name: &str) -> Option<String> {
    let mut id = String::new();
    for c in fold(name).chars() {
        if c.is_ascii_alphanumeric() {
            id.push(c.to_ascii_lowercase());
        } else if !id.is_empty() && !id.ends_with('-') && c != '\'' {
            id.push('-');
        }
    }
    let id: String = id
        .trim_start_matches(|c: char| !c.is_ascii_lowercase())
        .chars()
        .take(40)
        .collect();
    let id = id.trim_matches('-');
    (!id.is_empty()).then(|| id.to_owned())
}

/// A field's or method's id made of a name: `accountName` is `account_name`. `None` if nothing is left.
pub fn field_id(name: &str) -> Option<String> {
    let mut id = String::new();
    let mut previous = ' ';
    for c in fold(name).chars() {
        if c.is_ascii_alphanumeric() {
            if c.is_ascii_uppercase()
                && (previous.is_ascii_lowercase() || previous.is_ascii_digit())
            {
                id.push('_');
            }
            id.push(c.to_ascii_lowercase());
        } else if !id.is_empty() && !id.ends_with('_') {
            id.push('_');
        }
        previous = c;
    }
    let id: String = id
        .trim_start_matches(|c: char| !c.is_ascii_lowercase())
        .chars()
        .take(40)
        .collect();
    let id = id.trim_matches('_');
    (!id.is_empty()).then(|| id.to_owned())
}

/// A label made of an id: `account_name` is "Account name".
#[must_use]
pub fn title(id: &str) -> String {
    let words: Vec<String> = id
        .split(['_', '-', ' '])
        .filter(|w| !w.is_empty())
        .enumerate()
        .map(|(i, word)| match word {
            "id" | "url" | "api" | "dns" | "ip" => word.to_ascii_uppercase(),
            _ if i == 0 => capital(word),
            _ => word.to_owned(),
        })
        .collect();
    words.join(" ")
}

/// With its first letter as a capital.
pub fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

/// Letters of Latin alphabets without their marks, as far as app names have them.
fn fold(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' | 'Á' | 'À' | 'Â' | 'Ä' | 'Å' => 'a',
            'é' | 'è' | 'ê' | 'ë' | 'É' | 'È' | 'Ê' => 'e',
            'í' | 'ì' | 'î' | 'ï' => 'i',
            'ó' | 'ò' | 'ô' | 'ö' | 'õ' | 'ø' | 'Ö' | 'Ø' => 'o',
            'ú' | 'ù' | 'û' | 'ü' | 'Ü' => 'u',
            'ç' => 'c',
            'ñ' => 'n',
            c => c,
        })
        .collect()
}

/// The first sentence of some prose (Markdown or HTML), 10 to 140 characters; `None` if it has no such sentence.
pub fn sentence(prose: &str) -> Option<String> {
    let plain = plain(prose);
    let paragraph = plain
        .split("\n\n")
        .map(|p| p.split_whitespace().collect::<Vec<_>>().join(" "))
        .find(|p| p.chars().count() >= 20 && !p.starts_with(['|', '=', '-']))?;
    let end = paragraph
        .char_indices()
        .find(|(at, c)| {
            matches!(c, '.' | '!' | '?')
                && *at >= 15
                && paragraph
                    .get(at + c.len_utf8()..)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
                && !paragraph.get(..*at).is_some_and(|s| {
                    [" e.g", " i.e", " etc", " vs", " Inc", " Ltd"]
                        .iter()
                        .any(|a| s.ends_with(a))
                })
        })
        .map_or(paragraph.len(), |(at, c)| at + c.len_utf8());
    let first = paragraph.get(..end)?.trim().trim_end_matches(':').trim();
    let length = first.chars().count();
    let odd = first.contains("{{")
        || first.contains("{%")
        || first.contains("{#")
        || first.contains("://");
    ((10..=140).contains(&length) && !odd).then(|| first.to_owned())
}

/// Prose without markup. Headings and list marks end a paragraph.
fn plain(prose: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in prose.chars().take(4000) {
        match c {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                text.push(' ');
            }
            '\r' => {}
            _ if inside => {}
            c => text.push(c),
        }
    }
    let mut out = String::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with('#') || line.starts_with("![") || line.starts_with("```") {
            out.push_str("\n\n");
            continue;
        }
        out.push_str(&links(line).replace(['*', '`', '_'], ""));
        out.push('\n');
    }
    out.replace("&amp;", "&")
        .replace("&nbsp;", " ")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
}

/// `[text](address)` as its text.
fn links(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        match after.split_once(']') {
            Some((inner, tail)) if tail.starts_with('(') => {
                out.push_str(inner);
                rest = tail.split_once(')').map_or("", |(_, rest)| rest);
            }
            Some((inner, tail)) => {
                out.push_str(inner);
                rest = tail;
            }
            None => {
                out.push_str(after);
                rest = "";
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_what_the_manifest_takes() {
        for (name, id) in [
            ("DigitalOcean", "digitalocean"),
            ("Höme Office's API", "home-offices-api"),
            ("1Password", "password"),
            ("  --x  ", "x"),
        ] {
            assert_eq!(app_id(name).as_deref(), Some(id));
        }
        assert_eq!(app_id("漢字"), None);
        assert_eq!(field_id("accountName").as_deref(), Some("account_name"));
        assert_eq!(field_id("X-API-Key").as_deref(), Some("x_api_key"));
        assert_eq!(field_id("__"), None);
        assert_eq!(title("account_id"), "Account ID");
    }

    #[test]
    fn the_first_sentence_is_found_under_markup() {
        assert_eq!(
            sentence("# Introduction\n\nThe **Acme** [API](https://x.example) lets you e.g. send mail. More.").as_deref(),
            Some("The Acme API lets you e.g. send mail.")
        );
        assert_eq!(sentence("<p>Short</p>"), None);
        assert_eq!(
            sentence("See https://example.com/this/page for everything about it"),
            None
        );
    }
}
