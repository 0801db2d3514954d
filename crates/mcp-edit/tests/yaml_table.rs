//! Exact texts: what each layout looks like after an edit.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fmt::Write as _;

use mcp_edit::{Document, Format, Op, Path, ProblemKind, Step, Value};

fn edit(text: &str, op: &Op) -> Result<String, mcp_edit::Problem> {
    let document = Document::parse(text, Format::Yaml)?;
    let edit = document.plan(std::slice::from_ref(op))?;
    let after = edit.apply(text);
    assert_eq!(edit.inverse(text).apply(&after), text, "the inverse of {op:?}");
    let again = Document::parse(&after, Format::Yaml).unwrap().plan(std::slice::from_ref(op)).unwrap();
    assert!(again.is_empty(), "{op:?} a second time on {after:?}: {again:?}");
    Ok(after)
}

fn path(keys: &str) -> Path {
    let mut path = Path::default();
    for key in keys.split('.') {
        path = match key.strip_prefix('@') {
            Some(name) => path.step(Step::Item { field: "name".into(), value: name.into() }),
            None => path.key(key),
        };
    }
    path
}

#[track_caller]
fn sets(before: &str, keys: &str, value: &Value, after: &str) {
    assert_eq!(edit(before, &Op::set(path(keys), value.clone())).unwrap(), after);
}

#[track_caller]
fn removes(before: &str, keys: &str, prune: usize, after: &str) {
    assert_eq!(edit(before, &Op::Remove { path: path(keys), prune }).unwrap(), after);
}

/// Adds, compares, takes away again and compares with the first text.
#[track_caller]
fn adds(before: &str, keys: &str, value: &Value, after: &str) {
    sets(before, keys, value, after);
    removes(after, keys, 0, before);
}

fn goose() -> Value {
    Value::object([
        ("enabled", Value::from(true)),
        ("type", "stdio".into()),
        ("cmd", "npx".into()),
        ("args", Value::strings(["-y", "@scope/server", "--port=1"])),
        ("envs", Value::object([("TOKEN", "yes"), ("NR", "12")].map(|(k, v)| (k, Value::from(v))))),
        ("timeout", 300.into()),
    ])
}

fn continued() -> Value {
    Value::object([
        ("name", Value::from("time")),
        ("command", "uvx".into()),
        ("args", Value::strings(["mcp-server-time", "a: b"])),
    ])
}

fn object(text: &str) -> Value {
    Document::parse(text, Format::Yaml).unwrap().get(&Path::default()).unwrap().unwrap().value
}

const GOOSE: &str = "\
# my goose
GOOSE_PROVIDER: openai   # keep
GOOSE_MODEL: \"gpt-4o\"
extensions:
  developer:
    bundled: true
    display_name: Developer
    enabled: true
    name: developer
    timeout: 300
    type: builtin

  memory: # remembers
    enabled: false
    type: stdio
    cmd: npx
    args:
    - -y
    - '@x/memory'
    envs: {}
    # not needed: yet

# models below
GOOSE_MODE: auto
";

#[test]
fn goose_gets_an_entry_that_looks_like_the_others() {
    let entry = "  time:
    enabled: true
    type: stdio
    cmd: npx
    args:
    - -y
    - \"@scope/server\"
    - --port=1
    envs:
      TOKEN: \"yes\"
      NR: \"12\"
    timeout: 300
";
    let after = GOOSE.replace("    # not needed: yet\n", &format!("    # not needed: yet\n{entry}"));
    adds(GOOSE, "extensions.time", &goose(), &after);
    let crlf = |t: &str| t.replace('\n', "\r\n");
    adds(&crlf(GOOSE), "extensions.time", &goose(), &crlf(&after));
    let bom = |t: &str| format!("\u{feff}{t}");
    adds(&bom(GOOSE), "extensions.time", &goose(), &bom(&after));
}

