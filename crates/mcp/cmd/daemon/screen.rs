//! `mcp daemon status` for people.

use mcp_clients::secret;
use mcp_daemon::control::{Report, Server};
use mcp_relay::status::{ClientStatus, Party};

use super::problem;
use crate::ctx::Ctx;
use crate::ui::{BAD, FAINT, GOOD, STRONG, WARN, clean, count, table};

/// Problems first, then one row for each server, then each server's clients.
pub(super) fn show(ctx: &Ctx, report: &Report) {
    let ui = ctx.ui;
    let Some(daemon) = &report.daemon else {
        ui.out("No daemon is running. It starts with the first `mcp run-once`");
        leaving(ctx, report);
        return;
    };
    for text in &daemon.problems {
        ui.out(problem(&clean(text)));
    }
    for server in &report.servers {
        if let Some(reason) = &server.status.reason {
            ui.out(problem(&format!("{} is {}: {}", server.name, server.status.state, clean(reason))));
        }
        if let Some(text) = &server.log_problem {
            ui.out(problem(&format!("log of {}: {}", server.name, clean(text))));
        }
    }
    if report.servers.is_empty() {
        ui.out("No shared server is running");
    } else {
        let head = ["SERVER", "STATE", "PID", "ERA", "CLIENTS", "OPEN", "CALLS", "P50", "P95", "MEMORY", "UP"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(report.servers.iter().map(row));
        for line in table(&rows) {
            ui.out(line);
        }
        for server in &report.servers {
            details(ctx, server);
        }
    }
    ui.out("");
    let memory = daemon.memory.map(|m| format!(", {}", bytes(m))).unwrap_or_default();
    ui.out(format_args!(
        "{FAINT}daemon {} · process {} · up {}{memory} · {}{FAINT:#}",
        daemon.version,
        daemon.pid,
        span(daemon.uptime_ms),
        ctx.show(std::path::Path::new(&daemon.directory))
    ));
    leaving(ctx, report);
}

fn leaving(ctx: &Ctx, report: &Report) {
    for old in &report.leaving {
        let clients: usize = old.servers.iter().map(|s| s.status.clients.len()).sum();
        ctx.ui.out(format_args!(
            "{WARN}leaving:{WARN:#} daemon {}, process {}, still serves {} of {}",
            old.version,
            old.pid,
            count(clients, "client"),
            count(old.servers.len(), "server")
        ));
    }
}

fn row(server: &Server) -> Vec<String> {
    let status = &server.status;
    let number = |n: Option<u64>, show: fn(u64) -> String| n.map_or_else(|| "-".to_owned(), show);
    vec![
        server.name.clone(),
        status.state.clone(),
        number(server.pid.map(u64::from), |n| n.to_string()),
        status.era.clone().unwrap_or_else(|| "-".to_owned()),
        status.clients.len().to_string(),
        status.in_flight.to_string(),
        status.calls.to_string(),
        number(status.p50_us, micros),
        number(status.p95_us, micros),
        number(server.memory, bytes),
        span(server.uptime_ms),
    ]
}

fn details(ctx: &Ctx, server: &Server) {
    let ui = ctx.ui;
    let status = &server.status;
    let colour = match status.state.as_str() {
        "ready" => GOOD,
        "failed" => BAD,
        "waiting" | "draining" => WARN,
        _ => STRONG,
    };
    ui.out("");
    let line = secret::mask_line(&server.command.join(" "));
    ui.out(format_args!(
        "{colour}{}{colour:#}  {}",
        server.name,
        shorten(&clean(&line), 76usize.saturating_sub(server.name.len()))
    ));
    let mut facts = Vec::new();
    if let Some(who) = &status.server {
        facts.push(party(who));
    }
    facts.push(match server.linger_ms {
        _ if server.persistent => "stays".to_owned(),
        Some(ms) => format!("ends {} after its last client", span(ms)),
        None => String::new(),
    });
    if status.restarts > 0 {
        facts.push(format!("started again {}", times(status.restarts)));
    }
    if status.errors > 0 {
        facts.push(count(usize::try_from(status.errors).unwrap_or(usize::MAX), "error"));
    }
    if status.is_interactive {
        facts.push("asks its clients, so calls take turns".to_owned());
    }
    if status.noise_lines > 0 {
        facts.push(format!("{} of noise", count(usize::try_from(status.noise_lines).unwrap_or(usize::MAX), "line")));
    }
    if let Some(isolation) = &server.isolation {
        facts.push(format!("only for {}", shorten(&clean(isolation), 40)));
    }
    facts.extend(server.aliases.iter().map(|a| format!("also `{a}`")));
    facts.extend(status.notes.iter().map(|(text, n)| format!("{} ({})", clean(text), times(*n))));
    wrap(ctx, &facts);
    if let Some(url) = &server.url {
        ui.out(format_args!("  {FAINT}url{FAINT:#} {url}"));
    }
    ui.out(format_args!("  {FAINT}log{FAINT:#} {}", ctx.show(std::path::Path::new(&server.log))));
    let rows: Vec<Vec<String>> = status.clients.iter().map(client).collect();
    for line in table(&rows) {
        ui.out(format_args!("  {line}"));
    }
}

fn client(client: &ClientStatus) -> Vec<String> {
    let name = client.client.as_ref().map_or_else(|| "(has not said who it is)".to_owned(), party);
    let mut notes = Vec::new();
    if client.is_bridged {
        notes.push("bridged".to_owned());
    }
    if client.in_flight > 0 {
        notes.push(format!("{} open", client.in_flight));
    }
    if client.asked > 0 {
        notes.push(format!("asked {}", times(client.asked as u64)));
    }
    vec![
        "-".to_owned(),
        shorten(&clean(&name), 30),
        client.via.clone(),
        client.pid.map_or_else(String::new, |pid| format!("process {pid}")),
        client.era.clone().unwrap_or_else(|| "silent".to_owned()),
        format!("{} calls", client.calls),
        notes.join(", "),
    ]
}

/// Facts separated by dots, in as many lines as that takes.
fn wrap(ctx: &Ctx, facts: &[String]) {
    let mut line = String::new();
    for fact in facts.iter().filter(|f| !f.is_empty()) {
        if !line.is_empty() && line.chars().count() + fact.chars().count() > 74 {
            ctx.ui.out(format_args!("  {line}"));
            line.clear();
        }
        if !line.is_empty() {
            line.push_str(" · ");
        }
        line.push_str(fact);
    }
    if !line.is_empty() {
        ctx.ui.out(format_args!("  {line}"));
    }
}

fn party(party: &Party) -> String {
    format!("{} {}", clean(&party.name), clean(&party.version)).trim_end().to_owned()
}

fn times(n: u64) -> String {
    match n {
        1 => "once".to_owned(),
        n => format!("{n} times"),
    }
}

fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width { text.to_owned() } else { text.chars().take(width.max(2) - 1).chain(['…']).collect() }
}

