//! Finding secrets in a text and putting their replacements in, in a time that grows with the length of the text.

use std::ops::Range;

use super::Redactor;

/// A place to replace, and what stands there instead.
struct Cut {
    place: Range<usize>,
    text: String,
}

impl Redactor {
    /// The text with its secrets replaced; `None` if it has none.
    pub(super) fn replaced(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
        let is_json = matches!(first, Some(b'{' | b'[')) && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
        let replaced = if is_json { self.in_json(bytes) } else { self.in_text(bytes) }?;
        let holds = |found: &[u8]| self.values.as_ref().is_some_and(|values| values.is_match(found));
        let is_good = !is_json || serde_json::from_slice::<serde::de::IgnoredAny>(&replaced).is_ok();
        if is_good && !holds(&replaced) {
            return Some(replaced);
        }
        // A value that spans the text's own punctuation, or that comes together from what is left: nothing is kept.
        let end = if bytes.ends_with(b"\r\n") {
            "\r\n"
        } else if bytes.ends_with(b"\n") {
            "\n"
        } else {
            ""
        };
        Some(format!("\"{}\"{end}", self.mask(bytes)).into_bytes())
    }

    /// Values and shapes, the longer of two that overlap as one.
    fn hits(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut hits: Vec<Range<usize>> = Vec::new();
        if let Some(values) = &self.values {
            hits.extend(values.find_iter(bytes).map(|found| found.range()));
        }
        hits.extend(self.shapes().find_iter(bytes).map(|found| {
            let mut place = found.range();
            // A key in a JSON string may be followed by an escaped quote, whose backslash is not the key's.
            while place.end > place.start && bytes[place.end - 1] == b'\\' {
                place.end -= 1;
            }
            place
        }));
        hits
    }

    fn in_text(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut cuts: Vec<Range<usize>> = self.hits(bytes);
        for found in self.assigned().captures_iter(bytes) {
            let (Some(name), Some(value)) = (found.get(1), found.get(2)) else { continue };
            if std::str::from_utf8(name.as_bytes()).is_ok_and(|name| self.names.is_secret(name)) {
                cuts.push(value.range());
            }
        }
        let cuts = joined(cuts);
        let cuts = cuts.into_iter().map(|place| Cut { text: self.mask(&bytes[place.clone()]), place }).collect::<Vec<_>>();
        apply(bytes, &cuts)
    }

