//! Exact texts: what every layout of TOML becomes.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use mcp_edit::{Document, Format, Op, Path, Problem, ProblemKind, Step, Value};

fn path(dotted: &str) -> Path {
    Path(dotted.split('.').map(step).collect())
}

/// `key`, or `field=value` for an element of a list.
fn step(text: &str) -> Step {
    match text.split_once('=') {
        Some((field, value)) => Step::Item { field: field.into(), value: value.into() },
        None => Step::Key(text.into()),
    }
}

/// A value from TOML text.
fn value(toml: &str) -> Value {
    let text = format!("v = {toml}");
    Document::parse(&text, Format::Toml).unwrap().get(&path("v")).unwrap().unwrap().value
}

fn set(at: &str, toml: &str) -> Op {
    Op::set(path(at), value(toml))
}

fn remove(at: &str, prune: usize) -> Op {
    Op::Remove { path: path(at), prune }
}

fn plan(text: &str, op: &Op) -> Result<String, Problem> {
    let document = Document::parse(text, Format::Toml)?;
    Ok(document.plan(std::slice::from_ref(op))?.apply(text))
}

/// `op` makes `after` of `before`, a second time nothing, and its inverse makes `before` of `after`.
#[track_caller]
fn check(before: &str, op: &Op, after: &str) {
    let document = Document::parse(before, Format::Toml).unwrap();
    let edit = document.plan(std::slice::from_ref(op)).unwrap_or_else(|problem| panic!("{problem}\n{op:?}\n{before}"));
    let have = edit.apply(before);
    assert!(have == after, "--- have\n{have}\n--- want\n{after}\n--- {have:?}");
    assert_eq!(edit.inverse(before).apply(&have), before);
    assert_eq!(plan(after, op).unwrap(), after, "a second time changes nothing");
}

/// `set` makes `after` of `before`, and taking the same place away gives `before` back.
#[track_caller]
fn there_and_back(before: &str, at: &str, toml: &str, prune: usize, after: &str) {
    check(before, &set(at, toml), after);
    check(after, &remove(at, prune), before);
}

const ENTRY: &str = r#"{ command = "npx", args = ["-y", "s"], env = { K = "v" } }"#;

mod new_entries {
    use super::*;

    #[test]
    fn into_an_empty_file_as_codex_itself_would() {
        let after = "[mcp_servers.s]\ncommand = \"npx\"\nargs = [\"-y\", \"s\"]\n\n[mcp_servers.s.env]\nK = \"v\"\n";
        there_and_back("", "mcp_servers.s", ENTRY, 1, after);
        there_and_back("\u{feff}", "mcp_servers.s", ENTRY, 1, &format!("\u{feff}{after}"));
        there_and_back("# mine\n", "mcp_servers.s", ENTRY, 1, &format!("# mine\n\n{after}"));
        there_and_back("\n\n", "mcp_servers.s", ENTRY, 1, &format!("{after}\n\n\n"));
    }

    #[test]
    fn behind_everything_when_there_is_none_yet() {
        let base = "model = \"fake\"\n# a comment that must survive\n[model_providers.fake]\nname = \"fake\"\n";
        there_and_back(base, "mcp_servers.s", "{ url = 'x' }", 1, &format!("{base}[mcp_servers.s]\nurl = \"x\"\n"));
        let base = "model = \"fake\"\n\n[features]\na = true\n";
        there_and_back(base, "mcp_servers.s", "{ url = 'x' }", 1, &format!("{base}\n[mcp_servers.s]\nurl = \"x\"\n"));
    }

    #[test]
    fn no_final_newline_stays_so() {
        there_and_back("a = 1", "mcp_servers.s", "{ url = 'x' }", 1, "a = 1\n\n[mcp_servers.s]\nurl = \"x\"");
        there_and_back("a = 1", "b", "2", 0, "a = 1\nb = 2");
        there_and_back("[a]", "a.b", "2", 0, "[a]\nb = 2");
        there_and_back("a = 1\r\n[t]", "m.s", "{ url = 'x' }", 1, "a = 1\r\n[t]\r\n[m.s]\r\nurl = \"x\"");
    }

