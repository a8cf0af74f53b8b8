//! JSON that a guest hands over.
//!
//! Read, it takes up to a hundred times its text: `[0],` is four bytes, and 440 in memory. So its values are counted in the text
//! before it is read; what the host makes of a call is then no more than what the guest may have itself.

use serde_json::Value;

/// Why a text was not read.
#[derive(Debug, PartialEq, Eq)]
pub enum NotRead {
    /// It has more values than that.
    TooMany,
    /// It is not JSON.
    NotJson,
}

/// Reads a text of at most so many values.
pub fn read(text: &str, values: usize) -> Result<Value, NotRead> {
    if count(text) > values {
        return Err(NotRead::TooMany);
    }
    serde_json::from_str(text).map_err(|_| NotRead::NotJson)
}

/// How many values there are at most: one, and one for each comma and each opening bracket that is not within a text.
pub fn count(text: &str) -> usize {
    let (mut values, mut within, mut escaped) = (1, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if within => escaped = true,
            b'"' => within = !within,
            b',' | b'[' | b'{' if !within => values += 1,
            _ => {}
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: &Value) -> usize {
        1 + match value {
            Value::Array(items) => items.iter().map(of).sum(),
            Value::Object(members) => members.values().map(of).sum(),
            _ => 0,
        }
    }

    #[test]
    fn there_are_never_more_values_than_are_counted_and_what_stands_in_texts_is_none() {
        for value in [
            json!(null),
            json!([]),
            json!([0, [0], [[0]], {}]),
            json!({ "a": [1, 2, { "b": "x" }], "c,[{": "d,[{\"\\" }),
        ] {
            let text = value.to_string();
            assert!(count(&text) >= of(&value), "{text}");
            assert_eq!(read(&text, count(&text)), Ok(value));
        }
        assert_eq!(count(r#""a,b[{\"[,{\\""#), 1);
        assert_eq!(read("[0,0]", 2), Err(NotRead::TooMany));
        assert_eq!(read("[0,0", 3), Err(NotRead::NotJson));
    }
}
