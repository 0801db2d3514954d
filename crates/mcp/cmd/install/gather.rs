//! What to install: from the command line, a snippet, another client, or a dialogue.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use mcp_clients::catalog::{Catalog, EnvGiven, Missing, Server};
use mcp_clients::descriptor::Syntax;
use mcp_clients::entry::{Entry, Launch, Stdio, Transport};
use mcp_clients::secret;
use mcp_clients::snippet;
use mcp_clients::source::{self, Source};
use mcp_clients::survey;
use mcp_clients::text::{self, Text};

use super::{Args, Wanted};
use crate::ctx::Ctx;
use crate::report::Failure;

/// `stdio`, `http` or `sse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum TransportArg {
    /// A program on this machine
    Stdio,
    /// Streamable HTTP
    Http,
    /// The older HTTP+SSE
    Sse,
}

impl TransportArg {
    fn remote(self) -> Option<Transport> {
        match self {
            Self::Stdio => None,
            Self::Http => Some(Transport::Http),
            Self::Sse => Some(Transport::Sse),
        }
    }

    fn word(self) -> &'static str {
        self.remote().map_or("stdio", Transport::word)
    }
}

/// `500ms`, `30s`, `2m`, or a bare number of seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = text[..text.len() - unit.len()].parse().map_err(|_| "write it as 500ms, 30s or 2m".to_owned())?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "" | "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(format!("`{unit}` is no unit of time; use ms, s, m or h")),
    };
    Duration::try_from_secs_f64(seconds).ok().filter(|d| !d.is_zero()).ok_or_else(|| "it must be more than nothing".to_owned())
}

/// The servers to install.
pub(super) fn servers(ctx: &Ctx, args: &Args) -> Result<Vec<Wanted>, Failure> {
    let given = env(&args.env)?;
    let mut wanted = if let Some(snippet) = &args.from_json {
        from_snippet(ctx, snippet)?
    } else if let [client, name] = args.from.as_slice() {
        vec![from_client(ctx, client, name)?]
    } else if let Some(source) = &args.source {
        vec![from_source(ctx, args, source, &given)?]
    } else if let Some((command, rest)) = args.words.split_first() {
        vec![from_command(command, rest)?]
    } else {
        vec![from_dialogue(ctx, args, &given)?]
    };
    if let (Some(name), [one]) = (&args.name, wanted.as_mut_slice()) {
        one.name.clone_from(name);
    } else if args.name.is_some() {
        let names: Vec<&str> = wanted.iter().map(|w| w.name.as_str()).collect();
        return Err(Failure::missing(format_args!("`--name` is for one server; the snippet holds {}", names.join(", "))));
    }
    let from_catalog = args.source.as_ref().is_some_and(|s| matches!(Source::parse(s), Ok(Source::Name(_))));
    for server in &mut wanted {
        overrides(ctx, args, server, if from_catalog { &[] } else { &given })?;
        no_placeholders(server)?;
        no_questions(server)?;
        unset_variables(ctx, server);
        if let Launch::Remote(remote) = &server.entry.launch
            && source::is_unencrypted(&remote.url.to_string())
        {
            server.notes.push(format!("`{}` is reached over plain http: what is sent can be read on the way", server.name));
        }
    }
    Ok(wanted)
}

/// `K=V` and `K`.
fn env(words: &[String]) -> Result<Vec<(String, EnvGiven)>, Failure> {
    words
        .iter()
        .map(|word| {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, EnvGiven::Value(value.to_owned())),
                None => (word.as_str(), EnvGiven::FromEnvironment),
            };
            if text::is_name(name) {
                Ok((name.to_owned(), value))
            } else {
                Err(Failure::missing(format_args!("`--env {}`: this is no name of a variable", secret::mask_word(name)))
                    .hint("write `--env NAME=VALUE`, or `--env NAME` to hand it on"))
            }
        })
        .collect()
}

fn from_command(command: &str, rest: &[String]) -> Result<Wanted, Failure> {
    if command.contains(' ') && rest.is_empty() && !Path::new(command).exists() {
        return Err(Failure::missing("the command is one word with spaces in it")
            .hint("leave the quotes away: `mcp install -- COMMAND ARG…`"));
    }
    let entry = Entry::command(command, rest.iter().cloned());
    let name = match &entry.launch {
        Launch::Stdio(stdio) => source::name_of_command(stdio),
        Launch::Remote(_) => "server".to_owned(),
    };
    Ok(Wanted { name, entry, copied: false, notes: Vec::new() })
}