#[test]
fn goose_field_changes_touch_one_line() {
    sets(GOOSE, "extensions.memory.enabled", &true.into(), &GOOSE.replace("enabled: false", "enabled: true"));
    sets(GOOSE, "GOOSE_PROVIDER", &"anthropic".into(), &GOOSE.replace("openai ", "anthropic "));
    sets(GOOSE, "GOOSE_MODEL", &"o3".into(), &GOOSE.replace("gpt-4o", "o3"));
    sets(GOOSE, "extensions.memory.args", &Value::strings(["-y", "z"]), &GOOSE.replace("'@x/memory'", "'z'"));
    sets(GOOSE, "extensions.memory.args", &Value::strings(["-y"]), &GOOSE.replace("    - '@x/memory'\n", ""));
    sets(
        GOOSE,
        "extensions.memory.envs",
        &Value::object([("A", "b")].map(|(k, v)| (k, Value::from(v)))),
        &GOOSE.replace("    envs: {}\n    # not needed: yet\n", "    envs:\n      A: b\n    # not needed: yet\n"),
    );
}

#[test]
fn goose_without_extensions_gets_them_at_the_end() {
    let base = "GOOSE_PROVIDER: openai\nGOOSE_MODE: auto\n";
    let lines = "    enabled: true\n    cmd: x\n    args:\n      - a\n";
    let value = object("enabled: true\ncmd: x\nargs: [a]\n");
    for (before, head) in [
        (base.to_owned(), "extensions:\n"),
        (format!("{base}extensions:\n"), "extensions:\n"),
        (format!("{base}extensions: # none\n"), "extensions: # none\n"),
        (format!("{base}extensions: {{}}\n"), "extensions:\n"),
        (format!("{base}extensions: {{}} # none\n"), "extensions: # none\n"),
        (format!("{base}extensions: ~\n"), "extensions:\n"),
        (format!("{base}extensions: null # none\n"), "extensions: # none\n"),
    ] {
        sets(&before, "extensions.time", &value, &format!("{base}{head}  time:\n{lines}"));
    }
    let bare = format!("{base}x: 1");
    sets(&bare, "extensions.time.cmd", &"w".into(), &format!("{bare}\nextensions:\n  time:\n    cmd: w"));
}

#[test]
fn empty_files_get_content() {
    let value = object("cmd: x");
    for (before, after) in [
        ("", "a:\n  b:\n    cmd: x\n"),
        ("\u{feff}", "\u{feff}a:\n  b:\n    cmd: x\n"),
        ("# c", "# c\na:\n  b:\n    cmd: x"),
        ("# c\n", "# c\na:\n  b:\n    cmd: x\n"),
        ("\r\n", "\r\na:\r\n  b:\r\n    cmd: x\r\n"),
        ("---\n", "---\na:\n  b:\n    cmd: x\n"),
        ("---\n# c\n...\n", "---\n# c\na:\n  b:\n    cmd: x\n...\n"),
        ("---", "---\na:\n  b:\n    cmd: x"),
        ("~\n", "a:\n  b:\n    cmd: x\n"),
        ("{}\n", "{a: {b: {cmd: x}}}\n"),
        ("%YAML 1.2\n---\n", "%YAML 1.2\n---\na:\n  b:\n    cmd: x\n"),
    ] {
        sets(before, "a.b", &value, after);
    }
}

const CONTINUE: &str = "\
name: Local Assistant
version: 1.0.0
schema: v1
models:
  - {name: fake, provider: openai, roles: [chat]}
mcpServers:
  - name: sqlite   # data
    command: npx
    args:
      - \"-y\"
      - mcp-sqlite
    env:
      DB: /tmp/x

  # remote
  - name: web
    type: streamable-http
    url: https://example.com/mcp

context:
  - provider: code
";

