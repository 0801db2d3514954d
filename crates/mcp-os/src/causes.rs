//! What lies under an error, for those who have one line for it: a log, a daemon's answer, standard error of a wrapper.

use std::error::Error;

/// An error and its causes on one line, each behind a colon.
pub fn on_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(under) = cause {
        text.push_str(&format!(": {under}"));
        cause = under.source();
    }
    text
}
