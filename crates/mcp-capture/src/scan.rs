//! What the index has to know of a message, read once when it is recorded.

use bytes::Bytes;
use mcp_wire::methods::{meta, name_member};
use mcp_wire::{Frame, Kind, NotAFrame, object};
use xxhash_rust::xxh3::xxh3_64;

use crate::event::Flags;

/// What a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Class {
    /// No message, or no record of one.
    #[default]
    None,
    /// It wants an answer.
    Request,
    /// It wants none.
    Notification,
    /// The answer that it was done.
    Result,
    /// The answer that it was not.
    Error,
    /// Several messages in one (2025-03-26); each has an entry of its own behind.
    Batch,
}

impl Class {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Request => 1,
            Self::Notification => 2,
            Self::Result => 3,
            Self::Error => 4,
            Self::Batch => 5,
        }
    }

    pub(crate) fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Request,
            2 => Self::Notification,
            3 => Self::Result,
            4 => Self::Error,
            5 => Self::Batch,
            _ => Self::None,
        }
    }

    /// An answer.
    pub fn is_response(self) -> bool {
        matches!(self, Self::Result | Self::Error)
    }
}

/// What else than its id ties a message to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Link {
    /// Nothing.
    #[default]
    None,
    /// A progress token.
    Token(u32),
    /// The `requestState` of a request that asks for input, or that brings it.
    State(u32),
    /// A task.
    Task(u32),
}

/// What was read of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) class: Class,
    pub(crate) flags: Flags,
    /// See [`key`]: the id, the cancelled id, or the subscription's id.
    pub(crate) id: u64,
    pub(crate) link: Link,
    /// A second link, which few messages have.
    pub(crate) more: Link,
    pub(crate) method: String,
    /// Tool, prompt, URI, task.
    pub(crate) name: String,
    /// The messages of a batch.
    pub(crate) elements: Vec<Scan>,
}