    #[test]
    fn behind_the_last_sibling_and_its_tables() {
        let head = "[mcp_servers.a]\ncommand = \"a\"\n\n[mcp_servers.a.env]\nX = \"1\"\n";
        let tail = "\n# about the next\n[next]\ny = 1\n";
        let new = "\n[mcp_servers.s]\ncommand = \"npx\"\nargs = [\"-y\", \"s\"]\n\n[mcp_servers.s.env]\nK = \"v\"\n";
        there_and_back(&format!("{head}{tail}"), "mcp_servers.s", ENTRY, 0, &format!("{head}{new}{tail}"));
    }

    #[test]
    fn a_comment_goes_with_the_header_it_stands_above() {
        let before = "[m.a]\ncommand = \"a\"\n# about the next\n[next]\ny = 1\n";
        let after = "[m.a]\ncommand = \"a\"\n[m.s]\ncommand = \"s\"\n# about the next\n[next]\ny = 1\n";
        there_and_back(before, "m.s", "{ command = 's' }", 0, after);
        let before = "[m.a]\ncommand = \"a\"\n# still about a\n\n[next]\ny = 1\n";
        let after = "[m.a]\ncommand = \"a\"\n# still about a\n\n[m.s]\ncommand = \"s\"\n\n[next]\ny = 1\n";
        there_and_back(before, "m.s", "{ command = 's' }", 0, after);
    }

    #[test]
    fn env_is_written_as_the_siblings_write_it() {
        for (theirs, ours) in [("env = { X = \"1\" }", "env = { K = \"v\" }"), ("env.X = \"1\"", "env.K = \"v\"")] {
            let before = format!("[m.a]\ncommand = \"a\"\n{theirs}\n");
            let after = format!("{before}\n[m.s]\ncommand = \"npx\"\nargs = [\"-y\", \"s\"]\n{ours}\n");
            there_and_back(&before, "m.s", ENTRY, 0, &after);
        }
    }

    #[test]
    fn inline_among_inline() {
        let head = "[mcp_servers]\na = { command = \"a\" } # first\n";
        let new = "s = { command = \"npx\", args = [\"-y\", \"s\"], env = { K = \"v\" } }\n";
        let tail = "\n[next]\n";
        there_and_back(&format!("{head}{tail}"), "mcp_servers.s", ENTRY, 0, &format!("{head}{new}{tail}"));
        let before = "mcp_servers = { a = { command = \"a\" } }";
        let after = "mcp_servers = { a = { command = \"a\" }, s = { url = \"x\" } }";
        there_and_back(before, "mcp_servers.s", "{ url = 'x' }", 0, after);
        there_and_back("m = {}\n", "m.s", "{ url = 'x' }", 0, "m = { s = { url = \"x\" } }\n");
        there_and_back("m = { }\n", "m.s", "{ url = 'x' }", 0, "m = {s = { url = \"x\" } }\n");
    }

    #[test]
    fn dotted_among_dotted() {
        let head = "mcp_servers.a.command = \"a\"\n";
        let new = "mcp_servers.s.command = \"npx\"\nmcp_servers.s.args = [\"-y\", \"s\"]\nmcp_servers.s.env.K = \"v\"\n";
        let tail = "other = 1\n\n[next]\n";
        there_and_back(&format!("{head}{tail}"), "mcp_servers.s", ENTRY, 0, &format!("{head}{new}{tail}"));
        let before = "[mcp_servers]\na.command = \"a\"\n";
        there_and_back(before, "mcp_servers.s", "{ url = 'x' }", 0, &format!("{before}s.url = \"x\"\n"));
        let before = "mcp_servers.a = { command = \"a\" }\n";
        there_and_back(before, "mcp_servers.s", "{ url = 'x' }", 0, &format!("{before}mcp_servers.s = {{ url = \"x\" }}\n"));
    }

    #[test]
    fn below_an_empty_parent_header() {
        there_and_back("[m]\n\n[z]\n", "m.s", "{ url = 'x' }", 0, "[m]\n\n[m.s]\nurl = \"x\"\n\n[z]\n");
    }

