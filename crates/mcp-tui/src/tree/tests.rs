use super::*;
use crate::{
    keymap::{Context, Press},
    testing::{letters, shot, shots, typed},
    text::tests::HOSTILE,
    theme::Theme,
};

fn tree(text: &str) -> Tree {
    let mut tree = Tree::open(Bytes::from(text.to_owned())).unwrap();
    tree.set_height(24);
    tree
}

fn seen(tree: &Tree) -> String {
    letters(&shot(100, 24, Theme::default(), |area, buffer, theme| tree.draw(area, buffer, theme)))
}

fn sample() -> Tree {
    let png = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0".as_slice(), &[0; 400]].concat(),
    );
    let inner = serde_json::Value::from(r#"{"number": 812, "labels": ["bug"]}"#).to_string();
    let hostile = serde_json::Value::from(HOSTILE).to_string();
    tree(&format!(
        r#"{{"jsonrpc":"2.0","id":1.50e3,"result":{{"content":[{{"type":"text","text":{inner}}},
        {{"type":"image","mimeType":"image/png","data":"{png}"}},{{"uri":"file:///a","mimeType":"text/plain","text":"{}"}}],
        "long":"{}","hostile":{hostile},"raw":"{}","big":123456789012345678901234567890,"none":null,"ok":true,"":[],"a b":{{}}}}}}"#,
        "t".repeat(300),
        "0123456789".repeat(9070),
        "\u{202e}\u{200b}日本",
    ))
}

#[test]
fn looks_right_at_every_size_with_and_without_colour() {
    let mut tree = sample();
    tree.update(Action::UnfoldAll);
    tree.list.select(8);
    shots("tree", |area, buffer, theme| tree.draw(area, buffer, theme));
    tree.unfold_to(3);
    shots("tree_to_three", |area, buffer, theme| tree.draw(area, buffer, theme));
}