fn from_source(ctx: &Ctx, args: &Args, text: &str, given: &[(String, EnvGiven)]) -> Result<Wanted, Failure> {
    let source = Source::parse(text).map_err(|e| Failure::usage(e).hint("`mcp install --help` lists what SOURCE can be"))?;
    let transport = args.transport.and_then(TransportArg::remote);
    if let Some(mut entry) = source.entry(transport, &args.words) {
        if let (Source::Docker(_), Launch::Stdio(stdio)) = (&source, &mut entry.launch) {
            // Docker hands on only the variables it is told of.
            let flags = given.iter().flat_map(|(name, _)| ["-e".to_owned(), name.clone()]).map(Text::literal);
            stdio.args.splice(3..3, flags);
        }
        if matches!(source, Source::Url(_)) && !args.words.is_empty() {
            return Err(Failure::missing("a remote server takes no arguments"));
        }
        return Ok(Wanted { name: source.suggested_name(), entry, copied: false, notes: Vec::new() });
    }
    let Source::Name(name) = &source else { return Err(Failure::missing(format_args!("`{text}` cannot be installed"))) };
    if let Some(bundled) = mcp_servers::bundled().iter().find(|b| b.name == name) {
        return bundled_entry(bundled.name, args);
    }
    let Some(server) = Catalog::embedded().get(name) else {
        return Err(unknown(name));
    };
    from_catalog(ctx, args, server, given)
}

/// A bundled server is this very program. Its path is absolute: clients started from a desktop have a short `PATH`.
fn bundled_entry(name: &str, args: &Args) -> Result<Wanted, Failure> {
    let program = crate::cmd::share::own_program()?;
    let words = ["serve".to_owned(), name.to_owned()].into_iter().chain(args.words.iter().cloned());
    Ok(Wanted { name: name.to_owned(), entry: Entry::command(program, words), copied: false, notes: Vec::new() })
}

fn unknown(name: &str) -> Failure {
    let near: Vec<&str> = Catalog::embedded().nearest(name).into_iter().map(|s| s.id.as_str()).collect();
    let failure = Failure::missing(format_args!("there is no well-known server `{name}`"));
    let failure = if near.is_empty() { failure } else { failure.hint(format!("did you mean `{}`?", near.join("`, `"))) };
    failure.hint(format!("a package is `npm:{name}` or `pypi:{name}`, a command is `-- {name}`"))
}

fn from_catalog(ctx: &Ctx, args: &Args, server: &Server, given: &[(String, EnvGiven)]) -> Result<Wanted, Failure> {
    let mut given = given.to_vec();
    let mut notes: Vec<String> = Vec::new();
    // A variable that is set here is at hand: it is named, not copied, so the value stays out of the file.
    for variable in &server.variables {
        if ctx.platform.var(&variable.name).is_some() && !given.iter().any(|(n, _)| *n == variable.name) && variable.required {
            given.push((variable.name.clone(), EnvGiven::FromEnvironment));
            notes.push(format!(
                "`{}` is set in this shell: the entry names it, and the client needs it in its own environment",
                variable.name
            ));
        }
    }
    let fits = |word: &str| args.transport.is_none_or(|t| t.word() == word);
    let launch = server.launch_for(&given, |l| fits(l.transport_word())).ok_or_else(|| {
        let ways: Vec<&str> = server.launches().iter().map(mcp_clients::catalog::Launch::transport_word).collect();
        Failure::missing(format_args!("`{}` does not speak {}", server.id, args.transport.map_or("it", TransportArg::word)))
            .hint(format!("it speaks {}", ways.join(", ")))
    })?;
    let mut words = args.words.clone();
    let entry = loop {
        match server.resolve(launch, &given, &words) {
            Ok(entry) => break entry,
            Err(missing) if ctx.ui.can_ask && !args.doing.yes && missing.unusable.is_empty() => {
                ask_for(ctx.ui, &missing, &mut given, &mut words)?;
            }
            Err(missing) => return Err(lacking(missing)),
        }
    };
    let others: Vec<String> =
        server.launches().iter().filter(|l| *l != launch).map(|l| format!("{} ({})", l.summary(), l.transport_word())).collect();
    notes.push(format!("{}: {}, {} ({})", server.title, launch.summary(), launch.transport_word(), server.publisher));
    if !others.is_empty() {
        notes.push(format!("not chosen: {}", others.join(", ")));
    }
    if launch.oauth {
        let who = if args.shared { "`mcp`" } else { "the client" };
        notes.push(format!("{} asks you to log in: {who} opens a browser for it", server.title));
    }
    notes.extend(server.note.clone());
    Ok(Wanted { name: server.id.clone(), entry, copied: false, notes })
}

