//! How the five tools present themselves.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};

use super::arithmetic::{Operation, ROUNDED_DIGITS};
use super::decimal::{MAX_ARGUMENT_DIGITS, MAX_RESULT_DIGITS};

struct Presentation {
    operation: Operation,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    a: &'static str,
    b: &'static str,
}

const PRESENTATIONS: [Presentation; 5] = [
    Presentation {
        operation: Operation::Add,
        name: "add",
        title: "Add",
        description: "Add two decimal numbers exactly: a + b.",
        a: "The first summand.",
        b: "The second summand.",
    },
    Presentation {
        operation: Operation::Subtract,
        name: "subtract",
        title: "Subtract",
        description: "Subtract one decimal number from another exactly: a - b.",
        a: "The number to subtract from.",
        b: "The number to take away.",
    },
    Presentation {
        operation: Operation::Multiply,
        name: "multiply",
        title: "Multiply",
        description: "Multiply two decimal numbers exactly: a * b.",
        a: "The first factor.",
        b: "The second factor.",
    },
    Presentation {
        operation: Operation::Divide,
        name: "divide",
        title: "Divide",
        description: "Divide one decimal number by another: a / b. Exact when the quotient ends; otherwise rounded half to even and marked `exact: false`.",
        a: "The number to divide.",
        b: "The number to divide by, not 0.",
    },
    Presentation {
        operation: Operation::Power,
        name: "power",
        title: "Power",
        description: "Raise a decimal number to a whole power: a to the power b. A negative b divides 1 by the power. 0 to the power 0 is 1.",
        a: "The base.",
        b: "The exponent: a whole number, negative allowed.",
    },
];

pub(super) fn operation(name: &str) -> Option<Operation> {
    PRESENTATIONS.iter().find(|tool| tool.name == name).map(|tool| tool.operation)
}

pub(super) fn all() -> Vec<Tool> {
    let output = Arc::new(object(output_schema()));
    PRESENTATIONS
        .iter()
        .map(|tool| {
            Tool::new(tool.name, tool.description, object(input_schema(tool)))
                .with_title(tool.title)
                .with_raw_output_schema(Arc::clone(&output))
                .with_annotations(
                    ToolAnnotations::with_title(tool.title).read_only(true).destructive(false).idempotent(true).open_world(false),
                )
        })
        .collect()
}

fn input_schema(tool: &Presentation) -> Value {
    json!({
        "type": "object",
        "properties": { "a": operand_schema(tool.a), "b": operand_schema(tool.b) },
        "required": ["a", "b"],
        "additionalProperties": false,
    })
}

/// `anyOf` instead of a list of types: validators in strict mode complain about the list.
fn operand_schema(role: &str) -> Value {
    json!({
        "description": format!(
            "{role} A number, or a decimal string such as \"0.1\" or \"-1.2e-7\", which keeps every digit. At most {MAX_ARGUMENT_DIGITS} digits when written out."
        ),
        "anyOf": [
            { "type": "number" },
            { "type": "string", "pattern": r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$" },
        ],
    })
}

fn output_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "result": {
                "type": "string",
                "description": format!("The value in plain decimal digits, without an exponent; at most {MAX_RESULT_DIGITS} digits."),
                "pattern": r"^-?[0-9]+(\.[0-9]+)?$",
            },
            "exact": {
                "type": "boolean",
                "description": format!("False when the value was rounded to {ROUNDED_DIGITS} significant digits."),
            },
            "number": {
                "type": "number",
                "description": "The same value as a JSON number; present only where that loses nothing.",
            },
        },
        "required": ["result", "exact"],
        "additionalProperties": false,
    })
}

fn object(schema: Value) -> JsonObject {
    match schema {
        Value::Object(schema) => schema,
        _ => unreachable!("schemas are written as objects above"),
    }
}
