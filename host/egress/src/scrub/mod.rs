//! Step 7: secrets do not come back.
//!
//! A net, not a promise: values of at least [`MIN_SCRUBBED`] bytes are replaced, in the forms that
//! `forms` lists, in what goes back to a guest, to a platform or to a log. An upstream that returns a
//! secret transformed in any other way defeats it, which is why a guest's hosts are granted by name in the
//! first place. What is not secret is never searched for: the caller says what is.
//!
//! The search works on pieces of a stream and gives the same result wherever the pieces are cut. It
//! holds back only what could still become a match, so that an event stream is not delayed. All
//! overlapping matches are removed together: of `abcdefgh` and `efghijkl`, nothing of `abcdefghijkl`
//! remains. The patterns are wiped when dropped, which is why no automaton from a library is used.

mod forms;

use std::sync::Arc;

use zeroize::Zeroizing;

pub use forms::MIN_SCRUBBED;

use crate::secret::Secret;

/// What stands where a secret stood.
pub const MARK: &str = "[redacted]";

/// Finds a set of secrets. Cheap to clone; has no `Debug`, as it holds them.
#[derive(Clone, Default)]
pub struct Scrubber(Arc<Patterns>);

#[derive(Default)]
struct Patterns {
    /// By first byte (256 of them, or none), so that most positions of a text cost one look-up; within those, sorted by the second,
    /// so that a call with a hundred secrets, whose forms begin alike, costs little more.
    by_first: Vec<Vec<Form>>,
    longest: usize,
}

/// What is searched for, and its second byte.
type Form = (u8, Zeroizing<Vec<u8>>);

impl Scrubber {
    /// Searches for these secrets; those under [`MIN_SCRUBBED`] bytes are left out.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut patterns = Patterns {
            by_first: vec![Vec::new(); 256],
            longest: 0,
        };
        for form in secrets
            .into_iter()
            .flat_map(|secret| forms::forms(secret.expose()))
        {
            let &[first, second, ..] = form.as_slice() else {
                continue;
            };
            let Some(bucket) = patterns.by_first.get_mut(usize::from(first)) else {
                continue;
            };
            let at = bucket.partition_point(|(known, _)| *known < second);
            let alike = bucket.iter().skip(at);
            if alike.into_iter().all(|(_, known)| *known != form) {
                patterns.longest = patterns.longest.max(form.len());
                bucket.insert(at, (second, form));
            }
        }
        Self(Arc::new(patterns))
    }

    /// True where there is nothing to search for.
    pub fn is_empty(&self) -> bool {
        self.0.longest == 0
    }

    /// The text without the secrets.
    pub fn text(&self, text: &str) -> String {
        // Secrets and marks are whole characters, so what remains is valid UTF-8; base64 forms are ASCII.
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }

    /// The bytes without the secrets.
    pub fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.stream();
        let mut out = stream.push(bytes);
        out.extend(stream.finish());
        out
    }

    /// Begins a stream.
    pub fn stream(&self) -> ScrubStream {
        ScrubStream {
            patterns: Arc::clone(&self.0),
            held: Vec::new(),
            covered: 0,
        }
    }
}

/// One stream being scrubbed.
pub struct ScrubStream {
    patterns: Arc<Patterns>,
    /// The end of what was pushed: a beginning of some pattern, not yet decided.
    held: Vec<u8>,
    /// How many of the held bytes belong to a match whose mark is already out.
    covered: usize,
}

impl ScrubStream {
    /// Takes the next piece and gives back what is decided by now.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        if self.patterns.longest == 0 {
            return piece.to_vec();
        }
        self.held.extend_from_slice(piece);
        let cut = self.undecided_from();
        self.release(cut)
    }

    /// Gives back the rest. The stream is empty afterwards.
    pub fn finish(&mut self) -> Vec<u8> {
        let cut = self.held.len();
        self.release(cut)
    }

    /// The first place from which the rest of the buffer is the beginning of some longer pattern.
    fn undecided_from(&self) -> usize {
        let len = self.held.len();
        let earliest = len.saturating_sub(self.patterns.longest.saturating_sub(1));
        (earliest..len)
            .find(|&at| {
                self.held.get(at..).is_some_and(|tail| {
                    self.patterns
                        .starting_like(tail)
                        .any(|form| form.len() > tail.len() && form.starts_with(tail))
                })
            })
            .unwrap_or(len)
    }

    /// Writes out everything before `cut`. A match that reaches over the cut gets its mark now, and the
    /// bytes beyond the cut that it covers are remembered as covered.
    fn release(&mut self, cut: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(cut);
        let mut covered_to = self.covered;
        for at in 0..cut {
            let Some(rest) = self.held.get(at..) else {
                break;
            };
            if let Some(length) = self.patterns.longest_match(rest) {
                if at >= covered_to {
                    out.extend_from_slice(MARK.as_bytes());
                }
                covered_to = covered_to.max(at + length);
            }
            if at >= covered_to {
                out.extend(rest.first());
            }
        }
        self.held.drain(..cut.min(self.held.len()));
        self.covered = covered_to.saturating_sub(cut);
        out
    }
}