fn ask_for(
    ui: crate::ui::Ui,
    missing: &Missing,
    given: &mut Vec<(String, EnvGiven)>,
    words: &mut Vec<String>,
) -> Result<(), Failure> {
    let theme = crate::ui::theme();
    for variable in &missing.variables {
        let from = variable.url.as_ref().map(|url| format!(", from {url}")).unwrap_or_default();
        ui.note(format_args!("{}: {}{from}", variable.name, variable.description));
        let value = if variable.secret {
            dialoguer::Password::with_theme(&*theme).with_prompt(format!("{} (hidden)", variable.name)).interact()
        } else {
            dialoguer::Input::with_theme(&*theme).with_prompt(&variable.name).interact_text()
        };
        given.push((variable.name.clone(), EnvGiven::Value(value.map_err(crate::ui::asked)?)));
    }
    for argument in &missing.arguments {
        ui.note(format_args!("<{}>: {}", argument.name, argument.description));
        let word: String =
            dialoguer::Input::with_theme(&*theme).with_prompt(&argument.name).interact_text().map_err(crate::ui::asked)?;
        words.push(word);
    }
    Ok(())
}

fn lacking(missing: Missing) -> Failure {
    let mut flags: Vec<String> = missing.variables.iter().map(|v| format!("--env {}=…", v.name)).collect();
    let words: Vec<String> = missing.arguments.iter().map(|a| format!("<{}>", a.name)).collect();
    if !words.is_empty() {
        flags.push(format!("-- {}", words.join(" ")));
    }
    let secret = missing.variables.iter().any(|v| v.secret);
    let example = format!("add `{}`", flags.join(" "));
    let failure = Failure::usage(missing);
    let failure = if flags.is_empty() { failure } else { failure.hint(example) };
    if secret {
        failure.hint("`--env NAME` without a value keeps the secret out of the file: the client fills it in")
    } else {
        failure
    }
}

fn from_snippet(ctx: &Ctx, argument: &str) -> Result<Vec<Wanted>, Failure> {
    let read = |what: &str, result: std::io::Result<String>| {
        result.map_err(|e| Failure::file(anyhow::Error::new(e).context(format!("read {what}"))))
    };
    let text = if argument == "-" {
        let mut text = String::new();
        read("the snippet from standard input", std::io::stdin().lock().read_to_string(&mut text).map(|_| text))?
    } else if let Some(path) = argument.strip_prefix('@') {
        read(path, std::fs::read_to_string(path))?
    } else {
        argument.to_owned()
    };
    let found = snippet::read(&text, ctx.clients())
        .map_err(|e| Failure::usage(e).hint("copy the whole block that holds the server, in JSON, TOML or YAML"))?;
    Ok(found
        .into_iter()
        .map(|f| {
            let mut notes = f.notes.clone();
            if !f.unknown.is_empty() {
                notes.push(format!("left out of the snippet, because no client knows it: `{}`", f.unknown.join("`, `")));
            }
            let fallback = || match &f.entry.launch {
                Launch::Stdio(stdio) => source::name_of_command(stdio),
                Launch::Remote(remote) => Source::Url(remote.url.to_string()).suggested_name(),
            };
            Wanted { name: f.name.clone().unwrap_or_else(fallback), entry: f.entry.clone(), copied: false, notes }
        })
        .collect())
}

