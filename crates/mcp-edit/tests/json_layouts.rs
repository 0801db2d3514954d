//! What an edit looks like in each layout, byte for byte.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use mcp_edit::{Document, Format, Op, Path, ProblemKind, Step, Value};

fn apply(text: &str, op: Op) -> String {
    let document = Document::parse(text, Format::Json).unwrap();
    let edit = document.plan(&[op]).unwrap_or_else(|problem| panic!("{problem} in {text:?}"));
    edit.apply(text)
}

fn path(dotted: &str) -> Path {
    Path::keys(dotted.split('.'))
}

fn one(key: &str) -> Value {
    Value::object([(key, Value::from(1))])
}

fn server() -> Value {
    Value::object([
        ("command", Value::from("npx")),
        ("args", Value::strings(["-y", "x"])),
        ("env", Value::object([("K", Value::from("v"))])),
    ])
}

#[track_caller]
fn set(before: &str, at: &str, value: Value, after: &str) {
    assert_eq!(apply(before, Op::set(path(at), value)), after);
}

/// As [`set`], and taking it out again leaves no trace.
#[track_caller]
fn insert(before: &str, at: &str, value: Value, after: &str) {
    set(before, at, value, after);
    assert_eq!(apply(after, Op::remove(path(at))), before, "and back");
}

#[track_caller]
fn remove(before: &str, at: &str, after: &str) {
    assert_eq!(apply(before, Op::remove(path(at))), after);
}

#[test]
fn a_text_without_a_document_gets_one() {
    let document = "{\n  \"s\": {\n    \"a\": {\n      \"x\": 1\n    }\n  }\n}";
    for (before, lead, end) in [
        ("", "", "\n"),
        ("\u{feff}", "", "\n"),
        ("\n", "", "\n"),
        ("// mine\n", "", "\n"),
        ("// mine", "\n", ""),
        ("/* mine */", "\n", ""),
    ] {
        set(before, "s.a", one("x"), &format!("{before}{lead}{document}{end}"));
    }
    set("// mine\r\n", "a", Value::from(1), "// mine\r\n{\r\n  \"a\": 1\r\n}\r\n");
}

#[test]
fn empty_containers() {
    insert("{}", "a", Value::from(1), "{\n  \"a\": 1\n}");
    insert("{}\n", "a", Value::from(1), "{\n  \"a\": 1\n}\n");
    set("{ }", "a", Value::from(1), "{\n  \"a\": 1\n}");
    set("{\n}\n", "a", Value::from(1), "{\n  \"a\": 1\n}\n");
    set("{\r\n\r\n}\r\n", "a", Value::from(1), "{\r\n  \"a\": 1\r\n}\r\n");
    insert("{\n\t\"s\": {}\n}", "s.a", one("x"), "{\n\t\"s\": {\n\t\t\"a\": {\n\t\t\t\"x\": 1\n\t\t}\n\t}\n}");
    insert("{\"s\":{}}", "s.a", one("x"), "{\"s\":{\"a\":{\"x\":1}}}");
    insert("{ \"s\": {} }", "s.a", one("x"), "{ \"s\": { \"a\": { \"x\": 1 } } }");
    insert("{\n  // c\n}\n", "a", Value::from(1), "{\n  // c\n  \"a\": 1\n}\n");
    insert("{ // c\n}\n", "a", Value::from(1), "{ // c\n  \"a\": 1\n}\n");
    insert("{ /* c */ }\n", "a", Value::from(1), "{ /* c */ \"a\": 1 }\n");
    insert("{\n    // c\n\n}\n", "a", Value::from(1), "{\n    // c\n    \"a\": 1\n\n}\n");
}

