//! Messages of our own making. Each ends with a line end.

use bytes::Bytes;
use serde_json::{Value, json};

/// Codes of JSON-RPC and of the specification (basic/index, error codes).
pub mod code {
    /// The text is no JSON.
    pub const PARSE: i64 = -32700;
    /// JSON, and no request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// No such method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The parameters do not fit.
    pub const INVALID_PARAMS: i64 = -32602;
    /// Something went wrong on this side.
    pub const INTERNAL: i64 = -32603;
    /// Legacy: there is no such resource.
    pub const RESOURCE_NOT_FOUND: i64 = -32002;
    /// 2025-11-25: the client has to open a URL first.
    pub const URL_ELICITATION_REQUIRED: i64 = -32042;
    /// Modern: a header and the body disagree.
    pub const HEADER_MISMATCH: i64 = -32020;
    /// Modern: the request needs a capability the client did not declare.
    pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;
    /// Modern: the revision is not spoken here.
    pub const UNSUPPORTED_VERSION: i64 = -32022;
}

/// An error response; without an id when that could not be read (then the legacy era has `null`, which all accept).
pub fn error(id: Option<&str>, code: i64, message: &str, data: Option<&Value>) -> Bytes {
    let message = Value::from(message);
    let data = data.map(|d| format!(",\"data\":{d}")).unwrap_or_default();
    let id = id.unwrap_or("null");
    Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":{code},\"message\":{message}{data}}}}}\n"))
}

/// An error of ours, marked as such: the server has not seen the request or has not answered it.
pub fn our_error(id: Option<&str>, reason: &str, message: &str) -> Bytes {
    error(id, code::INTERNAL, message, Some(&json!({"source": "mcp", "reason": reason})))
}

/// A result response with this text as its `result`.
pub fn result(id: &str, result: &str) -> Bytes {
    Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n"))
}

/// A request with this text as its `params`.
pub fn request(id: &str, method: &str, params: Option<&str>) -> Bytes {
    let (method, params) = (Value::from(method), params.map(|p| format!(",\"params\":{p}")).unwrap_or_default());
    Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":{method}{params}}}\n"))
}

/// A notification with this text as its `params`.
pub fn notification(method: &str, params: Option<&str>) -> Bytes {
    let (method, params) = (Value::from(method), params.map(|p| format!(",\"params\":{p}")).unwrap_or_default());
    Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"method\":{method}{params}}}\n"))
}