fn from_client(ctx: &Ctx, id: &str, name: &str) -> Result<Wanted, Failure> {
    let client = ctx.client(id)?;
    let reports = survey::survey([client], &ctx.platform, &ctx.project, |_| None);
    let files = &reports[0].files;
    let Some(index) = survey::effective(client, files, name) else {
        let names: Vec<&str> = files.iter().flat_map(|f| &f.servers).map(|s| s.name.as_str()).collect();
        let failure = Failure::missing(format_args!("{} has no server called `{name}`", client.name));
        return Err(if names.is_empty() {
            failure.hint(format!("`mcp list --client {id}` finds none there"))
        } else {
            failure.hint(format!("it has {}", names.join(", ")))
        });
    };
    let server = files[index].servers.iter().find(|s| s.name == name);
    let entry = server
        .map(|s| s.entry.clone())
        .transpose()
        .map_err(|e| Failure::file(anyhow::Error::new(e).context(format!("understand `{name}` of {}", client.name))))?;
    let entry = entry.ok_or_else(|| Failure::missing("the entry went away while we looked"))?;
    let scope = files[index].site.file.scope;
    Ok(Wanted { name: name.to_owned(), entry, copied: true, notes: vec![format!("copied from {} ({scope})", client.name)] })
}

fn from_dialogue(ctx: &Ctx, args: &Args, given: &[(String, EnvGiven)]) -> Result<Wanted, Failure> {
    if !ctx.ui.can_ask || args.doing.yes {
        return Err(Failure::missing("what should be installed?")
            .hint("name a SOURCE, or `-- COMMAND ARGS…`; `mcp install --help` has examples"));
    }
    let mut lines: Vec<String> =
        mcp_servers::bundled().iter().map(|b| format!("{:<20} {} (bundled)", b.name, b.summary)).collect();
    let mut names: Vec<String> = mcp_servers::bundled().iter().map(|b| b.name.to_owned()).collect();
    for server in Catalog::embedded().all() {
        lines.push(format!("{:<20} {}", server.id, server.description));
        names.push(server.id.clone());
    }
    let kinds = [
        ("an npm package", "npm:"),
        ("a PyPI package", "pypi:"),
        ("a container image", "docker:"),
        ("an address", ""),
        ("a command", "-- "),
    ];
    lines.extend(kinds.iter().map(|(k, _)| format!("{k}…")));
    let lines: Vec<String> = lines.iter().map(|l| crate::ui::choice(l)).collect();
    let theme = crate::ui::theme();
    let at = dialoguer::FuzzySelect::with_theme(&*theme)
        .with_prompt("What should be installed? (type to search)")
        .items(&lines)
        .default(0)
        .max_length(14)
        .report(false)
        .interact()
        .map_err(crate::ui::asked)?;
    if let Some(name) = names.get(at) {
        ctx.ui.note(format_args!("Installing {name}"));
        return from_source(ctx, args, name, given);
    }
    let (kind, prefix) = kinds[at - names.len()];
    let typed: String = dialoguer::Input::with_theme(&*theme).with_prompt(kind).interact_text().map_err(crate::ui::asked)?;
    if prefix == "-- " {
        let words = shell_words(&typed).ok_or_else(|| Failure::missing("a quote is not closed"))?;
        let (command, rest) = words.split_first().ok_or_else(|| Failure::missing("no command was typed"))?;
        return from_command(command, rest);
    }
    from_source(ctx, args, &format!("{prefix}{typed}"), given)
}

/// Words as a shell splits them, without its expansions; `None` when a quote is not closed.
fn shell_words(line: &str) -> Option<Vec<String>> {
    // A backslash is part of a path on Windows.
    let line = if cfg!(windows) { line.replace('\\', "\\\\") } else { line.to_owned() };
    shell_words::split(&line).ok()
}

