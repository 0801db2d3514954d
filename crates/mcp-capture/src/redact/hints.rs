//! Whether a text can hold a secret at all: what most messages pay, and nothing more.
//!
//! An automaton takes two milliseconds for a megabyte. Vector instructions that compare the beginnings of all words at once take
//! a tenth of that; they know no upper case, so that the text is folded before, a block at a time.

use aho_corasick::{AhoCorasick, packed};
use memchr::memmem::Finder;

/// Small enough for the processor's nearest cache.
const BLOCK: usize = 4096;
/// Most headers and many messages are no longer, and clearing a whole block would cost more than looking at them.
const SHORT: usize = 256;

/// The words one of which stands in every text that is worth a second look.
pub(super) struct Hints {
    search: Search,
    /// A word may lie across two blocks.
    overlap: usize,
    /// An escaped letter. As one of the words it would make the search for all of them coarser, since it is so short.
    escape: Finder<'static>,
}

enum Search {
    Packed(packed::Searcher),
    /// For processors without such instructions, and for more or shorter words than these can do.
    Plain(AhoCorasick),
}

/// Upper and lower case of letters become the same; so do some other bytes, which may cause a second look and never hides a word.
fn fold(byte: u8) -> u8 {
    byte | 0x20
}

impl Hints {
    pub(super) fn new(words: &[String]) -> Self {
        let folded: Vec<Vec<u8>> = words.iter().map(|word| word.bytes().map(fold).collect()).collect();
        let overlap = folded.iter().map(Vec::len).max().unwrap_or(0).clamp(1, SHORT / 2) - 1;
        let search = packed::Config::new().builder().extend(&folded).build().map_or_else(
            || Search::Plain(AhoCorasick::new(&folded).expect("a few short words fit any automaton")),
            Search::Packed,
        );
        Self { search, overlap, escape: Finder::new(b"\\u") }
    }

    /// Whether there is a word, or an escaped letter, which could hide one.
    pub(super) fn are_in(&self, text: &[u8]) -> bool {
        let is_word = if text.len() <= SHORT { self.has_word::<SHORT>(text) } else { self.has_word::<BLOCK>(text) };
        is_word || self.escape.find(text).is_some()
    }

    fn has_word<const N: usize>(&self, text: &[u8]) -> bool {
        let mut block = [0; N];
        let mut at = 0;
        loop {
            let piece = &text[at..text.len().min(at + N)];
            let folded = &mut block[..piece.len()];
            for (to, from) in folded.iter_mut().zip(piece) {
                *to = fold(*from);
            }
            let is_found = match &self.search {
                Search::Packed(search) => search.find(&*folded).is_some(),
                Search::Plain(search) => search.is_match(&*folded),
            };
            if is_found {
                return true;
            }
            if at + N >= text.len() {
                return false;
            }
            at += N - self.overlap;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_wherever_it_lies_and_however_it_is_spelt() {
        let words: Vec<String> = ["key", "-----begin", "github_pat_", "://"].map(str::to_owned).into();
        let packed = Hints::new(&words);
        let plain =
            Hints { search: Search::Plain(AhoCorasick::new(["key", "-----begin"]).expect("two words")), ..Hints::new(&words) };
        for word in ["KEY", "key", "-----BEGIN", "-----Begin"] {
            for place in (0..20).chain(BLOCK - 30..BLOCK + 30).chain(2 * BLOCK - 50..2 * BLOCK + 30) {
                let mut text = vec![b'x'; 3 * BLOCK];
                text[place..place + word.len()].copy_from_slice(word.as_bytes());
                assert!(packed.are_in(&text) && plain.are_in(&text), "{word} at {place}");
                assert!(packed.are_in(&text[..place + word.len()]), "{word} at the end {place}");
                assert!(!packed.are_in(&text[..place + word.len() - 1]), "{word} cut off at {place}");
            }
        }
        assert!(packed.are_in(b"a GitHub_PAT_ is one") && packed.are_in(b"http://x") && packed.are_in(br"\u0041"));
        assert!(!packed.are_in(b"") && !packed.are_in(b"nothing of that kind"));
    }

    #[test]
    fn words_that_are_too_short_for_vectors_are_found_as_well() {
        let words: Vec<String> = ('a'..='z').map(String::from).collect();
        let hints = Hints::new(&words);
        assert!(hints.are_in(b"1234 Z") && !hints.are_in(b"1234 5"));
    }
}
