//! Reads YAML with libyaml, by rules written a second time.

use std::collections::HashMap;

use libyaml_safer::{EventData, Parser, ScalarStyle};
use mcp_edit::Value;

/// What a text means; nothing at all is an empty object.
pub(crate) fn read(text: &str) -> Result<Value, String> {
    // This port of libyaml panics at the end of some texts without a final line break.
    let text = if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
    let mut bytes = text.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut bytes);
    let mut reader = Reader { parser, anchors: HashMap::new() };
    let mut root = None;
    loop {
        match reader.next()? {
            EventData::StreamEnd => return Ok(root.unwrap_or(Value::Object(Vec::new()))),
            EventData::DocumentStart { .. } => {
                let first = reader.next()?;
                let nothing = matches!(&first, EventData::Scalar { value, style: ScalarStyle::Plain, .. } if value.is_empty());
                let value = reader.node(first)?;
                root = if nothing { None } else { Some(value) };
            }
            _ => {}
        }
    }
}

struct Reader<'a, 'b> {
    parser: Parser<&'a mut &'b [u8]>,
    anchors: HashMap<String, Value>,
}

impl Reader<'_, '_> {
    fn next(&mut self) -> Result<EventData, String> {
        self.parser.parse().map(|e| e.data).map_err(|e| e.to_string())
    }

    fn node(&mut self, event: EventData) -> Result<Value, String> {
        let (anchor, value) = match event {
            EventData::Alias { anchor } => return self.anchors.get(&anchor).cloned().ok_or(format!("no anchor {anchor}")),
            EventData::Scalar { anchor, tag, value, style, .. } => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                (anchor, if plain { core(&value) } else { Value::String(value) })
            }
            EventData::SequenceStart { anchor, .. } => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        EventData::SequenceEnd => break (anchor, Value::Array(items)),
                        event => items.push(self.node(event)?),
                    }
                }
            }
            EventData::MappingStart { anchor, .. } => {
                let mut members = Vec::new();
                loop {
                    match self.next()? {
                        EventData::MappingEnd => break (anchor, Value::Object(members)),
                        EventData::Scalar { value: key, .. } => {
                            let event = self.next()?;
                            members.push((key, self.node(event)?));
                        }
                        other => return Err(format!("a key that is no scalar: {other:?}")),
                    }
                }
            }
            other => return Err(format!("no value: {other:?}")),
        };
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }
}

fn core(word: &str) -> Value {
    let digits = |radix: u32| move |c: char| c.is_digit(radix);
    let prefixed = |prefix: &str, radix| word.strip_prefix(prefix).is_some_and(|d| !d.is_empty() && d.chars().all(digits(radix)));
    let decimal = word.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c)) && word.parse::<f64>().is_ok();
    match word.to_ascii_lowercase().as_str() {
        "" | "~" | "null" if word != "nULL" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ if decimal || prefixed("0x", 16) || prefixed("0o", 8) => Value::Number(word.into()),
        _ => Value::String(word.to_owned()),
    }
}
