//! `validate --fix`: safe changes are written to the files, and shown.

use keyport_manifest::yaml;

use super::Failure;
use super::output::print;
use super::source::Source;

/// Makes every safe change to a manifest's file, and shows what it changed.
///
/// # Errors
/// Standard input has no file; a file that can't be written.
pub fn fix(source: &mut Source, quiet: bool) -> Result<(), Failure> {
    let Some(path) = source.path.clone() else {
        return Err(Failure::Said(
            "`--fix` changes files, and standard input is none; name the file".to_owned(),
        ));
    };
    let fixed = yaml::fix(&source.name, &source.text, source.facts().as_ref());
    if fixed.text == source.text {
        return Ok(());
    }
    std::fs::write(&path, &fixed.text).map_err(|error| Failure::File {
        path: path.clone(),
        source: error,
    })?;
    if !quiet {
        let mut shown = format!(
            "{}: {}\n",
            source.name,
            super::count(fixed.applied.len(), "fix")
        );
        shown.push_str(&changed(&source.text, &fixed.text));
        shown.push('\n');
        print(&shown)?;
    }
    source.text = fixed.text;
    Ok(())
}

/// The lines that went (`-`) and came (`+`), with their numbers in the old text and in the new one.
fn changed(before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let mut out = String::new();
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if old.get(i) == new.get(j) {
            (i, j) = (i + 1, j + 1);
            continue;
        }
        // The nearest line at which both go on together.
        let (gone, come) = meet(&old, i, &new, j);
        for (number, line) in old.iter().enumerate().skip(i).take(gone) {
            out.push_str(&format!("  {:>4} - {}\n", number + 1, printable(line)));
        }
        for (number, line) in new.iter().enumerate().skip(j).take(come) {
            out.push_str(&format!("  {:>4} + {}\n", number + 1, printable(line)));
        }
        (i, j) = (i + gone, j + come);
    }
    out
}

/// How many lines to skip on either side until both say the same again.
fn meet(old: &[&str], i: usize, new: &[&str], j: usize) -> (usize, usize) {
    let (left, right) = (old.len().saturating_sub(i), new.len().saturating_sub(j));
    for together in 1..=left.saturating_add(right) {
        for gone in 0..=together.min(left) {
            let come = together - gone;
            if come <= right
                && let (Some(a), Some(b)) = (old.get(i + gone), new.get(j + come))
                && a == b
            {
                return (gone, come);
            }
        }
    }
    (left, right)
}

/// A stranger's control characters are not sent to the terminal.
fn printable(line: &str) -> String {
    line.chars()
        .map(|c| if c.is_control() && c != '\t' { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::changed;

    #[test]
    fn changed_lines_are_shown_with_their_numbers_and_nothing_else_is() {
        assert_eq!(
            changed("a\nb\nc\n", "a\nB\nc\n"),
            "     2 - b\n     2 + B\n"
        );
        assert_eq!(changed("a\nc\n", "a\nb\nc\n"), "     2 + b\n");
        assert_eq!(changed("a\nb", "a"), "     2 - b\n");
        assert_eq!(changed("a\n", "a\n"), "");
    }
}