    #[test]
    fn names_are_quoted_when_they_must_be() {
        let op = Op::set(Path::keys(["m", "a.b"]), value("{ url = 'x' }"));
        check("", &op, "[m.\"a.b\"]\nurl = \"x\"\n");
        check("[m.z]\n", &Op::set(Path::keys(["m", ""]), value("{}")), "[m.z]\n\n[m.\"\"]\n");
    }

    #[test]
    fn crlf_and_tight_equals_and_indentation_are_taken_over() {
        let before = "[m]\r\n\r\n  [m.a]\r\n  command=\"a\"\r\n";
        let after = "[m]\r\n\r\n  [m.a]\r\n  command=\"a\"\r\n\r\n  [m.s]\r\n  url=\"x\"\r\n";
        there_and_back(before, "m.s", "{ url = 'x' }", 0, after);
    }

    #[test]
    fn arrays_of_tables() {
        let head = "[[mcp_servers]]\nname = \"a\"\n\n[mcp_servers.env]\nX = \"1\"\n";
        let new = "\n[[mcp_servers]]\nname = \"s\"\nurl = \"x\"\n\n[mcp_servers.env]\nK = \"v\"\n";
        let entry = "{ name = 's', url = 'x', env = { K = 'v' } }";
        there_and_back(&format!("{head}\n[z]\n"), "mcp_servers.name=s", entry, 0, &format!("{head}{new}\n[z]\n"));
        let one = "[[mcp_servers]]\nname = \"s\"\nurl = \"x\"\n";
        there_and_back("", "mcp_servers.name=s", "{ name = 's', url = 'x' }", 1, one);
        check("", &set("mcp_servers.name=s.url", "'x'"), one);
    }

    #[test]
    fn inline_elements() {
        let before = "m = [\n  { name = \"a\" }, # first\n  { name = \"b\" } # last\n]\n";
        let after = "m = [\n  { name = \"a\" }, # first\n  { name = \"b\" }, # last\n  { name = \"c\" }\n]\n";
        there_and_back(before, "m.name=c", "{ name = 'c' }", 0, after);
        let before = "m = [\r\n\t{ name = \"a\" },\r\n]\r\n";
        let after = "m = [\r\n\t{ name = \"a\" },\r\n\t{ name = \"c\" },\r\n]\r\n";
        there_and_back(before, "m.name=c", "{ name = 'c' }", 0, after);
        there_and_back("m = []\n", "m.name=c", "{ name = 'c' }", 0, "m = [{ name = \"c\" }]\n");
    }
}

mod fields {
    use super::*;

    #[test]
    fn a_value_is_replaced_and_nothing_else() {
        check("[m.a]\nx  =  1 # why\r\n", &set("m.a.x", "true"), "[m.a]\nx  =  true # why\r\n");
        check("m.a = { x=1 }", &set("m.a.x", "'y'"), "m.a = { x=\"y\" }");
        check("a = [ 1, # one\n 2 ]\n", &set("a", "[1, 2]"), "a = [ 1, # one\n 2 ]\n");
        check("a = [ 1, # one\n 2 ]\n", &set("a", "[3]"), "a = [3]\n");
        check("a = '''x\ny''' # c\nb = 1\n", &set("a", "'z'"), "a = \"z\" # c\nb = 1\n");
    }

    #[test]
    fn a_new_field_follows_the_last_one() {
        let before = "[m.a]\ncommand = \"a\" # c\n# note\n\n[m.a.env]\nX = \"1\"\n\n[z]\n";
        let after = "[m.a]\ncommand = \"a\" # c\nenabled = false\n# note\n\n[m.a.env]\nX = \"1\"\n\n[z]\n";
        there_and_back(before, "m.a.enabled", "false", 0, after);
        let after = "[m.a]\ncommand = \"a\" # c\n# note\n\n[m.a.env]\nX = \"1\"\nK = \"v\"\n\n[z]\n";
        there_and_back(before, "m.a.env.K", "'v'", 0, after);
        let after = "[m.a]\ncommand = \"a\" # c\n# note\n\n[m.a.env]\nX = \"1\"\n\n[m.a.h]\nK = \"v\"\n\n[z]\n";
        there_and_back(before, "m.a.h.K", "'v'", 1, after);
    }