#[test]
fn continue_lists_are_edited_by_name() {
    let url = "    url: https://example.com/mcp\n";
    let entry = "  - name: time\n    command: uvx\n    args:\n      - mcp-server-time\n      - \"a: b\"\n";
    adds(CONTINUE, "mcpServers.@time", &continued(), &CONTINUE.replace(url, &format!("{url}{entry}")));
    sets(
        CONTINUE,
        "mcpServers.@new.command",
        &"x".into(),
        &CONTINUE.replace(url, &format!("{url}  - name: new\n    command: x\n")),
    );
    sets(CONTINUE, "mcpServers.@sqlite.command", &"node".into(), &CONTINUE.replace("command: npx", "command: node"));
    sets(
        CONTINUE,
        "mcpServers.@sqlite.cwd",
        &"/".into(),
        &CONTINUE.replace("      DB: /tmp/x\n", "      DB: /tmp/x\n    cwd: /\n"),
    );
    removes(CONTINUE, "mcpServers.@sqlite.env.DB", 1, &CONTINUE.replace("    env:\n      DB: /tmp/x\n", ""));
    removes(CONTINUE, "mcpServers.@sqlite.env.DB", 0, &CONTINUE.replace("    env:\n      DB: /tmp/x\n", "    env: {}\n"));
    removes(CONTINUE, "mcpServers.@sqlite.name", 0, &CONTINUE.replace("- name: sqlite   # data\n    command", "- command"));
    let start = CONTINUE.find("  - name: sqlite").unwrap();
    let end = CONTINUE.find("\n  # remote").unwrap();
    removes(CONTINUE, "mcpServers.@sqlite", 0, &format!("{}{}", &CONTINUE[..start], &CONTINUE[end..]));
}

#[test]
fn continue_lists_in_every_layout() {
    let value = object("name: time\ncommand: uvx\nargs: [a, b]\n");
    adds(
        "mcpServers:\n- name: a\n  args: [x, y]\n- name: b\n",
        "mcpServers.@time",
        &value,
        "mcpServers:\n- name: a\n  args: [x, y]\n- name: b\n- name: time\n  command: uvx\n  args: [a, b]\n",
    );
    adds(
        "mcpServers:\n  -   name: a\n      args:\n      -   x\n",
        "mcpServers.@time",
        &value,
        "mcpServers:\n  -   name: a\n      args:\n      -   x\n  -   name: time\n      command: uvx\n      args:\n      -   a\n      -   b\n",
    );
    adds(
        "mcpServers:\n  - {name: a, command: b} # c\nz: 1\n",
        "mcpServers.@time",
        &value,
        "mcpServers:\n  - {name: a, command: b} # c\n  - {name: time, command: uvx, args: [a, b]}\nz: 1\n",
    );
    adds(
        "mcpServers: [{name: a}]\n",
        "mcpServers.@time",
        &value,
        "mcpServers: [{name: a}, {name: time, command: uvx, args: [a, b]}]\n",
    );
    adds(
        "mcpServers:\n  -\n    name: a",
        "mcpServers.@new",
        &object("name: new"),
        "mcpServers:\n  -\n    name: a\n  - name: new",
    );
    for empty in ["mcpServers:\n", "mcpServers: []\n", "mcpServers: null\n", ""] {
        sets(empty, "mcpServers.@new", &object("{name: new, a: [b]}"), "mcpServers:\n  - name: new\n    a:\n      - b\n");
    }
    removes("mcpServers:\n  - name: a # c\nz: 1\n", "mcpServers.@a", 0, "mcpServers: []\nz: 1\n");
    removes("mcpServers:\n  - name: a # c\nz: 1\n", "mcpServers.@a", 1, "z: 1\n");
    removes("mcpServers:\n- name: a # c\n- name: b", "mcpServers.@b", 0, "mcpServers:\n- name: a # c");
    removes("mcpServers:\n- name: a # c\n- name: b", "mcpServers.@a.name", 0, "mcpServers:\n- {}\n- name: b");
}