/// `850us`, `12ms`, `1.5s`.
fn micros(us: u64) -> String {
    match us {
        0..1000 => format!("{us}us"),
        1000..10_000 => format!("{}.{}ms", us / 1000, us % 1000 / 100),
        10_000..1_000_000 => format!("{}ms", us / 1000),
        _ => format!("{}.{}s", us / 1_000_000, us % 1_000_000 / 100_000),
    }
}

/// `512K`, `14M`, `1.2G`.
fn bytes(n: u64) -> String {
    match n >> 10 {
        k @ 0..1024 => format!("{k}K"),
        k @ 1024..1_048_576 => format!("{}M", k >> 10),
        k => format!("{}.{}G", k >> 20, ((k & 0xf_ffff) * 10) >> 20),
    }
}

/// `5s`, `12m`, `3h`, `2d`.
fn span(ms: u64) -> String {
    match ms / 1000 {
        0 if ms > 0 => format!("{ms}ms"),
        s @ 0..120 => format!("{s}s"),
        s @ 120..7200 => format!("{}m", s / 60),
        s @ 7200..172_800 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_short() {
        assert_eq!([0, 850, 1540, 12_000, 1_500_000].map(micros), ["0us", "850us", "1.5ms", "12ms", "1.5s"]);
        assert_eq!([0, 512 << 10, 14 << 20, 1_288_490_189].map(bytes), ["0K", "512K", "14M", "1.1G"]);
        assert_eq!([0, 300, 5000, 130_000, 8_000_000, 200_000_000].map(span), ["0s", "300ms", "5s", "2m", "2h", "2d"]);
    }
}