    #[test]
    fn in_every_layout() {
        there_and_back("m.a.c = \"a\"\nz = 1\n", "m.a.on", "true", 0, "m.a.c = \"a\"\nm.a.on = true\nz = 1\n");
        there_and_back("m.a.c = \"a\"\nz = 1\n", "m.a.env.K", "1", 1, "m.a.c = \"a\"\nm.a.env.K = 1\nz = 1\n");
        there_and_back("[m]\na = { c = 1 }\n", "m.a.on", "true", 0, "[m]\na = { c = 1, on = true }\n");
        there_and_back("[m]\na = { c = 1 }\n", "m.a.env.K", "1", 1, "[m]\na = { c = 1, env = { K = 1 } }\n");
        there_and_back("a = { b.c = 1, d = 2 }\n", "a.b.e", "3", 0, "a = { b.c = 1, d = 2, b.e = 3 }\n");
        there_and_back("[t]\nx = 1\n", "y", "2", 0, "y = 2\n\n[t]\nx = 1\n");
        there_and_back("# top\n\n# of t\n[t]\nx = 1\n", "y", "2", 0, "# top\n\ny = 2\n\n# of t\n[t]\nx = 1\n");
        there_and_back("# top\n", "y", "2", 0, "# top\ny = 2\n");
        let two = "[[l]]\nn = \"a\"\n\n[[l]]\nn = \"b\"\n";
        there_and_back(two, "l.n=a.x", "1", 0, "[[l]]\nn = \"a\"\nx = 1\n\n[[l]]\nn = \"b\"\n");
        check("# of a\n[m.a]\nx = 1\n", &set("m.on", "true"), "[m]\non = true\n\n# of a\n[m.a]\nx = 1\n");
    }

    #[test]
    fn a_whole_entry_over_another_keeps_what_is_the_same() {
        let before = "[m.a]\n# how\ncommand = 'npx' # here\nold = 1\n\n# its env\n[m.a.env]\nX = \"1\" # x\nY = \"2\"\n\n[z]\n";
        let after = "[m.a]\n# how\ncommand = 'npx' # here\nargs = []\n\n# its env\n[m.a.env]\nX = \"1\" # x\nZ = \"3\"\n\n[z]\n";
        check(before, &set("m.a", "{ command = 'npx', args = [], env = { X = '1', Z = '3' } }"), after);
    }

    #[test]
    fn one_kind_over_another() {
        check("[a.b]\nx = 1\n\n[c]\n", &set("a.b", "1"), "[c]\n\n[a]\nb = 1\n");
        check("a = 1\n", &set("a", "{ x = 1 }"), "a = { x = 1 }\n");
        check("a.x = 1\nb = 2\n", &set("a", "{ y = 1 }"), "a.y = 1\nb = 2\n");
        check("[a]\nx = 1\n", &set("a", "{}"), "[a]\n");
        check("[[l]]\nn = 1\n\n[[l]]\nn = 2\n", &set("l", "[{ n = 3 }]"), "[[l]]\nn = 3\n");
        check("[[l]]\nn = 1\n", &set("l", "[1]"), "l = [1]\n");
    }

