use super::*;
use crate::{
    keymap::{Action, Context, Press},
    testing::{shots, typed},
    text::tests::HOSTILE,
};

fn rows(left: &str, right: &str) -> Vec<Row> {
    compare(&Bytes::from(left.to_owned()), &Bytes::from(right.to_owned())).unwrap()
}

fn said(left: &str, right: &str) -> Vec<String> {
    rows(left, right)
        .into_iter()
        .filter(|row| row.change != Change::Same)
        .map(|row| {
            let text = |side: Option<Bytes>| side.map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
            format!("{} {}|{}", row.path, text(row.left), text(row.right))
        })
        .collect()
}

#[test]
fn equal_is_what_means_the_same() {
    for (left, right) in [
        ("1.0", "1"),
        ("1e2", "100"),
        ("-0", "0"),
        ("0.10", "1e-1"),
        ("\"\\u0041\"", "\"A\""),
        ("{\"a\":1,\"b\":2}", " {\"b\":2.0, \"a\":1}"),
        ("123456789012345678901234567890", "1.23456789012345678901234567890e29"),
        ("[ ]", "[]"),
    ] {
        assert_eq!(said(left, right), [""; 0], "{left} {right}");
    }
    for (left, right) in [
        ("123456789012345678901234567890", "123456789012345678901234567891"),
        ("1", "\"1\""),
        ("null", "false"),
        ("1e400", "1e401"),
    ] {
        assert_eq!(said(left, right).len(), 1, "{left} {right}");
    }
    assert!(compare(&Bytes::from_static(b"{"), &Bytes::from_static(b"{}")).is_none());
}

#[test]
fn members_are_compared_by_key() {
    let found = said(r#"{"a":1,"b":{"c":[1,2],"d":"x"},"e":1}"#, r#"{"a":1,"n":0,"b":{"c":[1,3],"d":"x"},"f g":1}"#);
    assert_eq!(found, ["$.n |0", "$.b.c[1] 2|3", "$[\"f g\"] |1", "$.e 1|"]);
}

#[test]
fn an_inserted_element_shifts_nothing() {
    assert_eq!(said("[1,2,3,4]", "[1,9,2,3,4]"), ["$[1] |9"]);
    assert_eq!(said("[1,2,3]", "[2,3,1]"), ["$[0] 1|", "$[2] |1"]);
    let left = r#"[{"name":"a","v":1},{"name":"b","v":1},{"name":"c","v":1}]"#;
    let right = r#"[{"name":"b","v":2},{"name":"c","v":1}]"#;
    assert_eq!(said(left, right), ["$[0] {\"name\":\"a\",\"v\":1}|", "$[1].v 1|2"]);
    let long: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    let changed = long.join(",").replace(",2500,", ",x,").replace('x', "\"x\"");
    assert_eq!(said(&format!("[{}]", long.join(",")), &format!("[{changed}]")), ["$[2500] 2500|\"x\""]);
}

#[test]
fn every_pair_of_lists_is_aligned_in_order_and_in_full() {
    let mut seed = 5_u32;
    for _ in 0..500 {
        let mut list = || -> Vec<Bytes> {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (0..seed >> 28).map(|n| Bytes::from(((seed >> (n % 20)) % 4).to_string())).collect()
        };
        let (a, b) = (list(), list());
        let pairs = aligned(&a, &b);
        assert_eq!(pairs.iter().filter_map(|p| p.0).collect::<Vec<_>>(), (0..a.len()).collect::<Vec<_>>());
        assert_eq!(pairs.iter().filter_map(|p| p.1).collect::<Vec<_>>(), (0..b.len()).collect::<Vec<_>>());
    }
}

#[test]
fn looks_right_at_every_size_with_and_without_colour() {
    let hostile = serde_json::Value::from(HOSTILE);
    let left = format!(r#"{{"a":1,"b":{{"c":[1,2],"d":{hostile}}},"e":"{}"}}"#, "long ".repeat(40));
    let right = format!(r#"{{"a":1.0,"b":{{"c":[1,3,4],"d":"\u202e"}},"{}":true}}"#, "\u{202e}\u{200b}");
    let mut view = Comparison::new(rows(&left, &right), "#412", "#433");
    view.set_height(24);
    shots("diff", |area, buffer, theme| view.draw(area, buffer, theme));
    view.update(Action::SideBySide);
    shots("diff_stacked", |area, buffer, theme| view.draw(area, buffer, theme));
}

#[test]
fn keys_go_from_change_to_change() {
    let mut view = Comparison::new(rows(r#"{"a":1,"b":2,"c":3}"#, r#"{"a":0,"b":2,"d":3}"#), "l", "r");
    view.set_height(20);
    let mut seen = Vec::new();
    for press in typed(Context::Diff, "] ] n N [ .") {
        let Press::Action(action, _) = press else { panic!("{press:?}") };
        assert!(view.update(action));
        seen.push(view.selected().unwrap().path.clone());
    }
    assert_eq!(seen, ["$.a", "$.d", "$.c", "$.d", "$.a", "$.a"]);
    assert_eq!(view.counts(), (1, 1, 1));
    assert_eq!(view.text(), "- $.a 1\n+ $.a 0\n+ $.d 3\n- $.c 3\n");
}
