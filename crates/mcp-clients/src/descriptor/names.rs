//! The part of a descriptor about servers' names.

use serde::Deserialize;

/// Which names a client accepts for a server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// The characters, as single ones and ranges: `a-zA-Z0-9_-`. Empty: any.
    #[serde(default)]
    pub chars: String,
    /// The longest.
    #[serde(default = "default_longest")]
    pub longest: usize,
    /// Names with a meaning of their own.
    #[serde(default)]
    pub reserved: Vec<String>,
}

impl Default for Names {
    fn default() -> Self {
        Self { chars: String::new(), longest: default_longest(), reserved: Vec::new() }
    }
}

fn default_longest() -> usize {
    64
}

impl Names {
    /// Why this client would not take `name`; `None` when it would.
    pub fn objection(&self, name: &str) -> Option<String> {
        if name.is_empty() {
            return Some("a name must not be empty".to_owned());
        }
        if self.reserved.iter().any(|r| r == name) {
            return Some(format!("`{name}` is reserved"));
        }
        if name.chars().count() > self.longest {
            return Some(format!("`{name}` is longer than {} characters", self.longest));
        }
        let bad = name.chars().find(|c| c.is_control() || !(self.chars.is_empty() || in_ranges(&self.chars, *c)))?;
        Some(format!(
            "`{name}` holds {bad:?}; allowed are {}",
            if self.chars.is_empty() { "printable characters" } else { &self.chars }
        ))
    }
}

/// Whether `c` is in a set such as `a-z0-9_-` (a dash at either end is itself).
fn in_ranges(set: &str, c: char) -> bool {
    let set: Vec<char> = set.chars().collect();
    let mut i = 0;
    while i < set.len() {
        if i + 2 < set.len() && set[i + 1] == '-' {
            if (set[i]..=set[i + 2]).contains(&c) {
                return true;
            }
            i += 3;
        } else {
            if set[i] == c {
                return true;
            }
            i += 1;
        }
    }
    false
}