    #[test]
    fn strings_are_written_so_that_they_read_well() {
        let cases = [
            ("plain", r#""plain""#),
            (r"C:\x", r"'C:\x'"),
            (r#"say "hi""#, r#"'say "hi"'"#),
            (r#"it's "x""#, r#""it's \"x\"""#),
            ("a\tb\\\u{1}\u{7f}\n", r#""a\tb\\\u0001\u007f\n""#),
        ];
        for (text, written) in cases {
            check("", &Op::set(path("k"), Value::from(text)), &format!("k = {written}\n"));
        }
    }

    #[test]
    fn numbers_are_verbatim_or_refused() {
        for good in ["1", "-0", "1e3", "0.50", "9223372036854775807", "+inf", "1_000", "0xFF"] {
            check("", &Op::set(path("k"), Value::Number(good.into())), &format!("k = {good}\n"));
        }
        for bad in ["01", "1.", ".5", "9223372036854775808", "1e999", "true", "1 # x", "0x", "", "1979-05-27"] {
            let problem = plan("", &Op::set(path("k"), Value::Number(bad.into()))).unwrap_err();
            assert!(matches!(problem.kind, ProblemKind::Unsupported(_)), "{bad}: {problem}");
        }
    }
}

mod removal {
    use super::*;

    #[test]
    fn a_line_with_its_comment_goes_and_the_one_above_stays() {
        check("[a]\n# above\nx = 1 # same\ny = 2\n", &remove("a.x", 0), "[a]\n# above\ny = 2\n");
        check("[a]\nx = [\n  1,\n]\ny = 2", &remove("a.x", 0), "[a]\ny = 2");
        check("[a]\nx = 1\ny = 2", &remove("a.y", 0), "[a]\nx = 1");
    }

    #[test]
    fn every_scattered_part_goes() {
        let before = "k = 1\n\n[m.a.env]\nX = \"1\"\n\n[z]\nq = 1\n\n# of a\n[m.a]\nc = 1\n# tail\n\n[m.b]\nd = 1\n\n[m.a.tools.x]\nok = 1\n";
        check(before, &remove("m.a", 1), "k = 1\n\n[z]\nq = 1\n\n# of a\n\n[m.b]\nd = 1\n");
        check("m.a.x = 1\nz = 1\nm.a.y = 2\nm.b.x = 1\n", &remove("m.a", 1), "z = 1\nm.b.x = 1\n");
        check("m = { a.x = 1, b = 2, a.y = 3 }\n", &remove("m.a", 1), "m = { b = 2 }\n");
        check("[m]\na = { x = 1 }\nb = {}\n", &remove("m.a", 1), "[m]\nb = {}\n");
    }

    #[test]
    fn what_precedes_the_next_header_stays() {
        check("[a]\nx = 1\n\n# b\n\n# is\n[b]\n", &remove("a", 0), "# b\n\n# is\n[b]\n");
        check("[z]\n\n[a]\nx = 1\n# b is\n[b]\n", &remove("a", 0), "[z]\n# b is\n[b]\n");
    }

    #[test]
    fn an_emptied_container_is_kept_unless_pruned() {
        let before = "k = 1\n\n[m.a]\nc = 1\n";
        check(before, &remove("m.a", 0), "k = 1\n\n[m]\n");
        check(before, &remove("m.a", 1), "k = 1\n");
        check(before, &remove("m.a.c", 0), "k = 1\n\n[m.a]\n");
        check(before, &remove("m.a.c", 1), "k = 1\n\n[m]\n");
        check("[m]\n\n[m.a]\nc = 1\n", &remove("m.a", 1), "");
        check("[m]\n\n[m.a]\nc = 1\n", &remove("m.a", 0), "[m]\n");
        check("m.a.c = 1\n", &remove("m.a", 0), "[m]\n");
        check("[[l]]\nn = \"a\"\n", &remove("l.n=a", 0), "l = []\n");
        check("[[l]]\nn = \"a\"\n", &remove("l.n=a", 1), "");
    }

    #[test]
    fn a_comment_in_a_pruned_table_stays() {
        check("[m]\n# my servers\n\n[m.a]\nc = 1\n", &remove("m.a", 1), "# my servers\n");
        check("x = 1\n\n[m.a]\n# why\nc = 1\n", &remove("m.a.c", 2), "x = 1\n# why\n");
        check("x = 1\n\n[m.a]\n# why\nc = 1\n", &remove("m.a", 2), "x = 1\n");
    }

    #[test]
    fn elements_of_lists() {
        let before = "[[l]]\nn = \"a\"\n\n[l.sub]\nx = 1\n\n[[l]]\nn = \"b\"\n";
        check(before, &remove("l.n=a", 0), "[[l]]\nn = \"b\"\n");
        check(before, &remove("l.n=b", 0), "[[l]]\nn = \"a\"\n\n[l.sub]\nx = 1\n");
        let list = "l = [{ n = \"a\" }, { n = \"b\" }, { n = \"c\" }]\n";
        check(list, &remove("l.n=a", 0), "l = [{ n = \"b\" }, { n = \"c\" }]\n");
        check(list, &remove("l.n=c", 0), "l = [{ n = \"a\" }, { n = \"b\" }]\n");
        check("l = [{ n = \"a\" }]\n", &remove("l.n=a", 1), "");
    }

    #[test]
    fn nothing_there_changes_nothing() {
        for at in ["q", "a.q", "l.n=q"] {
            check("[a]\nx = 1\n\n[[l]]\nn = 1\n", &remove(at, 3), "[a]\nx = 1\n\n[[l]]\nn = 1\n");
        }
    }
}

mod reading {
    use super::*;

    fn get(text: &str, at: &str) -> (Value, String) {
        let document = Document::parse(text, Format::Toml).unwrap();
        let node = document.get(&path(at)).unwrap().unwrap_or_else(|| panic!("{at} is there"));
        (node.value, text[node.span].to_owned())
    }

    #[test]
    fn every_layout_means_the_same() {
        let want = value("{ command = 'x', env = { K = 'v' } }");
        for text in [
            "[mcp_servers.s]\ncommand = 'x'\n[mcp_servers.s.env]\nK = 'v'\n",
            "[mcp_servers.s.env]\nK = 'v'\n[other]\n[mcp_servers.s]\ncommand = 'x'\n[mcp_servers]\n",
            "[mcp_servers]\ns = { command = 'x', env = { K = 'v' } }\n",
            "[mcp_servers]\ns.command = 'x'\ns.env.K = 'v'\n",
            "mcp_servers.s.command = 'x'\nmcp_servers.s.env = { K = 'v' }\n",
            "mcp_servers = { s = { command = 'x', env.K = 'v' } }\n",
            "\u{feff}[ mcp_servers . 's' ]\r\n\"command\" = \"\"\"\r\nx\"\"\"\r\nenv.K = '''v'''\r\n",
        ] {
            assert!(get(text, "mcp_servers.s").0.same(&want), "{text}");
        }
    }

    #[test]
    fn spans_and_spelling() {
        let text = "\u{feff}d = 1979-05-27 # day\nn = 1_000.5\n[[l]]\nn = 'a'\n[[l]]\nn = 'b'\n[l.t]\nx = [1, 0xFF]\n";
        assert_eq!(get(text, "d"), (Value::from("1979-05-27"), "1979-05-27".to_owned()));
        assert_eq!(get(text, "n"), (Value::Number("1_000.5".into()), "1_000.5".to_owned()));
        assert_eq!(get(text, "l.n=b.t.x").1, "[1, 0xFF]");
        assert_eq!(get(text, "l.n=b.t").1, "[l.t]");
        assert_eq!(get(text, "l.n=b").1, "[[l]]");
        let document = Document::parse(text, Format::Toml).unwrap();
        let members = document.members(&path("l"), Some("n")).unwrap().unwrap();
        let names: Vec<_> = members.iter().map(|m| (m.name.as_str(), &text[m.name_span.clone()])).collect();
        assert_eq!(names, [("a", "'a'"), ("b", "'b'")]);
        let members = document.members(&Path::default(), None).unwrap().unwrap();
        assert_eq!(members.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["d", "n", "l"]);
        assert_eq!(document.members(&path("none"), None).unwrap(), None);
    }

    #[test]
    fn a_way_through_a_scalar_is_a_problem() {
        let document = Document::parse("[a]\nx = 'y'\n", Format::Toml).unwrap();
        let problem = document.get(&path("a.x.z")).unwrap_err();
        let kind = ProblemKind::NotContainer { path: "a.x".into(), found: "a string".into(), wanted: "an object" };
        assert_eq!(problem.kind, kind);
        assert_eq!(problem.place.unwrap().to_string(), "2:5");
        assert_eq!(document.plan(&[set("a.x.z", "1")]).unwrap_err(), problem);
        assert_eq!(document.plan(&[Op::remove(path("a.x.z"))]).unwrap_err(), problem);
        assert!(document.members(&path("a.x"), None).is_err());
    }
}

mod problems {
    use super::*;

    fn problem(text: &str) -> Problem {
        Document::parse(text, Format::Toml).map(|_| ()).unwrap_err()
    }

    #[test]
    fn duplicate_keys_have_a_name_and_a_place() {
        for (text, key, place) in [
            ("a = 1\nb = 2\na = 3\n", "a", "3:1"),
            ("[m.s]\nx = 1\n[m.'s']\n", "s", "3:4"),
            ("\u{feff}x = { \"k\" = 1, k = 2 }\n", "k", "1:16"),
        ] {
            let problem = problem(text);
            assert_eq!(problem.kind, ProblemKind::DuplicateKey(key.into()), "{text}");
            assert_eq!(problem.place.unwrap().to_string(), place, "{text}");
        }
    }

    #[test]
    fn syntax_errors_have_a_place_and_a_sentence() {
        for (text, place) in
            [("a = \n", "1:5"), ("[a\nb = 1\n", "1:3"), ("x = 1\ny = \"é\" z\n", "2:9"), ("a = 99999999999999999999\n", "1:5")]
        {
            let problem = problem(text);
            assert!(matches!(&problem.kind, ProblemKind::Syntax(s) if s.len() > 5), "{text}: {problem:?}");
            assert_eq!(problem.place.unwrap().to_string(), place, "{text}: {problem}");
        }
        assert_eq!(problem("a = # none\n").to_string(), "a value is missing here at 1:5");
        assert_eq!(problem("a = 1\n<<<<<<< HEAD\nb = 1\n").kind, ProblemKind::ConflictMarkers);
    }

    #[test]
    fn a_dotted_key_into_an_array_of_tables_is_left_alone() {
        let text = "[[a.b]]\n[a]\nb.c.d = 1\n";
        for op in [set("a.b.n=x.c", "5"), set("z", "1"), Op::remove(path("a"))] {
            let problem = plan(text, &op).unwrap_err();
            assert!(matches!(problem.kind, ProblemKind::Unsupported(_)), "{problem}");
            assert_eq!(problem.place.unwrap().to_string(), "3:1");
        }
        assert_eq!(plan(text, &Op::remove(path("z"))).unwrap(), text);
    }

    #[test]
    fn two_elements_of_one_name_are_not_told_apart() {
        let text = "[[l]]\nn = 'x'\n[[l]]\nn = 'x'\n";
        for op in [set("l.n=x.c", "5"), Op::remove(path("l.n=x"))] {
            let problem = plan(text, &op).unwrap_err();
            assert_eq!(problem.kind, ProblemKind::DuplicateKey("x".into()));
            assert_eq!(problem.place.unwrap().to_string(), "3:1");
        }
    }

    #[test]
    fn an_element_keeps_its_name() {
        for text in ["[[l]]\nn = 'x'\n", "l = [{ n = 'x' }]\n"] {
            for (at, value) in [("l.n=x.n", "'y'"), ("l.n=x", "{ n = 'y' }"), ("l.n=x.n.z", "1")] {
                let problem = plan(text, &set(at, value)).unwrap_err();
                assert!(matches!(problem.kind, ProblemKind::Unsupported(_)), "{at}: {problem}");
            }
            assert_eq!(plan(text, &set("l.n=x.n", "'x'")).unwrap(), text);
        }
    }

    #[test]
    fn what_toml_cannot_say_is_refused() {
        let mut deep = Value::from(1);
        for _ in 0..100 {
            deep = Value::Array(vec![deep]);
        }
        for bad in [Value::Null, Value::object([("a", Value::Array(vec![Value::Null]))]), deep] {
            let problem = plan("x = 1\n", &Op::set(path("x"), bad)).unwrap_err();
            assert!(matches!(problem.kind, ProblemKind::Unsupported(_)), "{problem}");
        }
        let twice = Value::Object(vec![("k".into(), true.into()), ("k".into(), true.into())]);
        assert_eq!(plan("", &Op::set(path("x"), twice)).unwrap_err().kind, ProblemKind::DuplicateKey("k".into()));
        let nameless = set("l.n=a", "{ x = 1 }");
        assert!(matches!(plan("", &nameless).unwrap_err().kind, ProblemKind::Unsupported(_)));
    }
}