#[test]
fn flow_and_json() {
    let value = object("command: x\nargs: [a, http://b]\n");
    adds("{a: {b: 1}}\n", "a.new", &value, "{a: {b: 1, new: {command: x, args: [a, \"http://b\"]}}}\n");
    adds("m: { b: 1 }\n", "m.new", &Value::from("y"), "m: { b: 1, new: \"y\" }\n");
    adds("m: {b: 1,} # c\n", "m.new", &2.into(), "m: {b: 1, new: 2,} # c\n");
    adds("m: {\n  b: 1, # c\n  d: e # f\n}\n", "m.new", &2.into(), "m: {\n  b: 1, # c\n  d: e, # f\n  new: 2\n}\n");
    adds("m: {\n  b: 1,\n  d: e, # f\n}\n", "m.new", &2.into(), "m: {\n  b: 1,\n  d: e, # f\n  new: 2,\n}\n");
    adds("m: {\n  b: 1,\n  d: e}\n", "m.new", &2.into(), "m: {\n  b: 1,\n  d: e,\n  new: 2}\n");
    adds("m: {a, b}\n", "m.new", &2.into(), "m: {a, b, new: 2}\n");
    sets("m: {a, b: , c: 1}\n", "m.a", &2.into(), "m: {a: 2, b: , c: 1}\n");
    sets("m: {a, b: , c: 1}\n", "m.b", &2.into(), "m: {a, b: 2 , c: 1}\n");
    adds(
        "{\"mcpServers\":{\"a\":{\"command\":\"x\"}}}",
        "mcpServers.new",
        &value,
        "{\"mcpServers\":{\"a\":{\"command\":\"x\"},\"new\":{\"command\":\"x\",\"args\":[\"a\",\"http://b\"]}}}",
    );
    let json = "{\n  \"mcpServers\": {\n    \"a\": {\n      \"command\": \"x\"\n    }\n  }\n}\n";
    let after = "{\n  \"mcpServers\": {\n    \"a\": {\n      \"command\": \"x\"\n    },\n    \"new\": {\n      \"command\": \"x\",\n      \
                 \"args\": [\"a\", \"http://b\"]\n    }\n  }\n}\n";
    adds(json, "mcpServers.new", &value, after);
    removes("m: {a: 1, b: 2, c: 3}\n", "m.a", 0, "m: {b: 2, c: 3}\n");
    removes("m: {a: 1, b: 2, c: 3}\n", "m.b", 0, "m: {a: 1, c: 3}\n");
    removes("m: {a: 1}\n", "m.a", 0, "m: {}\n");
    removes("m: {a: 1}\n", "m.a", 1, "");
    removes("m: {\n  a: 1, # x\n  # y\n  b: 2\n}\n", "m.a", 0, "m: {\n  # y\n  b: 2\n}\n");
    sets("l: [a, b, c]\n", "l", &Value::strings(["a", "c"]), "l: [a, c]\n");
    sets("l: [a, b]\n", "l", &Value::strings(["a", "b", "d e", "f,"]), "l: [a, b, d e, \"f,\"]\n");
}

#[test]
fn scalars_are_replaced_where_they_stand() {
    sets("a: 1 # c\nb: 2\n", "a", &"x".into(), "a: x # c\nb: 2\n");
    sets("a: # c\nb: 2\n", "a", &"x".into(), "a: x # c\nb: 2\n");
    sets("a:\n", "a", &"null".into(), "a: \"null\"\n");
    sets("a: 'x'\n", "a", &"it's".into(), "a: 'it''s'\n");
    sets("a: x\n  y\n  z # c\nb: 1\n", "a", &"w".into(), "a: w # c\nb: 1\n");
    sets("a: | # c\n  x\n  y\n\nb: 1\n", "a", &"w".into(), "a: w # c\n\nb: 1\n");
    sets("a: >-\n  x\n\n   y\nb: 1\n", "a", &"l\nm".into(), "a: \"l\\nm\"\nb: 1\n");
    sets("a: |\n  x", "a", &"w".into(), "a: w");
    sets("a: !!str 5\n", "a", &6.into(), "a: 6\n");
    sets("a: &x 5\n", "a", &6.into(), "a: &x 6\n");
    sets("a:\n  5\nb: 1\n", "a", &6.into(), "a:\n  6\nb: 1\n");
    sets("a: 1\n", "b", &"".into(), "a: 1\nb: \"\"\n");
    sets("a: 1\n", "b.yes", &1.into(), "a: 1\nb:\n  \"yes\": 1\n");
}