#[test]
fn a_new_entry_looks_as_its_neighbours_do() {
    insert(
        "{\n  \"s\": {\n    \"t\": {\n      \"command\": \"u\",\n      \"args\": [\"a\"],\n      \"env\": { \"A\": \"b\" }\n    }\n  }\n}\n",
        "s.n",
        server(),
        "{\n  \"s\": {\n    \"t\": {\n      \"command\": \"u\",\n      \"args\": [\"a\"],\n      \"env\": { \"A\": \"b\" }\n    },\n    \"n\": {\n      \
         \"command\": \"npx\",\n      \"args\": [\"-y\", \"x\"],\n      \"env\": { \"K\": \"v\" }\n    }\n  }\n}\n",
    );
    insert(
        "{\r\n\t\"s\" : {\r\n\t\t\"t\" : {\r\n\t\t\t\"args\" : [\r\n\t\t\t\t\"a\"\r\n\t\t\t]\r\n\t\t}\r\n\t}\r\n}",
        "s.n",
        Value::object([("args", Value::strings(["-y", "x"]))]),
        "{\r\n\t\"s\" : {\r\n\t\t\"t\" : {\r\n\t\t\t\"args\" : [\r\n\t\t\t\t\"a\"\r\n\t\t\t]\r\n\t\t},\r\n\t\t\"n\" : {\r\n\t\t\t\"args\" : [\r\n\t\t\t\t\"-y\",\r\n\t\t\t\t\"x\"\r\n\t\t\t]\r\n\t\t}\r\n\t}\r\n}",
    );
    insert(
        "{\n  \"s\": {\n    \"t\": { \"command\": \"u\" }\n  }\n}\n",
        "s.n",
        server(),
        "{\n  \"s\": {\n    \"t\": { \"command\": \"u\" },\n    \"n\": { \"command\": \"npx\", \"args\": [\"-y\", \"x\"], \"env\": { \"K\": \"v\" } }\n  }\n}\n",
    );
    insert(
        "{\"a\":1,\"b\":2}",
        "c",
        server(),
        "{\"a\":1,\"b\":2,\"c\":{\"command\":\"npx\",\"args\":[\"-y\",\"x\"],\"env\":{\"K\":\"v\"}}}",
    );
    set(
        "{\n    \"a\": 1\n}",
        "s.t",
        one("x"),
        "{\n    \"a\": 1,\n    \"s\": {\n        \"t\": {\n            \"x\": 1\n        }\n    }\n}",
    );
}

#[test]
fn made_containers_go_when_asked_to() {
    let before = "{\n    \"a\": 1\n}";
    let after = apply(before, Op::set(path("s.t.u"), Value::from(1)));
    assert_eq!(apply(&after, Op::Remove { path: path("s.t.u"), prune: 1 }), "{\n    \"a\": 1,\n    \"s\": {}\n}");
    assert_eq!(apply(&after, Op::Remove { path: path("s.t.u"), prune: 2 }), before);
    assert_eq!(apply(&after, Op::Remove { path: path("s.t.u"), prune: 9 }), before);
    let kept = "{\n  \"s\": {\n    // mine\n    \"t\": 1\n  }\n}\n";
    assert_eq!(apply(kept, Op::Remove { path: path("s.t"), prune: 1 }), "{\n  \"s\": {\n    // mine\n  }\n}\n");
}

#[test]
fn comments_stay_with_their_member() {
    insert("{\n  \"a\": 1 // note\n}\n", "b", Value::from(2), "{\n  \"a\": 1, // note\n  \"b\": 2\n}\n");
    insert("{\n  \"a\": 1, // note\n}\n", "b", Value::from(2), "{\n  \"a\": 1, // note\n  \"b\": 2,\n}\n");
    insert("{\n  \"a\": 1\n  // \"old\": 0\n}\n", "b", Value::from(2), "{\n  \"a\": 1,\n  \"b\": 2\n  // \"old\": 0\n}\n");
    insert(
        "{\n  \"a\": 1 /* x */ // y\n  /* z */ }",
        "b",
        Value::from(2),
        "{\n  \"a\": 1, /* x */ // y\n  \"b\": 2\n  /* z */ }",
    );
    insert("{\"a\": 1 // x\n}", "b", Value::from(2), "{\"a\": 1, // x\n  \"b\": 2\n}");
    insert("{\"a\": 1 /* x */}", "b", Value::from(2), "{\"a\": 1, /* x */ \"b\": 2}");
    insert("{ \"a\": 1,\n  \"b\": 2 }\n", "c", Value::from(3), "{ \"a\": 1,\n  \"b\": 2,\n  \"c\": 3 }\n");
    insert("{\n  \"a\": 1,  \n}", "b", Value::from(2), "{\n  \"a\": 1,  \n  \"b\": 2,\n}");
    insert("{\n  \"a\": 1\n\n}", "b", Value::from(2), "{\n  \"a\": 1,\n  \"b\": 2\n\n}");
}