    fn in_json(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut hits = joined(self.hits(bytes)).into_iter().peekable();
        let mut cuts: Vec<Cut> = Vec::new();
        // The value of the next string belongs to a secret name.
        let mut is_secret = false;
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'"' => {
                    let inner = at + 1..string_end(bytes, at + 1);
                    let after = inner.end + 1;
                    let colon = blank(bytes, after);
                    let is_key = bytes.get(colon) == Some(&b':');
                    let was_secret = std::mem::take(&mut is_secret);
                    // What ended before cannot be in here.
                    while hits.next_if(|hit| hit.end <= inner.start).is_some() {}
                    if is_key {
                        let value = blank(bytes, colon + 1);
                        is_secret = bytes.get(value) == Some(&b'"') && self.is_secret_key(&bytes[inner.clone()]);
                    }
                    if was_secret && !inner.is_empty() {
                        cuts.push(Cut { text: self.mask(&bytes[inner.clone()]), place: inner.clone() });
                    } else if hits.peek().is_some_and(|hit| hit.start < inner.end) {
                        let mut places = Vec::new();
                        while let Some(hit) = hits.peek().filter(|hit| hit.start < inner.end).cloned() {
                            places.push(widened(bytes, &inner, hit.clone()));
                            if hit.end > inner.end {
                                // It goes on behind the quote: the check of the whole takes care of it.
                                break;
                            }
                            hits.next();
                        }
                        cuts.extend(
                            joined(places).into_iter().map(|place| Cut { text: self.mask(&bytes[place.clone()]), place }),
                        );
                    } else if !inner.is_empty() && self.is_hidden(&bytes[inner.clone()]) {
                        cuts.push(Cut { text: self.mask(&bytes[inner.clone()]), place: inner.clone() });
                    } else if let Some(more) = self.assigned_in(bytes, &inner) {
                        cuts.extend(more);
                    }
                    at = after;
                }
                b'0'..=b'9' | b'-' => {
                    let end = bytes[at..].iter().position(|b| matches!(b, b',' | b'}' | b']')).map_or(bytes.len(), |n| at + n);
                    let end = at + bytes[at..end].trim_ascii_end().len();
                    while hits.next_if(|hit| hit.end <= at).is_some() {}
                    if hits.peek().is_some_and(|hit| hit.start < end) {
                        cuts.push(Cut { text: format!("\"{}\"", self.mask(&bytes[at..end])), place: at..end });
                    }
                    at = end;
                }
                _ => at += 1,
            }
        }
        // A value that is nothing but punctuation was not met in any string.
        let replaced = apply(bytes, &cuts);
        match replaced {
            None if self.values.as_ref().is_some_and(|values| values.is_match(bytes)) => Some(bytes.to_vec()),
            other => other,
        }
    }

    fn is_secret_key(&self, raw: &[u8]) -> bool {
        if raw.contains(&b'\\') {
            return decoded(raw).is_some_and(|key| self.names.is_secret(&key));
        }
        std::str::from_utf8(raw).is_ok_and(|key| self.names.is_secret(key))
    }

    /// Whether a string holds a secret spelt with escapes.
    fn is_hidden(&self, raw: &[u8]) -> bool {
        if !raw.contains(&b'\\') {
            return false;
        }
        let Some(text) = decoded(raw) else { return false };
        let has_value = self.values.as_ref().is_some_and(|values| values.is_match(text.as_bytes()));
        // Only an escaped letter can hide a shape: all that shapes are made of is spelt plainly otherwise.
        has_value || (memchr::memmem::find(raw, b"\\u").is_some() && self.shapes().is_match(text.as_bytes()))
    }

    /// `name=value` within a string: headers, command lines, addresses, JSON in a string.
    fn assigned_in(&self, bytes: &[u8], inner: &Range<usize>) -> Option<Vec<Cut>> {
        let raw = &bytes[inner.clone()];
        memchr::memchr2(b'=', b':', raw)?;
        let mut cuts = Vec::new();
        let mut from = 0;
        while let Some(found) = self.assigned_escaped(raw, from) {
            let place = widened(bytes, inner, inner.start + found.start..inner.start + found.end);
            from = found.end.max(from + 1);
            cuts.push(Cut { text: self.mask(&bytes[place.clone()]), place });
        }
        (!cuts.is_empty()).then_some(cuts)
    }

    /// The next value assigned to a secret name. In a string, quotes are escaped.
    fn assigned_escaped(&self, raw: &[u8], from: usize) -> Option<Range<usize>> {
        let mut at = from;
        while let Some(step) = raw.get(at..).and_then(|rest| memchr::memchr2(b'=', b':', rest)) {
            let sign = at + step;
            at = sign + 1;
            let before = trim_end(&raw[..sign]);
            let is_name = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
            let length = before.iter().rev().take(40).take_while(is_name).count();
            let Ok(name) = std::str::from_utf8(&before[before.len() - length..]) else { continue };
            if length < 3 || !self.names.is_secret(name) {
                continue;
            }
            let mut start = sign + 1;
            while raw.get(start).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\\' | b'"' | b'\'')) {
                start += 1;
            }
            let is_end =
                |b: &u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'&' | b';' | b',' | b'<' | b'>' | b'\\' | b'}');
            let end = raw[start..].iter().position(is_end).map_or(raw.len(), |n| start + n);
            if end - start >= 3 {
                return Some(start..end);
            }
        }
        None
    }
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|b| !matches!(b, b' ' | b'\t' | b'\\' | b'"' | b'\'')).map_or(0, |n| n + 1);
    &bytes[..end]
}

/// Joins places that overlap.
fn joined(mut places: Vec<Range<usize>>) -> Vec<Range<usize>> {
    places.retain(|place| !place.is_empty());
    places.sort_by_key(|place| (place.start, place.end));
    let mut all: Vec<Range<usize>> = Vec::new();
    for place in places {
        match all.last_mut() {
            Some(last) if place.start < last.end => last.end = last.end.max(place.end),
            _ => all.push(place),
        }
    }
    all
}

fn apply(bytes: &[u8], cuts: &[Cut]) -> Option<Vec<u8>> {
    if cuts.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len() + 16 * cuts.len());
    let mut at = 0;
    for cut in cuts {
        out.extend_from_slice(&bytes[at..cut.place.start]);
        out.extend_from_slice(cut.text.as_bytes());
        at = cut.place.end;
    }
    out.extend_from_slice(&bytes[at..]);
    Some(out)
}

fn blank(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// Where the closing quote of a string is.
fn string_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(step) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += step;
        if bytes[at] == b'"' {
            return at;
        }
        at += 2;
    }
    bytes.len()
}

/// A place within a string, widened so that it begins and ends between characters: an escape is one.
fn widened(bytes: &[u8], inner: &Range<usize>, place: Range<usize>) -> Range<usize> {
    let length_at = |at: usize| match (bytes[at], bytes.get(at + 1)) {
        (b'\\', Some(b'u')) => 6,
        (b'\\', _) => 2,
        _ => 1,
    };
    let start = place.start.max(inner.start);
    let end = place.end.min(inner.end);
    // Only what stands before within the length of an escape matters, and a run of backslashes before that.
    let mut from = start.saturating_sub(6).max(inner.start);
    while from > inner.start && bytes[from - 1] == b'\\' {
        from -= 1;
    }
    let mut begin = start;
    let mut at = from;
    while at < end {
        let next = at + length_at(at);
        if at < start && next > start {
            begin = at;
        }
        at = next;
    }
    begin..at.max(end).min(inner.end)
}

fn decoded(raw: &[u8]) -> Option<String> {
    let quoted = [b"\"", raw, b"\""].concat();
    serde_json::from_slice(&quoted).ok()
}