#[test]
fn kinds_change() {
    let block = object("k: v\nl: [1]\n");
    sets("a: 1 # c\nb: 2\n", "a", &block, "a: # c\n  k: v\n  l:\n    - 1\nb: 2\n");
    sets("a: [1, 2]\nb: 2\n", "a", &block, "a:\n  k: v\n  l:\n    - 1\nb: 2\n");
    sets("a: | # c\n  x\nb: 2\n", "a", &block, "a: # c\n  k: v\n  l:\n    - 1\nb: 2\n");
    sets("a: # c\n  - 1 # d\n  - 2\nb: 2\n", "a", &block, "a: # c\n  k: v\n  l:\n    - 1\nb: 2\n");
    sets("a: # c\n  k: v # d\n  # e\nb: 2\n", "a", &"s".into(), "a: s # c\nb: 2\n");
    sets("a: # c\n  k: v # d\nb: 2\n", "a", &Value::object::<String>([]), "a: {} # c\nb: 2\n");
    sets("- name: new\n  v: 1\n", "@new.v", &block, "- name: new\n  v:\n    k: v\n    l:\n      - 1\n");
    sets("- k: v # c\n- 1\n", "@k", &object("name: k"), "- k: v # c\n- 1\n- name: k\n");
    sets("a:\n- 1 # c\n- x: y # d\n", "a", &object("[{p: q, r: s}, 2]"), "a:\n- p: q # c\n  r: s\n- 2\n");
    sets("a:\n-\n- |\n  x\n", "a", &object("[{p: q, r: s}, {t: u, v: w}]"), "a:\n- p: q\n  r: s\n- t: u\n  v: w\n");
}

#[test]
fn objects_over_objects_change_what_differs() {
    sets(
        "a:\n  # one\n  x: 1 # x\n  y: 2 # y\n  z: {p: q} # z\nb: 1\n",
        "a",
        &object("x: 1\nz: {p: r, s: t}\nnew: new\n"),
        "a:\n  # one\n  x: 1 # x\n  z: {p: r, s: t} # z\n  new: new\nb: 1\n",
    );
    sets("a:\n  x: 1\nb: 1\n", "a", &object("w: 2"), "a:\n  w: 2\nb: 1\n");
    sets("- name: new\n  v: 1\n", "@new", &object("v: 2\nname: new\nw: 3"), "- name: new\n  v: 2\n  w: 3\n");
}

#[test]
fn what_follows_a_block_stays_there() {
    adds(
        "a:\n    x:\n        k: v\n\n    # y:\n    #     k: w\n\n# b is next\nb: 1\n",
        "a.new",
        &object("k: z"),
        "a:\n    x:\n        k: v\n    new:\n        k: z\n\n    # y:\n    #     k: w\n\n# b is next\nb: 1\n",
    );
    adds("a:\n  x: |+\n    t\n\n\nb: 1\n", "a.new", &1.into(), "a:\n  x: |+\n    t\n\n\n  new: 1\nb: 1\n");
    adds("a:\n  x: |\n    t\n\n\nb: 1\n", "a.new", &1.into(), "a:\n  x: |\n    t\n  new: 1\n\n\nb: 1\n");
    adds("---\na:\n  x: 1\n...\n# end", "a.new", &1.into(), "---\na:\n  x: 1\n  new: 1\n...\n# end");
    adds("a:\n  x: \"é\" # ü\nb: 1\n", "a.ñ", &"ö".into(), "a:\n  x: \"é\" # ü\n  ñ: ö\nb: 1\n");
    adds("a: {x: 1}", "b", &1.into(), "a: {x: 1}\nb: 1");
    removes("a:\n  # one\n  x: 1 # c\n  # two\n  y: 2\n", "a.x", 0, "a:\n  # one\n  # two\n  y: 2\n");
    removes("a: # c\n  x: 1 # d\nb: 1\n", "a.x", 0, "a: {} # c\nb: 1\n");
    removes("a:\n  b:\n    c: 1\n", "a.b.c", 1, "a: {}\n");
    removes("a:\n  b:\n    c: 1\n", "a.b.c", 2, "");
    removes("a: 1", "a", 0, "");
    removes("x: 1\na:\n  # mine\n  b: 1\n", "a.b", 1, "x: 1\na: {}\n  # mine\n");
    removes("x: 1\na: # c\n  b: 1\n# y\n", "a.b", 1, "x: 1\n# y\n");
    removes("x: 1\na:\n  - name: n1 # c\n    k: 1\n", "a.@n1", 1, "x: 1\n");
}