#[test]
fn a_member_goes_with_its_line_and_the_comment_on_it() {
    let text = "{\n  // above\n  \"a\": 1, // one\n  \"b\": 2, /* two */\n  // last\n  \"c\": 3 // three\n}\n";
    remove(text, "a", "{\n  // above\n  \"b\": 2, /* two */\n  // last\n  \"c\": 3 // three\n}\n");
    remove(text, "b", "{\n  // above\n  \"a\": 1, // one\n  // last\n  \"c\": 3 // three\n}\n");
    remove(text, "c", "{\n  // above\n  \"a\": 1, // one\n  \"b\": 2 /* two */\n  // last\n}\n");
    let line = "{ \"a\": 1, \"b\": 2, \"c\": 3 }";
    remove(line, "a", "{ \"b\": 2, \"c\": 3 }");
    remove(line, "b", "{ \"a\": 1, \"c\": 3 }");
    remove(line, "c", "{ \"a\": 1, \"b\": 2 }");
    remove("{ \"a\": 1, }", "a", "{}");
    remove("{ \"a\": 1, \"b\": 2, }", "b", "{ \"a\": 1, }");
    remove("{\"a\": 1, /* b's */ \"b\": 2}", "a", "{/* b's */ \"b\": 2}");
    remove("{\n  \"a\": 1, \"b\": 2,\n  \"c\": 3\n}", "a", "{\n  \"b\": 2,\n  \"c\": 3\n}");
    remove("{\n  \"a\": 1, \"b\": 2,\n  \"c\": 3\n}", "b", "{\n  \"a\": 1,\n  \"c\": 3\n}");
    remove("{// c\n\"a\": 1 }", "a", "{// c\n}");
    remove("{\n  \"a\": 1\n  // why\n  , \"b\": 2\n}", "a", "{\n  // why\n   \"b\": 2\n}");
    remove("{\n  \"a\": {\n    \"x\": 1\n  },\n  \"b\": 2\n}\n", "a", "{\n  \"b\": 2\n}\n");
}

#[test]
fn a_value_is_replaced_alone_and_an_object_member_by_member() {
    set("{\"a\" :  1 /* c */}", "a", Value::from("x"), "{\"a\" :  \"x\" /* c */}");
    set("{\"a\": 1}", "a", Value::from(1), "{\"a\": 1}");
    set("{\"a\": [1,2]}", "a", Value::strings(["x"]), "{\"a\": [\"x\"]}");
    set("{\n  \"a\": [\n    1\n  ]\n}", "a", Value::strings(["x", "y"]), "{\n  \"a\": [\n    \"x\",\n    \"y\"\n  ]\n}");
    set("{\n  \"a\": null\n}", "a.b", one("x"), "{\n  \"a\": {\n    \"b\": {\n      \"x\": 1\n    }\n  }\n}");
    let before = "{\n  \"s\": {\n    \"t\": {\n      // which one\n      \"command\": \"old\", // was new\n      \"gone\": 1,\n      \"args\": [\"-y\", \"x\"], // same\n      \
                  \"env\": {\n        // secret\n        \"K\": \"w\"\n      }\n    }\n  }\n}\n";
    let mut wanted = server();
    if let Value::Object(members) = &mut wanted {
        members.push(("timeout".to_owned(), Value::from(5)));
    }
    set(
        before,
        "s.t",
        wanted,
        "{\n  \"s\": {\n    \"t\": {\n      // which one\n      \"command\": \"npx\", // was new\n      \"args\": [\"-y\", \"x\"], // same\n      \
         \"env\": {\n        // secret\n        \"K\": \"v\"\n      },\n      \"timeout\": 5\n    }\n  }\n}\n",
    );
}

#[test]
fn a_new_root_is_merged_into_the_old_one() {
    let set_root = |text: &str, value: Value| apply(text, Op::set(Path::default(), value));
    assert_eq!(set_root("{ /* c */ \"a\": 1 }\r\n", Value::object([("a", one("x"))])), "{ /* c */ \"a\": {\"x\": 1} }\r\n");
    assert_eq!(set_root("{ // c\r\n}", one("x")), "{ // c\r\n  \"x\": 1\r\n}");
    assert_eq!(set_root("{}\r\n", one("x")), "{\r\n  \"x\": 1\r\n}\r\n");
    assert_eq!(set_root("[1] // c", Value::Null), "null // c");
}

