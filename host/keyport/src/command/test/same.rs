//! When what was sent or came out is what a fixture has: addresses and bodies that mean the same are the same.

use keyport_manifest::yaml::fixtures::exchange::same_json;
use serde_json::Value;

/// An address without these parameters.
pub fn without(url: &str, names: &[&str]) -> String {
    let Some((path, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !names.contains(&pair.split('=').next().unwrap_or_default()))
        .collect();
    match kept.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", kept.join("&")),
    }
}

/// The same address, whatever the order of its parameters and how they are escaped, and with or without those of `paging`.
pub fn same_url(got: &str, wanted: &str, paging: &[&str]) -> bool {
    got == wanted || parts(got) == parts(wanted) || parts(&without(got, paging)) == parts(wanted)
}

fn parts(url: &str) -> (String, Vec<(String, String)>) {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    pairs.sort();
    (path.to_owned(), pairs)
}

/// The body that a fixture has: a text as it is, a tree as JSON.
pub fn same_body(got: &[u8], wanted: &Value) -> bool {
    match wanted {
        Value::String(text) => text.as_bytes() == got,
        tree => serde_json::from_slice::<Value>(got).is_ok_and(|got| same_json(&got, tree)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_in_another_order_and_with_what_paging_adds() {
        let paging = ["per_page"];
        for (got, wanted) in [
            ("/a?x=1&y=2", "/a?y=2&x=1"),
            ("/a?x=a%20b", "/a?x=a+b"),
            ("/a?per_page=100", "/a"),
            ("/a?x=1&per_page=100", "/a?x=1&per_page=100"),
        ] {
            assert!(same_url(got, wanted, &paging), "{got} and {wanted}");
        }
        for (got, wanted) in [
            ("/a?x=1", "/a?x=2"),
            ("/a", "/a?per_page=100"),
            ("/a?per_page=5", "/a?per_page=100"),
            ("/a?page=2", "/a"),
            ("/b", "/a"),
        ] {
            assert!(!same_url(got, wanted, &paging), "{got} and {wanted}");
        }
    }
}
