//! What the tools answer. An error is a sentence a model can mend its call by.

use mcp_capture::detail::{Detail, RowView, unix_ms};
use mcp_capture::text::{shortened, visible};
use mcp_capture::{Filter, FilterError, RowKind, Session, Store, compare as comparing, stats as counting, when};
use serde_json::{Value, json};

type Answer = Result<Value, String>;

/// A value within a difference is shown so long.
const LONGEST_VALUE: usize = 300;

fn text<'a>(arguments: &'a Value, name: &str) -> Option<&'a str> {
    arguments.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn required<'a>(arguments: &'a Value, name: &str) -> Result<&'a str, String> {
    text(arguments, name).ok_or_else(|| format!("`{name}` is missing: it is a string"))
}

/// A number. The transport puts the numbers of arguments in quotes, to keep their digits for the calculator.
fn number(arguments: &Value, name: &str) -> Result<Option<u64>, String> {
    let wrong = || format!("`{name}` is a whole number, 0 or more");
    match arguments.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => number.as_u64().map(Some).ok_or_else(wrong),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|_| wrong()),
        Some(_) => Err(wrong()),
    }
}

fn size(arguments: &Value, name: &str, usual: u64, most: u64) -> Result<usize, String> {
    let number = number(arguments, name)?.unwrap_or(usual).clamp(1, most);
    Ok(usize::try_from(number).unwrap_or(usize::MAX))
}

fn filter(arguments: &Value) -> Result<Filter, String> {
    let text = text(arguments, "filter").unwrap_or_default();
    text.parse().map_err(|error: FilterError| format!("`filter` is no filter: {error}"))
}

fn open(store: &Store, name: &str) -> Result<Session, String> {
    let path = store.find(name).map_err(|error| format!("{error}. list_sessions says what there is"))?;
    // A path outside is no session of this server's, whatever a model was told to ask for.
    if path.parent() != Some(store.root()) {
        return Err(format!("there is no session `{}`", visible(name)));
    }
    Session::open(&path).map_err(|error| visible(&error.to_string()).into_owned())
}

fn unread(error: &std::io::Error) -> String {
    format!("the capture cannot be read: {error}")
}

fn name_of(session: &Session) -> String {
    session.path().file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

pub(super) fn list_sessions(store: &Store, arguments: &Value) -> Answer {
    let limit = size(arguments, "limit", 20, 100)?;
    let all = store.list().map_err(|error| error.to_string())?;
    let server = text(arguments, "server");
    let after = text(arguments, "cursor");
    let mut all = all.into_iter().filter(|session| server.is_none_or(|server| session.header.server == server)).peekable();
    if let Some(cursor) = after {
        // Sessions that came since stand before the cursor, so pages stay whole.
        while all.next_if(|session| session.name != cursor).is_some() {}
        if all.next().is_none() {
            return Err("`cursor` is none of ours: leave it out to begin again".to_owned());
        }
    }
    let mut sessions = Vec::new();
    for summary in all.by_ref().take(limit) {
        let (mut operations, mut errors) = (0, 0);
        if let Ok(session) = Session::open(&summary.path) {
            for row in session.rows().iter(session.index()).filter(|row| row.kind == RowKind::Operation) {
                operations += 1;
                errors += u64::from(row.status.is_bad());
            }
        }
        sessions.push(json!({
            "name": summary.name,
            "server": summary.header.server,
            "client": summary.header.client,
            "started": when::rfc3339(summary.header.started_ms),
            "live": summary.is_live,
            "operations": operations,
            "errors": errors,
            "bytes": summary.size,
        }));
    }
    let next = all.peek().and_then(|_| sessions.last()).map(|last| last["name"].clone());
    Ok(json!({ "sessions": sessions, "next_cursor": next }))
}

pub(super) fn search(store: &Store, arguments: &Value) -> Answer {
    let filter = filter(arguments)?;
    let limit = size(arguments, "limit", 50, 200)?;
    let mut names: Vec<String> = match text(arguments, "session") {
        Some(name) => vec![name_of(&open(store, name)?)],
        None => store.list().map_err(|error| error.to_string())?.into_iter().map(|session| session.name).collect(),
    };
    let mut from = 0;
    if let Some(cursor) = text(arguments, "cursor") {
        let place = cursor.rsplit_once('#').and_then(|(name, number)| Some((name, number.parse::<u64>().ok()?)));
        let (name, number) = place.ok_or("`cursor` is none of ours: leave it out to begin again")?;
        let at =
            names.iter().position(|known| known == name).ok_or("the session of `cursor` is gone: leave it out to begin again")?;
        names.drain(..at);
        from = number + 1;
    }
    let mut found = Vec::new();
    let mut next = None;
    'sessions: for name in &names {
        let Ok(session) = open(store, name) else { continue };
        for number in session.filtered(&filter).map_err(|e| unread(&e))? {
            let Some(row) = session.rows().get(session.index(), number).filter(|row| row.sequence >= from) else { continue };
            if found.len() == limit {
                next = found
                    .last()
                    .map(|last: &Value| format!("{}#{}", last["session"].as_str().unwrap_or_default(), last["number"]));
                break 'sessions;
            }
            found.push(line(&session, name, &row)?);
        }
        from = 0;
    }
    Ok(json!({ "found": found, "next_cursor": next }))
}