#[test]
fn anchors_elsewhere_are_left_alone() {
    let text = "d: &d\n  k: v\ns:\n  a:\n    <<: *d\n    x: 1\n  b: *d\n";
    adds(text, "s.new", &object("c: x"), &format!("{text}  new:\n    c: x\n"));
    sets(text, "s.a.x", &2.into(), &text.replace("x: 1", "x: 2"));
    sets(text, "s.b", &"y z".into(), &text.replace("b: *d", "b: y z"));
    removes(text, "s.b", 0, &text.replace("  b: *d\n", ""));
    let get = |p: &str| Document::parse(text, Format::Yaml).unwrap().get(&path(p)).unwrap().unwrap().value;
    assert_eq!(get("s.b"), object("k: v"));
}

#[track_caller]
fn refuses(text: &str, op: &Op, line: usize, column: usize, kind: impl Fn(&ProblemKind) -> bool) {
    let problem = edit(text, op).unwrap_err();
    let place = problem.place.unwrap();
    assert_eq!((place.line, place.column), (line, column), "{problem}");
    assert!(kind(&problem.kind), "{problem:?}");
}

#[test]
fn refusals_name_the_place() {
    let one = |p: &str| Op::set(path(p), 1.into());
    let alias = |k: &ProblemKind| matches!(k, ProblemKind::Alias(_));
    let unsupported = |k: &ProblemKind| matches!(k, ProblemKind::Unsupported(_));
    let syntax = |k: &ProblemKind| matches!(k, ProblemKind::Syntax(_));
    let nameless = edit("- name: a\n", &Op::set(path("@b"), object("k: 1"))).unwrap_err();
    assert!(unsupported(&nameless.kind), "{nameless}");
    refuses("d: &d {k: v}\ns: *d\n", &one("s.new"), 2, 4, alias);
    refuses("d: &d {k: v}\ns: *d\n", &one("d.new"), 1, 4, alias);
    refuses("d: &d {k: v}\ns: *d\n", &one("d.k"), 1, 4, alias);
    refuses("d: &d {k: v}\ns: *d\n", &Op::remove(path("d")), 1, 4, alias);
    refuses("d:\n  k: &d v\ns: *d\n", &one("d"), 2, 6, alias);
    refuses("d: &d {k: v}\ns:\n  <<: *d\n", &one("s.k"), 3, 3, alias);
    refuses("d: &d {k: v}\ns:\n  <<: [*d]\n", &Op::remove(path("s.k")), 3, 3, alias);
    refuses("a: 1\n---\nb: 1\n", &one("a"), 2, 1, unsupported);
    refuses("? a\n: 2\n", &one("a"), 1, 1, unsupported);
    refuses("a: 1\n\"a\": 2\n", &one("a"), 2, 1, |k| *k == ProblemKind::DuplicateKey("a".into()));
    refuses("s:\n- name: x\n- name: x\n", &one("s.@x.k"), 3, 3, |k| *k == ProblemKind::DuplicateKey("x".into()));
    refuses("a: x\n", &one("a.b"), 1, 4, |k| matches!(k, ProblemKind::NotContainer { .. }));
    refuses("a: x\n", &Op::remove(path("a.b")), 1, 4, |k| matches!(k, ProblemKind::NotContainer { .. }));
    refuses("a: {b: 1}\n", &one("a.@b.c"), 1, 4, |k| matches!(k, ProblemKind::NotContainer { .. }));
    refuses("a:\n\tb: 1\n", &one("a"), 2, 1, syntax);
    refuses("é: 1\nb: c: d\n", &one("a"), 2, 5, syntax);
    refuses("a: \"x\n", &one("a"), 2, 1, syntax);
    refuses("a: *nope\n", &one("a"), 1, 4, syntax);
    refuses("a: 1\n<<<<<<< HEAD\nb: 2\n=======\nb: 3\n>>>>>>> x\n", &one("a"), 2, 1, |k| *k == ProblemKind::ConflictMarkers);
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    refuses(&deep, &one("a"), 1, 130, unsupported);
}

