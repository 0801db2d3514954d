//! The bundled `calculator`: five tools on exact decimals.
//!
//! What a call answers, as structured content and as the same JSON in a text block for clients of older revisions:
//!
//! - `result`: the value as plain decimal text, without exponent, at any length the limits allow;
//! - `exact`: false only for a quotient that does not end and was rounded to 50 significant digits;
//! - `number`: the value as a JSON number, only when a double prints and reads back as the same decimal.
//!
//! What cannot be calculated is a result with `isError`, so that a model can mend its call. An unknown tool is a
//! protocol error, as the specification has it.

mod arithmetic;
mod decimal;
mod error;
mod tools;

use bigdecimal::BigDecimal;
use rmcp::ServerHandler;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest, CustomResult, ErrorCode,
    ErrorData, Implementation, JsonObject, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use serde::Serialize;
use serde_json::Value;

pub use arithmetic::{Operation, Outcome, ROUNDED_DIGITS};
pub use decimal::{MAX_ARGUMENT_DIGITS, MAX_RESULT_DIGITS};
pub use error::{Argument, CalculatorError};

pub(crate) const NAME: &str = "calculator";
pub(crate) const SUMMARY: &str = "Exact decimal arithmetic: add, subtract, multiply, divide, power";
pub(crate) const TOOL_NAMES: &[&str] = &["add", "subtract", "multiply", "divide", "power"];

/// The tools are compiled in: a client may keep the list for as long as it likes.
const TOOL_LIST_FRESH_FOR_MS: u64 = 24 * 60 * 60 * 1000;

/// The structured content of a result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// Plain decimal text.
    pub result: String,
    /// Whether nothing was rounded.
    pub exact: bool,
    /// The same value as a JSON number, where that loses nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<serde_json::Number>,
}

impl From<&Outcome> for Answer {
    fn from(outcome: &Outcome) -> Self {
        let result = decimal::plain_text(&outcome.value);
        let number = if outcome.exact { decimal::json_number(&result) } else { None };
        Self { result, exact: outcome.exact, number }
    }
}

/// Carries out `operation` on the arguments of a tool call.
///
/// An argument is a JSON string or a JSON number. A number counts as the decimal that its text spells: the shortest
/// text of the double for one that went through floating point, so 0.1 is one tenth.
pub fn calculate(operation: Operation, arguments: &JsonObject) -> Result<Answer, CalculatorError> {
    if let Some(name) = arguments.keys().find(|name| !matches!(name.as_str(), "a" | "b")) {
        return Err(CalculatorError::Unknown { name: name.chars().take(40).collect() });
    }
    let a = operand(Argument::A, arguments)?;
    let b = operand(Argument::B, arguments)?;
    Ok(Answer::from(&operation.apply(&a, &b)?))
}

fn operand(argument: Argument, arguments: &JsonObject) -> Result<BigDecimal, CalculatorError> {
    let found = match arguments.get(argument.name()) {
        None => return Err(CalculatorError::Missing { argument }),
        Some(Value::String(text)) => return decimal::parse(argument, text),
        Some(Value::Number(number)) => return decimal::parse(argument, &number.to_string()),
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "a boolean",
        Some(Value::Array(_)) => "an array",
        Some(Value::Object(_)) => "an object",
    };
    Err(CalculatorError::WrongType { argument, found })
}

/// The server. It has no state: every call stands alone, in both eras of the protocol.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Calculator;

impl ServerHandler for Calculator {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new(NAME, env!("CARGO_PKG_VERSION")).with_title("Calculator").with_description(SUMMARY))
            .with_instructions(
                "Exact decimal arithmetic. Pass numbers as decimal strings when every digit matters; read `result`, which is exact unless `exact` is false.",
            )
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut list = ListToolsResult::with_all_items(tools::all());
        list.ttl_ms = Some(TOOL_LIST_FRESH_FOR_MS);
        list.cache_scope = Some(CacheScope::Public);
        Ok(list)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::all().into_iter().find(|tool| tool.name == name)
    }

    /// rmcp sends everything here that it has no type for, which includes known methods with parameters of the wrong
    /// shape.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method: String = request.method.chars().take(80).collect();
        Err(match method.as_str() {
            "tools/call" => {
                ErrorData::invalid_params("`tools/call` takes `params` with `name`, a string, and `arguments`, an object", None)
            }
            "initialize" | "ping" | "server/discover" | "tools/list" => {
                ErrorData::invalid_params(format!("`{method}` does not take these `params`"), None)
            }
            _ => ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("there is no method `{method}` here"), None),
        })
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(operation) = tools::operation(&request.name) else {
            let shown: String = request.name.chars().take(40).collect();
            let message = format!("there is no tool `{shown}`: the tools are {}", TOOL_NAMES.join(", "));
            return Err(ErrorData::invalid_params(message, None));
        };
        let result = match calculate(operation, &request.arguments.unwrap_or_default()) {
            Ok(answer) => {
                let structured = serde_json::to_value(&answer).expect("an answer holds nothing but text, a flag and a number");
                CallToolResult::structured(structured)
            }
            Err(refused) => CallToolResult::error(vec![ContentBlock::text(refused.to_string())]),
        };
        Ok(result.into())
    }
}