fn line(session: &Session, name: &str, row: &mcp_capture::Row) -> Answer {
    let view = RowView::of(session, row).map_err(|e| unread(&e))?;
    let arguments = mcp_capture::text::arguments(session, row).map_err(|e| unread(&e))?;
    Ok(json!({
        "session": name,
        "number": view.number,
        "time": view.time,
        "kind": view.kind,
        "title": view.title,
        "arguments": arguments,
        "status": view.status,
        "duration_us": view.duration_us,
        "received": view.received,
        "flags": view.flags,
    }))
}

pub(super) fn show_operation(store: &Store, arguments: &Value) -> Answer {
    let session = open(store, required(arguments, "session")?)?;
    let number = number(arguments, "number")?.ok_or("`number` is missing: it is a whole number")?;
    let offset = usize::try_from(self::number(arguments, "offset")?.unwrap_or(0)).unwrap_or(usize::MAX);
    let most = size(arguments, "max_chars", 20_000, 50_000)?;
    let detail = Detail::find(&session, number).map_err(|e| unread(&e))?;
    let detail = detail.ok_or_else(|| format!("`{}` has no record {number}: search says what there is", name_of(&session)))?;
    let view = detail.view(&session).map_err(|e| unread(&e))?;
    let whole = serde_json::to_string(&view).map_err(|error| error.to_string())?;
    let whole = mcp_capture::detail::visible_json(&whole);
    let start = whole.char_indices().nth(offset).map_or(whole.len(), |(at, _)| at);
    let rest = &whole[start..];
    let end = rest.char_indices().nth(most).map_or(rest.len(), |(at, _)| at);
    let next = (end < rest.len()).then_some(offset + most);
    Ok(json!({
        "session": name_of(&session),
        "number": detail.row.sequence,
        "title": view.row.title,
        "status": view.row.status,
        "time": when::rfc3339(unix_ms(&session, detail.row.at)),
        "text": &rest[..end],
        "next_offset": next,
    }))
}

pub(super) fn stats(store: &Store, arguments: &Value) -> Answer {
    let session = open(store, required(arguments, "session")?)?;
    let rows = session.filtered(&filter(arguments)?).map_err(|e| unread(&e))?;
    let rows = rows.into_iter().filter_map(|number| session.rows().get(session.index(), number));
    let mut stats = counting::Stats::of(&session, rows).map_err(|e| unread(&e))?;
    let (tools, methods) = (stats.tools.len(), stats.methods.len());
    // A server with thousands of tools would fill a context by itself.
    stats.tools.truncate(200);
    stats.methods.truncate(50);
    stats.never_called.truncate(200);
    let mut answer = serde_json::to_value(&stats).map_err(|error| error.to_string())?;
    answer["session"] = name_of(&session).into();
    answer["all_tools"] = tools.into();
    answer["all_methods"] = methods.into();
    Ok(answer)
}

pub(super) fn compare(store: &Store, arguments: &Value) -> Answer {
    let before = open(store, required(arguments, "before")?)?;
    let after = open(store, required(arguments, "after")?)?;
    let limit = size(arguments, "limit", 50, 200)?;
    let mut found = comparing::sessions(&before, &after).map_err(|e| unread(&e))?;
    let counts = json!({
        "drift": found.drift.len(),
        "only_before": found.only_before.len(),
        "only_after": found.only_after.len(),
        "changed": found.changed.len(),
        "same": found.same,
    });
    found.drift.truncate(limit);
    found.only_before.truncate(limit);
    found.only_after.truncate(limit);
    found.changed.truncate(limit);
    let places = |all: &[comparing::Difference]| -> Vec<Value> {
        let side = |value: &Option<mcp_capture::tree::Tree>| {
            value.as_ref().map(|value| visible(&shortened(&value.compact(), LONGEST_VALUE)).into_owned())
        };
        all.iter().take(limit).map(|d| json!({ "path": d.path, "before": side(&d.before), "after": side(&d.after) })).collect()
    };
    let drift: Vec<Value> = found
        .drift
        .iter()
        .map(|d| json!({ "what": d.what, "name": d.name, "change": d.change, "differences": places(&d.differences) }))
        .collect();
    let changed: Vec<Value> = found
        .changed
        .iter()
        .map(|pair| json!({ "before": pair.before, "after": pair.after, "differences": places(&pair.differences) }))
        .collect();
    Ok(json!({
        "before": name_of(&before),
        "after": name_of(&after),
        "counts": counts,
        "drift": drift,
        "only_before": found.only_before,
        "only_after": found.only_after,
        "changed": changed,
    }))
}
