//! Turn text and an intention into text, losing nothing.
//!
//! A configuration file that belongs to someone else is edited by **splices**: byte ranges of the original text and what
//! replaces them. Everything outside the splices is the reader's own bytes: comments, order, spacing, line endings, byte
//! order mark, a missing final newline. Parsers only tell us where things are; no printer ever touches a user's file.
//!
//! The crate is pure: text in, text out. Files, clients and terminals are other crates' business.
//!
//! ```
//! use mcp_edit::{Document, Format, Op, Path, Value};
//!
//! let text = "{\n  // mine\n  \"mcpServers\": {}\n}\n";
//! let document = Document::parse(text, Format::Json).unwrap();
//! let entry = Value::object([("command", Value::from("npx"))]);
//! let edit = document.plan(&[Op::set(Path::keys(["mcpServers", "time"]), entry)]).unwrap();
//! let after = edit.apply(text);
//! assert!(after.contains("// mine"));
//! assert_eq!(edit.inverse(text).apply(&after), text);
//! ```

mod decode;
mod diff;
mod document;
mod edit;
mod json;
mod op;
mod path;
mod problem;
#[cfg(feature = "testing")]
pub mod testing;
mod toml;
mod value;
mod yaml;

pub use decode::decode;
pub use diff::DiffLine;
pub use document::{Document, Format, Laxness, Member, Node};
pub use edit::{Edit, Splice};
pub use op::Op;
pub use path::{Path, Step};
pub use problem::{Place, Problem, ProblemKind};
pub use value::Value;