#[test]
fn an_added_field_is_laid_out_as_in_the_entries_beside_it() {
    set(
        "{\n  \"s\": {\n    \"t\": {\n      \"env\": { \"A\": \"b\" }\n    },\n    \"n\": {\n      \"x\": 1\n    }\n  }\n}\n",
        "s.n",
        Value::object([("x", Value::from(1)), ("env", Value::object([("K", Value::from("v"))]))]),
        "{\n  \"s\": {\n    \"t\": {\n      \"env\": { \"A\": \"b\" }\n    },\n    \"n\": {\n      \"x\": 1,\n      \"env\": { \"K\": \"v\" }\n    }\n  }\n}\n",
    );
}

#[test]
fn elements_of_a_list_are_found_by_name() {
    let step = |name: &str| Step::Item { field: "name".to_owned(), value: name.to_owned() };
    let element = |name: &str| Value::object([("name", Value::from(name)), ("x", Value::from(1))]);
    let text = "{\n  \"s\": [\n    { \"name\": \"a\", \"x\": 0 }\n  ]\n}\n";
    let list = path("s");
    let after = apply(text, Op::set(list.step(step("b")), element("b")));
    assert_eq!(after, "{\n  \"s\": [\n    { \"name\": \"a\", \"x\": 0 },\n    { \"name\": \"b\", \"x\": 1 }\n  ]\n}\n");
    assert_eq!(apply(&after, Op::remove(list.step(step("b")))), text);
    assert_eq!(apply(text, Op::set(list.step(step("a")), element("a"))), text.replace('0', "1"));
    let made = apply("{\n}\n", Op::set(list.step(step("a")).key("x"), Value::from(1)));
    assert_eq!(made, "{\n  \"s\": [\n    {\n      \"name\": \"a\",\n      \"x\": 1\n    }\n  ]\n}\n");
    let document = Document::parse(&after, Format::Json).unwrap();
    let members = document.members(&list, Some("name")).unwrap().unwrap();
    assert_eq!(
        members.iter().map(|m| (m.name.as_str(), &after[m.name_span.clone()])).collect::<Vec<_>>(),
        [("a", "\"a\""), ("b", "\"b\"")]
    );
    let hugging = "[{\n  \"name\": \"a\"\n}, {\n  \"name\": \"b\"\n}]\n";
    let after = apply(hugging, Op::set(Path::default().step(step("c")), Value::object([("name", Value::from("c"))])));
    assert_eq!(after, "[{\n  \"name\": \"a\"\n}, {\n  \"name\": \"b\"\n}, {\n  \"name\": \"c\"\n}]\n");
}

#[test]
fn a_doubled_key_is_refused_where_it_stands_a_second_time() {
    let refused = |text: &str, op: Op| {
        let problem = Document::parse(text, Format::Json).unwrap().plan(&[op]).unwrap_err();
        let ProblemKind::DuplicateKey(key) = problem.kind else { panic!("{problem}") };
        (key, problem.place.unwrap().offset)
    };
    let escaped = "{\"mcp\\u0053ervers\": {}, \"mcpServers\": {}}";
    assert_eq!(refused(escaped, Op::set(path("mcpServers.a"), one("x"))), ("mcpServers".to_owned(), 24));
    assert_eq!(refused("{\"a\": 1, \"a\": 2}", Op::remove(path("a"))), ("a".to_owned(), 9));
    assert_eq!(refused("{\"s\": {\"a\": {\"x\": 1, \"x\": 2}}}", Op::set(path("s.a"), one("y"))), ("x".to_owned(), 21));
    // One that is not on the way is none of our business.
    set("{\"b\": 1, \"b\": 2}", "a", Value::from(1), "{\"b\": 1, \"b\": 2, \"a\": 1}");
    let text = "{\"b\": 1, \"b\": 2}";
    assert_eq!(Document::parse(text, Format::Json).unwrap().members(&Path::default(), None).unwrap().unwrap().len(), 2);
}

