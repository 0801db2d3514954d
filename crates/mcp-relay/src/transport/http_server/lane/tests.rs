#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
use super::*;

fn account(limit: usize) -> Account {
    Account::new(limit, Rc::default())
}

fn read(lane: &Lane, account: &Account, reader: u64) -> Option<String> {
    let cx = Context::from_waker(Waker::noop());
    match lane.poll_events(&cx, reader, account, Style::Numbered, |_, _| true) {
        Poll::Ready(Some(Piece::Events(bytes))) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
        Poll::Ready(Some(Piece::Large(head, frame))) => Some(format!("{head:?} {}", frame.len())),
        Poll::Ready(Some(Piece::Part(..))) => panic!("no message came in parts"),
        Poll::Ready(None) => Some("end".to_owned()),
        Poll::Pending => None,
    }
}

fn line(text: &str) -> Bytes {
    Bytes::from(format!("{text}\n"))
}

#[test]
fn what_was_written_is_written_again_from_any_place_with_the_same_numbers() {
    let (lane, account) = (Lane::new(7, Some(1)), account(1 << 20));
    let reader = lane.attach();
    for text in ["a", "b", "c"] {
        lane.push(&account, Class::Notification, line(text)).unwrap();
    }
    assert_eq!(read(&lane, &account, reader).unwrap(), "id: 7-1\ndata: a\n\nid: 7-2\ndata: b\n\nid: 7-3\ndata: c\n\n");
    lane.rewind(&account, 1);
    let second = lane.attach();
    assert_eq!(read(&lane, &account, reader).unwrap(), "end", "the first reader was replaced");
    lane.push(&account, Class::Response, line("d")).unwrap();
    assert_eq!(read(&lane, &account, second).unwrap(), "id: 7-2\ndata: b\n\nid: 7-3\ndata: c\n\nid: 7-4\ndata: d\n\n");
    assert_eq!(read(&lane, &account, second).unwrap(), "end");
    assert_eq!(account.waiting(), 0);
}

#[test]
fn progress_is_merged_only_in_a_crowd() {
    let (lane, account) = (Lane::new(1, None), account(1 << 20));
    let reader = lane.attach();
    for n in 0..CROWD {
        lane.push(&account, Class::Progress(1), line(&format!("early {n}"))).unwrap();
    }
    for n in 0..1000 {
        lane.push(&account, Class::Progress(1), line(&format!("late {n}"))).unwrap();
    }
    let text = read(&lane, &account, reader).unwrap();
    assert_eq!(text.matches("data:").count(), CROWD, "{text}");
    assert!(text.contains("late 999") && text.contains("early 0") && !text.contains("late 998"));
    assert_eq!(account.waiting(), 0);
}

#[test]
fn logs_give_way_and_responses_overflow() {
    let (lane, account) = (Lane::new(1, None), account(10_000));
    lane.attach();
    lane.push(&account, Class::Response, Bytes::from(vec![b'x'; 6000])).unwrap();
    for _ in 0..100 {
        lane.push(&account, Class::Log, Bytes::from(vec![b'x'; 1000])).unwrap();
    }
    assert_eq!(account.counters().dropped_logs.get(), 100);
    assert_eq!(lane.push(&account, Class::Response, Bytes::from(vec![b'x'; 6000])), Err(Overflow));
}

#[test]
fn a_message_over_the_limit_passes_alone() {
    let (lane, account) = (Lane::new(1, Some(1)), account(100));
    let reader = lane.attach();
    lane.push(&account, Class::Response, Bytes::from(vec![b'x'; 100_000])).unwrap();
    assert!(read(&lane, &account, reader).unwrap().ends_with(" 100000"));
}

#[test]
fn one_of_each_kind_waits_for_a_client_without_a_stream() {
    let (lane, account) = (Lane::new(0, None), account(1 << 20));
    let changed = |list: &str, n: u32| line(&format!(r#"{{"method":"notifications/{list}/list_changed","params":{{"n":{n}}}}}"#));
    let updated = |uri: &str| line(&format!(r#"{{"method":"notifications/resources/updated","params":{{"uri":"{uri}"}}}}"#));
    for n in 0..500 {
        lane.push_pending(&account, Class::Notification, changed("tools", n)).unwrap();
        lane.push_pending(&account, Class::Notification, changed("prompts", n)).unwrap();
        lane.push_pending(&account, Class::Notification, updated("a:b")).unwrap();
        lane.push_pending(&account, Class::Log, line("{}")).unwrap();
    }
    lane.push_pending(&account, Class::Notification, updated("a:c")).unwrap();
    let reader = lane.attach();
    let text = read(&lane, &account, reader).unwrap();
    assert_eq!(text.matches("data:").count(), 4, "{text}");
    assert!(text.contains(r#""n":499"#));
}