#[test]
fn ends_and_line_breaks_are_kept() {
    removes("a: 1\n\nb: 2", "b", 0, "a: 1");
    removes("a: \nb: 2", "b", 0, "a: ");
    removes("a: |\n  x\nb: 2", "b", 0, "a: |\n  x");
    removes("a: |+\n  x\nb: 2\n\nc: 3\n", "b", 0, "a: |+\n  x\nc: 3\n");
    removes("x: 1\n: 2\n", "", 0, "x: 1\n");
    removes("&r\nk: 1\n", "k", 0, "&r {}\n");
    removes("--- !!map\nk: 1\n", "k", 0, "--- !!map {}\n");
    adds("a:\n  b: 1\r\nc: 2\n", "a.new", &1.into(), "a:\n  b: 1\r\n  new: 1\r\nc: 2\n");
    let unsupported = |k: &ProblemKind| matches!(k, ProblemKind::Unsupported(_));
    refuses("a: |+\n  x\nb: 2", &Op::remove(path("b")), 3, 1, unsupported);
    refuses("a: |+\n  x", &Op::set(path("b"), 1.into()), 2, 4, unsupported);
    let renamed = edit("- name: a\n", &Op::set(path("@a.name"), "b".into())).unwrap_err();
    assert!(unsupported(&renamed.kind), "{renamed}");
    let odd = edit("a: 1\n", &Op::set(path("b"), Value::Number("1_000".into()))).unwrap_err();
    assert!(unsupported(&odd.kind), "{odd}");
}

#[test]
fn laughs_are_bounded() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let list = vec![format!("*a{}", i - 1); 10].join(", ");
        writeln!(text, "a{i}: &a{i} [{list}]").unwrap();
    }
    let document = Document::parse(&text, Format::Yaml).unwrap();
    assert!(matches!(document.get(&Path::default()).unwrap_err().kind, ProblemKind::Unsupported(_)));
    assert!(document.get(&path("a0")).unwrap().is_some());
}

#[test]
fn members_are_listed_in_order() {
    let names = |text: &str, at: &str, field: Option<&str>| {
        let document = Document::parse(text, Format::Yaml).unwrap();
        document.members(&path(at), field).unwrap().map(|all| {
            all.into_iter().map(|m| (m.name, text[m.name_span].to_owned(), text[m.node.span].to_owned())).collect::<Vec<_>>()
        })
    };
    let goose = names(GOOSE, "extensions", None).unwrap();
    assert_eq!(goose.iter().map(|(n, _, _)| n.as_str()).collect::<Vec<_>>(), ["developer", "memory"]);
    let list = names(CONTINUE, "mcpServers", Some("name")).unwrap();
    assert_eq!(list[1].0, "web");
    assert_eq!(list[1].1, "web");
    assert!(list[1].2.starts_with("name: web") && list[1].2.ends_with("/mcp"), "{list:?}");
    assert_eq!(names("a:\n", "a", None), Some(vec![]));
    assert_eq!(names("a:\n", "b", None), None);
    assert_eq!(names("a: {b: 1, \"b\": 2}\n", "a", None).unwrap().len(), 2);
}