#[test]
fn what_cannot_hold_members_is_named() {
    let problem = |text: &str, op: Op| Document::parse(text, Format::Json).unwrap().plan(&[op]).unwrap_err();
    for (text, at, found) in [("[1]", "", "a list"), ("\"x\"", "", "a string"), ("{\"s\": 5}", "s", "a number")] {
        let kind = problem(text, Op::set(path("s.a"), one("x"))).kind;
        assert_eq!(problem(text, Op::remove(path("s.a"))).kind, kind);
        assert_eq!(kind, ProblemKind::NotContainer { path: at.to_owned(), found: found.to_owned(), wanted: "an object" });
    }
    let item = path("s").step(mcp_edit::Step::Item { field: "name".to_owned(), value: "x".to_owned() });
    let no_list = problem("{\"s\": {}}", Op::remove(item.clone()));
    assert_eq!(no_list.to_string(), "`s` is an object where a list was expected at 1:7");
    let named = "{\"s\": [{\"name\": \"x\"}]}";
    for op in [Op::set(item.key("name"), "y".into()), Op::set(item, one("name"))] {
        assert!(matches!(problem(named, op).kind, ProblemKind::Unsupported(_)));
    }
    assert!(matches!(problem("{}", Op::set(path("a"), Value::Number("0x10".into()))).kind, ProblemKind::Unsupported(_)));
}

#[test]
fn values_are_read_as_they_are_written() {
    let text = r#"{"n": 12345678901234567890, "lone": "a\ud800b", "pair": "\ud83d\ude00", "mcp\u0053ervers": 0.50}"#;
    let document = Document::parse(text, Format::Json).unwrap();
    let get = |key: &str| document.get(&path(key)).unwrap().unwrap().value;
    assert_eq!(get("n"), Value::Number("12345678901234567890".into()));
    assert_eq!(get("lone"), Value::from("a\u{fffd}b"));
    assert_eq!(get("pair"), Value::from("\u{1f600}"));
    assert_eq!(get("mcpServers"), Value::Number("0.50".into()));
    assert_eq!(document.get(&path("x.y")).unwrap(), None);
    set(text, "new", Value::from(1), &text.replace('}', ", \"new\": 1}"));
}

#[test]
fn a_million_levels_beside_the_edit_do_no_harm() {
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let text = format!("{{\n  \"deep\": {deep},\n  \"s\": {{}}\n}}\n");
    let after = apply(&text, Op::set(path("s.a"), Value::from(1)));
    assert!(after.ends_with("]],\n  \"s\": {\n    \"a\": 1\n  }\n}\n"));
    let document = Document::parse(&text, Format::Json).unwrap();
    assert!(matches!(document.get(&path("deep")).unwrap_err().kind, ProblemKind::Unsupported(_)));
    assert_eq!(apply(&text, Op::set(path("deep"), Value::from(1))), text.replace(&deep, "1"));
    assert_eq!(apply(&text, Op::remove(path("deep"))), "{\n  \"s\": {}\n}\n");
}

#[test]
fn several_operations_make_one_edit() {
    let text = "{\n  \"a\": 1, // one\n  \"b\": \"text\",\n  \"s\": { \"old\": {} }\n}\n";
    let ops = [
        Op::set(path("b"), Value::object([("c", one("x"))])),
        Op::set(path("b.c.y"), Value::from(2)),
        Op::Remove { path: path("s.old"), prune: 1 },
        Op::set(path("s.new"), one("x")),
        Op::remove(path("a")),
    ];
    let edit = Document::parse(text, Format::Json).unwrap().plan(&ops).unwrap();
    let after = edit.apply(text);
    let pretty = "{\n  \"b\": { \"c\": { \"x\": 1, \"y\": 2 } },\n  \"s\": {\n    \"new\": {\n      \"x\": 1\n    }\n  }\n}\n";
    assert_eq!(after, pretty);
    assert_eq!(edit.inverse(text).apply(&after), text);
    let document = Document::parse(text, Format::Json).unwrap();
    assert!(document.plan(&[Op::set(path("q"), Value::from(1)), Op::remove(path("q"))]).unwrap().is_empty());
}