/// What the other flags say about the entry.
fn overrides(ctx: &Ctx, args: &Args, server: &mut Wanted, given: &[(String, EnvGiven)]) -> Result<(), Failure> {
    server.entry.timeout = args.timeout.or(server.entry.timeout);
    match &mut server.entry.launch {
        Launch::Stdio(stdio) => {
            if !args.header.is_empty() {
                return Err(Failure::missing("`--header` is for remote servers").hint("`--env` hands a value to a local one"));
            }
            if args.transport.is_some_and(|t| t != TransportArg::Stdio) {
                return Err(Failure::missing("a command speaks stdio").hint("`--transport http` and `sse` are for addresses"));
            }
            set_env(stdio, given);
            if let Some(cwd) = &args.cwd {
                stdio.cwd = Some(Text::literal(absolute(ctx, cwd)));
            }
        }
        Launch::Remote(remote) => {
            if let (Some((name, _)), true) = (given.first(), args.source.is_some() || args.from_json.is_some()) {
                return Err(Failure::missing(format_args!("`--env {name}`: a remote server has no environment"))
                    .hint("`--header 'Authorization: Bearer ${TOKEN}'` names a variable in a header"));
            }
            if args.cwd.is_some() {
                return Err(Failure::missing("`--cwd` is for local servers"));
            }
            if args.transport == Some(TransportArg::Stdio) {
                return Err(Failure::missing("an address does not speak stdio"));
            }
            if let Some(transport) = args.transport.and_then(TransportArg::remote) {
                remote.transport = transport;
            }
            for header in &args.header {
                let (name, value) =
                    header.split_once(':').ok_or_else(|| Failure::missing("`--header`: write it as 'Name: value'"))?;
                let (name, value) = (name.trim(), value.trim());
                if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)) {
                    return Err(Failure::missing("`--header`: a name holds letters, digits and hyphens, and a colon ends it"));
                }
                remote.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
                remote.headers.push((name.to_owned(), Text::parse(value, Syntax::DollarBrace)));
            }
        }
    }
    Ok(())
}

fn set_env(stdio: &mut Stdio, given: &[(String, EnvGiven)]) {
    for (name, value) in given {
        let value = match value {
            EnvGiven::Value(value) => Text::literal(value),
            EnvGiven::FromEnvironment => Text::variable(name),
        };
        match stdio.env.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => stdio.env.push((name.clone(), value)),
        }
    }
}

fn absolute(ctx: &Ctx, path: &str) -> String {
    if path == "~" || path.starts_with("~/") {
        return ctx.platform.expand(path, None);
    }
    if ctx.platform.is_absolute(path) { path.to_owned() } else { ctx.project.cwd.join(path).display().to_string() }
}

/// A stand-in such as `YOUR_API_KEY` is never written: the server would start and fail later, far from here.
fn no_placeholders(server: &Wanted) -> Result<(), Failure> {
    let found: Vec<(String, String)> = match &server.entry.launch {
        Launch::Stdio(stdio) => {
            let env = stdio.env.iter().map(|(k, v)| (format!("--env {k}=…"), v));
            let args = stdio.args.iter().map(|a| ("the arguments".to_owned(), a));
            env.chain(args)
                .filter_map(|(what, t)| Some((what, t.as_literal().filter(|t| source::is_placeholder(t))?.to_owned())))
                .collect()
        }
        Launch::Remote(remote) => {
            let headers = remote.headers.iter().map(|(k, v)| (format!("--header '{k}: …'"), v));
            let url = std::iter::once(("the address".to_owned(), &remote.url));
            headers.chain(url).filter_map(|(what, t)| (what, t.to_string()).filter_placeholder()).collect()
        }
    };
    let Some((what, value)) = found.first() else { return Ok(()) };
    Err(Failure::missing(format_args!("`{value}` in `{}` is a stand-in for a value of yours", server.name)).hint(
        if what.starts_with("--") { format!("give the value with `{what}`") } else { format!("put your own value in {what}") },
    ))
}

trait FilterPlaceholder: Sized {
    fn filter_placeholder(self) -> Option<Self>;
}

impl FilterPlaceholder for (String, String) {
    fn filter_placeholder(self) -> Option<Self> {
        source::is_placeholder(&self.1).then_some(self)
    }
}

/// VS Code asks its user for `${input:…}`; no snippet can bring the answer along.
fn no_questions(server: &Wanted) -> Result<(), Failure> {
    if server.copied {
        return Ok(());
    }
    let inputs = snippet::inputs(&server.entry);
    let Some((place, id)) = inputs.first() else { return Ok(()) };
    Err(Failure::missing(format_args!("`${{input:{id}}}` in `{}` is a question VS Code asks its user", server.name)).hint(
        if place.starts_with("--") {
            format!("give the answer with `{place}`, or name a variable that holds it (`--env NAME`, `${{NAME}}` in a header)")
        } else {
            format!("put the answer into {place} of the snippet")
        },
    ))
}

/// Variables the entry names that are not set where we are: worth knowing, no reason to stop.
fn unset_variables(ctx: &Ctx, server: &mut Wanted) {
    for name in server.entry.variables() {
        if ctx.platform.var(&name).is_none() {
            server.notes.push(format!("`{name}` is not set in this shell: `{}` needs it where its client starts", server.name));
        }
    }
}