#[test]
fn spelling_and_order_are_kept() {
    let mut tree = tree(r#"{"z":1.0,"a":1e400,"m":-0,"z":"\u0041"}"#);
    tree.update(Action::UnfoldAll);
    let seen = seen(&tree);
    let lines: Vec<&str> = seen.lines().map(str::trim).collect();
    assert_eq!(&lines[1..5], ["z: 1.0", "a: 1e400", "m: -0", r#"z: "\u0041""#]);
}

#[test]
fn paths_name_the_place_of_the_cursor() {
    let mut tree = tree(r#"{"a":{"b c":[1,{"d-e":"[7,8]"}]}}"#);
    tree.update(Action::UnfoldAll);
    let mut paths = Vec::new();
    for at in 0..tree.line_count() {
        tree.list.select(at);
        paths.push(tree.path());
    }
    assert_eq!(paths, ["$", "$.a", "$.a[\"b c\"]", "$.a[\"b c\"][0]", "$.a[\"b c\"][1]", "$.a[\"b c\"][1].d-e"]);
    assert_eq!(tree.update(Action::ToggleFold), Reply::Done);
    tree.update(Action::Down);
    assert_eq!((tree.path().as_str(), tree.value()), ("$.a[\"b c\"][1].d-e » $[0]", b"7".as_slice()));
}

#[test]
fn folds_open_and_close() {
    let mut tree = sample();
    let folded = tree.line_count();
    for (action, more) in [(Action::Last, false), (Action::Right, true), (Action::Left, false), (Action::ToggleFold, true)] {
        tree.update(action);
        assert_eq!(tree.line_count() > folded, more, "{action:?}");
    }
    tree.update(Action::UnfoldAll);
    let all = tree.line_count();
    tree.update(Action::FoldAll);
    assert_eq!(tree.line_count(), folded);
    tree.update(Action::UnfoldDeep);
    tree.update(Action::UnfoldDeep);
    tree.update(Action::UnfoldDeep);
    assert_eq!(tree.line_count(), all);
    tree.update(Action::FoldDeep);
    assert!(tree.line_count() < all);
}

#[test]
fn keys_of_the_table_move_and_fold() {
    let mut tree = sample();
    let mut counts = Vec::new();
    for script in ["z R", "z M", "G space", "G z a", "g g z r", "z m", "j l", "down right", "h"] {
        for press in typed(Context::Tree, script) {
            if let Press::Action(action, _) = press {
                assert_eq!(tree.update(action), Reply::Done);
            }
        }
        counts.push((tree.line_count(), tree.path()));
    }
    let counts: Vec<(usize, &str)> = counts.iter().map(|(count, path)| (*count, path.as_str())).collect();
    insta::assert_debug_snapshot!(counts);
}

#[test]
fn a_string_opens_as_it_was_meant() {
    let mut tree = tree(r#"{"a":"x\ny","b":3}"#);
    tree.update(Action::Down);
    assert_eq!(tree.update(Action::Open), Reply::Open(Bytes::from_static(b"x\ny")));
    assert_eq!(tree.value(), br#""x\ny""#);
    tree.update(Action::Down);
    assert_eq!(tree.update(Action::Open), Reply::Open(Bytes::from_static(b"3")));
    assert_eq!(tree.update(Action::Quit), Reply::Ignored);
}

#[test]
fn a_hit_deep_inside_is_unfolded_to() {
    let mut tree = sample();
    assert!(tree.search("bug"));
    assert_eq!(tree.path(), "$.result.content[0].text");
    assert!(tree.search("image/png"));
    assert_eq!(tree.path(), "$.result.content[1].mimeType");
    assert!(tree.search("Type"));
    let first = tree.path();
    tree.update(Action::NextHit);
    assert_ne!(tree.path(), first);
    tree.update(Action::PreviousHit);
    assert_eq!(tree.path(), first);
    assert!(!tree.search("absent"));
}

#[test]
fn long_arrays_are_listed_in_pages_and_searched_in_whole() {
    let text = format!("[{}\"needle\"]", "1,".repeat(25_000));
    let mut tree = tree(&text);
    assert_eq!(tree.line_count(), PAGE + 2);
    tree.update(Action::Last);
    assert!(seen(&tree).contains("more, enter lists on"));
    tree.update(Action::Open);
    assert_eq!(tree.line_count(), 2 * PAGE + 2);
    assert!(tree.search("needle"));
    assert_eq!((tree.path().as_str(), tree.line_count()), ("$[25000]", 25_002));
}

#[test]
fn text_that_stops_being_json_says_where() {
    let mut tree = tree(r#"{"a":1,"b" 2,"c":[1 2],"d":3}"#);
    assert!(seen(&tree).contains("no JSON from here: \"b\" 2"));
    tree.update(Action::UnfoldAll);
    assert!(tree.line_count() >= 3);
    for bytes in [b"hello".as_slice(), b"{\"a\":", b"\xff\x00", b"", b"7"] {
        assert!(matches!(Payload::open(Bytes::copy_from_slice(bytes)), Payload::Text(_)));
    }
}

#[test]
fn pictures_are_told_in_words() {
    let mut tree = sample();
    tree.unfold_to(3);
    assert!(seen(&tree).contains("image/png 424 B 640x480"), "{}", seen(&tree));
    tree.update(Action::UnfoldAll);
    assert!(seen(&tree).contains("data: image/png 424 B 640x480"), "{}", seen(&tree));
}

#[test]
fn a_click_moves_and_a_second_one_unfolds() {
    let mut tree = sample();
    let area = ratatui::layout::Rect::new(0, 5, 80, 24);
    let click = |row| MouseEvent {
        kind: crossterm::event::MouseEventKind::Down(crossterm::event::MouseButton::Left),
        column: 9,
        row,
        modifiers: crossterm::event::KeyModifiers::NONE,
    };
    let folded = tree.line_count();
    assert_eq!((tree.mouse(click(8), area), tree.path().as_str()), (Reply::Done, "$.result"));
    assert_eq!(tree.mouse(click(8), area), Reply::Done);
    assert!(tree.line_count() > folded);
    assert_eq!(tree.mouse(click(4), area), Reply::Ignored);
}

#[test]
fn deep_nesting_is_no_panic() {
    let mut tree = tree(&format!("{}1{}", "[".repeat(9_000), "]".repeat(9_000)));
    tree.update(Action::UnfoldAll);
    assert_eq!(tree.line_count(), 9_001);
    tree.update(Action::Last);
    assert!(tree.path().len() > 9_000);
    seen(&tree);
}

#[test]
fn every_byte_string_can_be_opened_and_drawn() {
    let mut seed = 7_u32;
    let letters = b"{}[]\",:\\ 1tn\xe6\x97\xa5\xff\x1b";
    for _ in 0..3_000 {
        let mut bytes = vec![b'['];
        for _ in 0..seed % 40 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes.push(letters[(seed >> 16) as usize % letters.len()]);
        }
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.push(b']');
        let mut payload = Payload::open(bytes.into());
        payload.update(Action::UnfoldAll);
        payload.search("1");
        shot(40, 10, Theme::default(), |area, buffer, theme| payload.draw(area, buffer, theme));
        payload.update(Action::Last);
        payload.update(Action::ToggleFold);
        payload.update(Action::Open);
    }
}
