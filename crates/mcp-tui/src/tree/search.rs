//! Searching in the raw text and unfolding the way to a hit.

use super::{Kind, Tree};

impl Tree {
    /// Sets what to look for and goes to the first hit from the cursor on, around the end; false if there is none. Words
    /// without an upper-case letter match either case. Strings that were unfolded as JSON are searched as they are spelled.
    pub fn search(&mut self, words: &str) -> bool {
        words.clone_into(&mut self.words);
        self.hit = None;
        let from = self.lines[self.at()].begin();
        if words.is_empty() || self.lines[self.at()].source != 0 { self.go(0) } else { self.go(from) }
    }

    /// To the next hit.
    pub fn next_hit(&mut self) -> bool {
        let line = self.lines[self.at()];
        let from = if line.source == 0 { line.begin() + 1 } else { 0 };
        // Several hits in one leaf are one stop; a container's own children are further stops.
        self.go(self.hit.map_or(from, |hit| if line.is_container() || line.source != 0 { hit + 1 } else { from.max(line.end()) }))
    }

    /// To the hit before.
    pub fn previous_hit(&mut self) -> bool {
        let line = self.lines[self.at()];
        let bytes = self.sources[0].bytes.clone();
        let before = if line.source == 0 { line.begin() } else { bytes.len() };
        let found = self.found_before(&bytes, before).or_else(|| self.found_before(&bytes, bytes.len()));
        self.show(found)
    }

    fn go(&mut self, from: usize) -> bool {
        let bytes = self.sources[0].bytes.clone();
        let found = self.found_in(&bytes, from).or_else(|| self.found_in(&bytes, 0));
        self.show(found)
    }

    fn show(&mut self, found: Option<usize>) -> bool {
        if let Some(offset) = found {
            self.reveal(offset);
        }
        self.hit = found;
        found.is_some()
    }

    /// Unfolds the way to a byte of the payload and puts the cursor there.
    pub fn reveal(&mut self, offset: usize) {
        let mut at = 0;
        loop {
            let line = self.lines[at];
            if !line.is_container() {
                break;
            }
            self.unfold(at, 1);
            let end = self.end_of(at);
            let child =
                (at + 1..end).rfind(|child| self.lines[*child].depth == line.depth + 1 && self.lines[*child].begin() <= offset);
            let Some(child) = child else { break };
            if self.lines[child].kind == Kind::More {
                self.unfold(child, 1);
                continue;
            }
            at = child;
            let key = self.lines[at].key;
            if (key.0 as usize..key.1 as usize).contains(&offset) {
                break;
            }
        }
        self.count();
        self.list.select(at);
    }

    pub(super) fn found_in(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let words = self.words.as_bytes();
        let first = *words.first()?;
        if !self.ignores_case() {
            return memchr::memmem::find(bytes.get(from..)?, words).map(|at| from + at);
        }
        let rest = bytes.get(from..)?;
        memchr::memchr2_iter(first, first.to_ascii_uppercase(), rest)
            .find(|at| rest.get(*at..at + words.len()).is_some_and(|piece| piece.eq_ignore_ascii_case(words)))
            .map(|at| from + at)
    }

    fn found_before(&self, bytes: &[u8], end: usize) -> Option<usize> {
        let words = self.words.as_bytes();
        let first = *words.first()?;
        let rest = bytes.get(..end)?;
        let matches = |piece: &[u8]| if self.ignores_case() { piece.eq_ignore_ascii_case(words) } else { piece == words };
        memchr::memrchr2_iter(first, first.to_ascii_uppercase(), rest)
            .find(|at| bytes.get(*at..at + words.len()).is_some_and(matches))
    }

    fn ignores_case(&self) -> bool {
        !self.words.chars().any(char::is_uppercase)
    }
}