impl Patterns {
    /// Those that share the text's first two bytes, or its one.
    fn starting_like(&self, text: &[u8]) -> impl Iterator<Item = &Zeroizing<Vec<u8>>> {
        let bucket = text
            .first()
            .and_then(|&first| self.by_first.get(usize::from(first)));
        let bucket = bucket.map_or(&[][..], Vec::as_slice);
        let alike = match text.get(1) {
            Some(second) => {
                let from = bucket.partition_point(|(known, _)| known < second);
                let to = bucket.partition_point(|(known, _)| known <= second);
                bucket.get(from..to).unwrap_or_default()
            }
            None => bucket,
        };
        alike.iter().map(|(_, form)| form)
    }

    fn longest_match(&self, text: &[u8]) -> Option<usize> {
        self.starting_like(text)
            .filter(|form| text.starts_with(form))
            .map(|form| form.len())
            .max()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scrubber(secrets: &[&str]) -> Scrubber {
        let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::new(*text)).collect();
        Scrubber::new(&secrets)
    }

    #[test]
    fn a_secret_is_replaced_wherever_it_stands() {
        let scrubber = scrubber(&["sk_live_abcdef"]);
        assert_eq!(
            scrubber.text("key=sk_live_abcdef; again sk_live_abcdef"),
            "key=[redacted]; again [redacted]"
        );
        assert_eq!(scrubber.text("sk_live_abcde"), "sk_live_abcde");
    }

    #[test]
    fn overlapping_secrets_are_removed_together_and_adjacent_ones_one_by_one() {
        let scrubber = scrubber(&["abcdefgh", "efghijkl"]);
        assert_eq!(scrubber.text("-abcdefghijkl-"), "-[redacted]-");
        assert_eq!(scrubber.text("abcdefghefghijkl"), "[redacted][redacted]");
    }

    #[test]
    fn a_stream_is_not_held_back_where_nothing_could_match() {
        let scrubber = scrubber(&["sk_live_abcdef"]);
        let mut stream = scrubber.stream();
        assert_eq!(stream.push(b"data: hello\n\n"), b"data: hello\n\n");
        assert_eq!(stream.push(b"data: sk_li"), b"data: ");
        assert_eq!(stream.push(b"ne\n"), b"sk_line\n");
        assert_eq!(stream.finish(), b"");
    }

    #[test]
    fn an_endless_chain_of_overlapping_matches_needs_no_more_memory_than_one() {
        let scrubber = scrubber(&["aaaaaaaa"]);
        let mut stream = scrubber.stream();
        let mut out = Vec::new();
        for _ in 0..1000 {
            out.extend(stream.push(&[b'a'; 100]));
            assert!(stream.held.len() < 200);
        }
        out.extend(stream.finish());
        assert_eq!(out, MARK.as_bytes());
    }

    #[test]
    fn without_secrets_everything_passes_untouched() {
        let scrubber = scrubber(&["short"]);
        assert!(scrubber.is_empty());
        assert_eq!(scrubber.bytes(b"short \xff\x00"), b"short \xff\x00");
    }

    /// What the answer must be, written as plainly as possible.
    fn reference(secrets: &[&str], text: &[u8]) -> Vec<u8> {
        let forms: Vec<_> = secrets.iter().flat_map(|s| forms::forms(s)).collect();
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for at in 0..text.len() {
            for form in &forms {
                if text[at..].starts_with(form) {
                    spans.push((at, at + form.len()));
                }
            }
        }
        let mut out = Vec::new();
        let mut end = 0;
        for (at, &byte) in text.iter().enumerate() {
            if let Some(longest) = spans.iter().filter(|s| s.0 == at).map(|s| s.1).max() {
                if at >= end {
                    out.extend_from_slice(MARK.as_bytes());
                }
                end = end.max(longest);
            }
            if at >= end {
                out.push(byte);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_where_the_stream_is_cut(
            // A tiny alphabet, so that matches, near misses and overlaps are frequent.
            text in "(abababab|babababa|ab|a|b|c|%|aab){0,30}",
            cuts in proptest::collection::vec(0_usize..200, 0..20),
        ) {
            let secrets = ["abababab", "babababa", "ababababab", "aababababc"];
            let scrubber = scrubber(&secrets);
            let text = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut stream = scrubber.stream();
            let mut out = Vec::new();
            for pair in cuts.windows(2) {
                out.extend(stream.push(&text[pair[0]..pair[1]]));
            }
            out.extend(stream.finish());
            prop_assert_eq!(&out, &reference(&secrets, text));
            prop_assert_eq!(&out, &scrubber.bytes(text));
        }

        #[test]
        fn no_listed_form_of_a_secret_survives_any_surroundings(
            secret in "[ -~é]{8,40}",
            before in "[ -~]{0,20}",
            after in "[ -~]{0,20}",
            pick in any::<prop::sample::Index>(),
        ) {
            let forms = forms::forms(&secret);
            let form = pick.get(&forms);
            let mut text = before.into_bytes();
            text.extend_from_slice(form);
            text.extend(after.into_bytes());
            let out = scrubber(&[&secret]).bytes(&text);
            // The mark itself could complete a form only if the secret is a part of the mark.
            prop_assume!(!MARK.contains(secret.as_str()));
            let mark_free = String::from_utf8_lossy(&out).replace(MARK, "\u{0}");
            let form_text = String::from_utf8_lossy(form).into_owned();
            prop_assert!(!mark_free.contains(&form_text));
        }
    }
}
