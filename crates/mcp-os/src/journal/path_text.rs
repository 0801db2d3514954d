//! Paths in JSON: a string when they are Unicode, as good as always; else `{"hex": …}` with their bytes as Rust keeps
//! them, so that undo still finds the file.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Unicode(String),
    Bytes { hex: String },
}

pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    to_text(path).serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    from_text(Text::deserialize(deserializer)?).ok_or_else(|| de::Error::custom("a path that is not valid here"))
}

/// The same for a list.
pub(super) mod list {
    use super::{Deserialize, Deserializer, PathBuf, Serializer, Text, de, from_text, to_text};

    pub(in super::super) fn serialize<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(paths.iter().map(|p| to_text(p)))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
        let texts = Vec::<Text>::deserialize(deserializer)?;
        let paths: Option<Vec<PathBuf>> = texts.into_iter().map(from_text).collect();
        paths.ok_or_else(|| de::Error::custom("a path that is not valid here"))
    }
}

fn to_text(path: &Path) -> Text {
    if let Some(text) = path.to_str() {
        return Text::Unicode(text.to_owned());
    }
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16);
    let bytes = path.as_os_str().as_encoded_bytes();
    Text::Bytes { hex: bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).flatten().collect() }
}

fn from_text(text: Text) -> Option<PathBuf> {
    match text {
        Text::Unicode(text) => Some(text.into()),
        Text::Bytes { hex } => {
            let bytes: Option<Vec<u8>> =
                hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
            os_string(&bytes?)
        }
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "the other platforms can fail")]
fn os_string(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    Some(OsStr::from_bytes(bytes).into())
}

/// Unpaired surrogates in WTF-8 are the only bytes beside UTF-8 that occur on Windows.
#[cfg(windows)]
fn os_string(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::windows::ffi::OsStringExt as _;
    let mut wide = Vec::new();
    let mut rest = bytes;
    while let Some(first) = rest.first() {
        if let [0xed, b @ 0xa0..=0xbf, c, tail @ ..] = rest {
            wide.push(0xd000 | u16::from(b & 0x3f) << 6 | u16::from(c & 0x3f));
            rest = tail;
            continue;
        }
        let len = match first {
            0..0x80 => 1,
            0x80..0xe0 => 2,
            0xe0..0xf0 => 3,
            _ => 4,
        };
        let (one, tail) = rest.split_at_checked(len)?;
        wide.extend(std::str::from_utf8(one).ok()?.encode_utf16());
        rest = tail;
    }
    let path = std::ffi::OsString::from_wide(&wide);
    Some(OsStr::new(&path).into())
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use std::os::unix::ffi::OsStrExt as _;

    #[test]
    fn a_path_that_is_not_unicode_survives() {
        for bytes in [&b"/home/caf\xe9/x"[..], b"/plain", b"/\xff"] {
            let path = Path::new(OsStr::from_bytes(bytes));
            assert_eq!(from_text(to_text(path)).unwrap(), path);
        }
    }
}