/// An id or token as it is spelt, as a number of 56 bits: itself where it is short, which most are, else a hash. 0 is none.
pub fn key(spelt: &str) -> u64 {
    const HASHED: u64 = 1 << 55;
    let bytes = spelt.as_bytes();
    match bytes.len() {
        0 => 0,
        1..=6 => {
            let mut word = [0_u8; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            // The length in bits 48 to 50 keeps two spellings apart that differ in trailing zero bytes.
            u64::from_le_bytes(word) | ((bytes.len() as u64) << 48)
        }
        _ => HASHED | (xxh3_64(bytes) & (HASHED - 1)),
    }
}

/// A token, state or task as a number of 32 bits: itself where it is a small integer, else a hash.
fn short_key(spelt: &str) -> u32 {
    match spelt.parse::<u32>() {
        Ok(number) if number < 1 << 31 => number,
        #[expect(clippy::cast_possible_truncation, reason = "32 bits of a hash are what is wanted")]
        _ => (xxh3_64(spelt.as_bytes()) as u32) | 1 << 31,
    }
}

/// The link of a retry or answer that has no `requestState`.
pub(crate) const NO_STATE: u32 = 0;

/// A name as the index has it: what is longer says little more, and hostile ones could be endless.
const LONGEST_NAME: usize = 512;

/// Reads a message with its line end.
pub(crate) fn scan(bytes: &Bytes) -> Scan {
    let start = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let text = bytes.slice(start..);
    match Frame::parse(text.clone()) {
        Ok(frame) => of_frame(&frame),
        Err(NotAFrame::Batch) => {
            let elements: Vec<Scan> = Frame::split_batch(&text)
                .into_iter()
                .take(10_000)
                .map(|frame| frame.map_or_else(|_| Scan { flags: Flags::NOT_A_MESSAGE, ..Scan::default() }, |f| of_frame(&f)))
                .collect();
            Scan { class: Class::Batch, elements, ..Scan::default() }
        }
        Err(_) => Scan { flags: Flags::NOT_A_MESSAGE, ..Scan::default() },
    }
}

/// Reads the beginning of a message whose end is not at hand: mostly enough to know what it is and to pair it.
pub(crate) fn scan_beginning(bytes: &[u8]) -> Scan {
    let whole = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    let mut scan = Scan::default();
    for member in object::members(whole) {
        let value = &whole[member.value_span];
        match &*member.key {
            "id" if value != "null" => scan.id = key(value),
            "method" => {
                scan.method = serde_json::from_str::<String>(value).map(|m| cut(&m)).unwrap_or_default();
                scan.class = Class::Notification;
            }
            "result" => scan.class = Class::Result,
            "error" => scan.class = Class::Error,
            _ => {}
        }
    }
    if scan.class == Class::Notification && scan.id != 0 {
        scan.class = Class::Request;
    }
    scan
}

fn of_frame(frame: &Frame) -> Scan {
    let mut scan = Scan { id: frame.id().map_or(0, key), ..Scan::default() };
    match frame.kind() {
        Kind::Request => {
            scan.class = Class::Request;
            scan.method = cut(frame.method());
            request(frame, &mut scan);
        }
        Kind::Notification => {
            scan.class = Class::Notification;
            scan.method = cut(frame.method());
            notification(frame, &mut scan);
        }
        Kind::Result => {
            scan.class = Class::Result;
            result(frame, &mut scan);
        }
        Kind::Error => scan.class = Class::Error,
    }
    scan
}

fn request(frame: &Frame, scan: &mut Scan) {
    let Some(params) = frame.params() else { return };
    let member = name_member(frame.method()).or(match frame.method() {
        "tasks/result" => Some("taskId"),
        "resources/subscribe" | "resources/unsubscribe" | "resources/directory/read" => Some("uri"),
        "initialize" => Some("protocolVersion"),
        "logging/setLevel" => Some("level"),
        "skills/get" => Some("name"),
        _ => None,
    });
    if let Some(value) = member.and_then(|member| object::get_string(params, member)) {
        scan.name = cut(&value);
    }
    let has = |word: &str| memchr::memmem::find(params.as_bytes(), word.as_bytes()).is_some();
    let mut links = Vec::new();
    if has("inputResponses") || has("requestState") {
        let state = object::get(params, "requestState");
        if state.is_some() || object::get(params, "inputResponses").is_some() {
            links.push(Link::State(state.map_or(NO_STATE, short_key)));
        }
    }
    if frame.method().starts_with("tasks/") && frame.method() != "tasks/list" {
        links.extend(object::get(params, "taskId").map(|task| Link::Task(short_key(task))));
    } else if has(meta::RELATED_TASK) {
        links.extend(object::get_path(params, &["_meta", meta::RELATED_TASK, "taskId"]).map(|t| Link::Task(short_key(t))));
    }
    if has("progressToken") {
        links.extend(object::get_path(params, &["_meta", "progressToken"]).map(|token| Link::Token(short_key(token))));
    }
    let mut links = links.into_iter();
    scan.link = links.next().unwrap_or_default();
    scan.more = links.next().unwrap_or_default();
}

fn notification(frame: &Frame, scan: &mut Scan) {
    let Some(params) = frame.params() else { return };
    match frame.method() {
        "notifications/progress" => {
            scan.link = object::get(params, "progressToken").map_or(Link::None, |token| Link::Token(short_key(token)));
            return;
        }
        "notifications/cancelled" => {
            scan.id = object::get(params, "requestId").map_or(0, key);
            let reason = object::get(params, "reason").unwrap_or_default().to_ascii_lowercase();
            let is_timeout = reason.contains("timed out") || reason.contains("timeout") || reason.contains("-32001");
            scan.flags = scan.flags.with_if(is_timeout, Flags::TIMEOUT);
            return;
        }
        "notifications/message" => scan.name = object::get_string(params, "level").map_or_else(String::new, |l| cut(&l)),
        "notifications/resources/updated" => {
            scan.name = object::get_string(params, "uri").map_or_else(String::new, |u| cut(&u));
        }
        "notifications/tasks" | "notifications/tasks/status" => {
            scan.link = object::get(params, "taskId").map_or(Link::None, |task| Link::Task(short_key(task)));
            scan.flags = scan.flags.with(task_flags(params));
        }
        _ => {}
    }
    let has = |word: &str| memchr::memmem::find(params.as_bytes(), word.as_bytes()).is_some();
    if has(meta::SUBSCRIPTION_ID) {
        scan.id = object::get_path(params, &["_meta", meta::SUBSCRIPTION_ID]).map_or(0, key);
    } else if scan.link == Link::None && has(meta::RELATED_TASK) {
        let task = object::get_path(params, &["_meta", meta::RELATED_TASK, "taskId"]);
        scan.link = task.map_or(Link::None, |task| Link::Task(short_key(task)));
    }
}

fn result(frame: &Frame, scan: &mut Scan) {
    let Some(result) = frame.result() else { return };
    let has = |word: &str| memchr::memmem::find(result.as_bytes(), word.as_bytes()).is_some();
    let is_error = has("isError") && object::get(result, "isError") == Some("true");
    scan.flags = scan.flags.with_if(is_error, Flags::IS_ERROR);
    if has("resultType") && object::get(result, "resultType") == Some("\"input_required\"") {
        scan.flags = scan.flags.with(Flags::INPUT_REQUIRED);
        scan.link = Link::State(object::get(result, "requestState").map_or(NO_STATE, short_key));
    } else if has("taskId") {
        // 2025-11-25 wraps the task that was made; the extension, and what is polled, have it flat.
        let task = object::get(result, "task").filter(|t| t.starts_with('{')).unwrap_or(result);
        if let (Some(id), Some(_)) = (object::get(task, "taskId"), object::get(task, "status")) {
            scan.link = Link::Task(short_key(id));
            scan.flags = scan.flags.with(task_flags(task));
        }
    }
}

fn task_flags(task: &str) -> Flags {
    match object::get(task, "status") {
        Some("\"failed\"") => Flags::IS_ERROR,
        Some("\"completed\"" | "\"cancelled\"") | None => Flags::NONE,
        Some(_) => Flags::TASK,
    }
}

/// Shortened, at a place between characters; what was cut off is told apart by a hash.
fn cut(text: &str) -> String {
    if text.len() <= LONGEST_NAME {
        return text.to_owned();
    }
    let end = (0..=LONGEST_NAME - 20).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…{:016x}", &text[..end], xxh3_64(text.as_bytes()))
}
