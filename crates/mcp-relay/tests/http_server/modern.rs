//! The modern era: requests that stand alone.

use std::time::Duration;

use mcp_relay::hub::Limits;
use mcp_relay::route::{Action, Class, StreamId, Via};
use mcp_relay::transport::http_server::HttpOptions;
use mcp_wire::version::Era;

use crate::client::{Client, MODERN, modern_call, modern_headers, open_session};
use crate::harness::{Harness, last_arrival, progress};

#[test]
fn a_request_is_a_peer_of_its_own_and_gone_after_its_answer() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    for n in 1..=3 {
        let reply = client.post(&modern_headers("echo"), &modern_call(n, "echo", r#"{"a":1e2}"#));
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        assert_eq!(reply.body, format!(r#"{{"jsonrpc":"2.0","id":{n},"result":{{"echo":{{"a":1e2}}}}}}"#));
        assert_eq!(reply.header("mcp-session-id"), None);
    }
    assert_eq!(last_arrival(&harness), (Via::Http, Some(Era::Modern)));
    let (opened, closed, abandoned) = harness.inside(|inside| {
        let script = inside.script.borrow();
        (script.opened.len(), script.closed.len(), script.abandoned.len())
    });
    assert_eq!((opened, closed, abandoned), (3, 3, 0));
    drop(client);
    harness.until_empty();
}

#[test]
fn a_session_id_is_neither_asked_for_nor_looked_at() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    let headers = format!("{}Mcp-Session-Id: whatever\r\n", modern_headers("echo"));
    assert_eq!(client.post(&headers, &modern_call(1, "echo", "{}")).status, 200);
    for method in ["GET", "DELETE", "PUT"] {
        let reply = client.ask(method, "/mcp", &format!("MCP-Protocol-Version: {MODERN}\r\nAccept: text/event-stream\r\n"), "");
        assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    }
    let body = r#"{"jsonrpc":"2.0","method":"notifications/x","params":{}}"#;
    assert_eq!(client.post(&format!("MCP-Protocol-Version: {MODERN}\r\n"), body).status, 202);
    let reply = client.post(&format!("MCP-Protocol-Version: {MODERN}\r\n"), r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    assert_eq!((reply.status, reply.code()), (400, -32600));
    drop(client);
    harness.until_empty();
}

#[test]
fn events_carry_no_ids_and_end_with_the_response() {
    let harness = Harness::new();
    let reply = Client::new(&harness).post(&modern_headers("progress"), &modern_call(1, "progress", "{}"));
    assert!(reply.is_events());
    assert_eq!(reply.header("x-accel-buffering"), Some("no"));
    let events = reply.events();
    assert_eq!(events.len(), 4);
    assert!(events.iter().all(|e| e.id.is_none() && e.retry.is_none() && !e.data.is_empty()));
    harness.until_empty();
}

#[test]
fn leaving_is_the_cancel() {
    let harness = Harness::new();
    for tool in ["hang", "progress-and-hang"] {
        let mut client = Client::new(&harness);
        client.post_only(&modern_headers(tool), &modern_call(1, tool, "{}"));
        harness.until("it hangs", |inside| inside.script.borrow().calls.len() == 1);
        let peer = harness.inside(|inside| inside.script.borrow_mut().calls.remove(0).0);
        if tool == "progress-and-hang" {
            assert!(client.head().is_events());
            client.event();
        }
        drop(client);
        harness.until("it is cancelled", move |inside| {
            let script = inside.script.borrow();
            script.abandoned.contains(&(peer, StreamId(1))) && script.closed.contains(&peer)
        });
    }
    harness.until_empty();
}

#[test]
fn an_open_answer_goes_on_and_is_kept_alive() {
    let options = HttpOptions { keep_alive: Duration::from_millis(20), ..HttpOptions::default() };
    let harness = Harness::with(options, Limits::default());
    let mut client = Client::new(&harness);
    client.post_only(&modern_headers("hang"), &modern_call(1, "hang", "{}"));
    assert!(client.head().is_events());
    assert_eq!(client.chunk().unwrap(), ": still here\n\n");
    for n in 1..4 {
        harness.inside(move |inside| {
            let (peer, stream, _) = inside.script.borrow().calls[0].clone();
            inside.act(Action::Send(peer, Some(stream), Class::Notification, progress(n)));
        });
        assert!(client.event().data.contains(&format!(r#""progress":{n}"#)));
    }
    harness.inside(|inside| inside.answer("{}"));
    assert!(client.event().data.contains("result"));
    assert_eq!(client.chunk(), None);
    assert_eq!(client.post(&modern_headers("echo"), &modern_call(2, "echo", "{}")).status, 200, "the connection lives on");
}

#[test]
fn an_answer_the_route_ends_without_a_response_is_no_answer() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    let reply = client.post(&modern_headers("end"), &modern_call(1, "end", "{}"));
    assert_eq!((reply.status, reply.is_events(), reply.body.as_str()), (200, true, ""));
    let reply = client.post(&modern_headers("leave"), &modern_call(77, "leave", "{}"));
    assert_eq!((reply.status, reply.code()), (503, -32603));
    assert!(reply.body.contains(r#""id":77"#));
    assert_eq!(harness.inside(|inside| inside.script.borrow().abandoned.len()), 0);
}

#[test]
fn headers_that_do_not_say_what_the_body_says_are_refused() {
    let harness = Harness::new();
    let version = format!("MCP-Protocol-Version: {MODERN}\r\n");
    let call = "Mcp-Method: tools/call\r\n";
    let meta = format!(r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}"}}"#);
    let uml = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"äöü",{meta}}}}}"#);
    let escaped = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"\u00e4öü",{meta}}}}}"#);
    let echo = modern_call(1, "echo", "{}");
    let read = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{{"uri":"a:b",{meta}}}}}"#);
    let task = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{{"taskId":"t",{meta}}}}}"#);
    let list = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{{meta}}}}}"#);
    let no_meta = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;
    let rows: Vec<(String, &str, Option<i64>)> = vec![
        (format!("{version}{call}Mcp-Name: echo\r\n"), &echo, None),
        (format!("{version}{call}mcp-name:   echo  \r\n"), &echo, None),
        (format!("{version}{call}Mcp-Name: =?base64?ZWNobw==?=\r\n"), &echo, None),
        (format!("{version}{call}Mcp-Name: =?base64?w6TDtsO8?=\r\n"), &uml, None),
        (format!("{version}{call}Mcp-Name: =?base64?w6TDtsO8?=\r\n"), &escaped, None),
        (format!("{version}Mcp-Method: resources/read\r\nMcp-Name: a:b\r\n"), &read, None),
        (format!("{version}Mcp-Method: tasks/get\r\nMcp-Name: t\r\n"), &task, None),
        (format!("{version}Mcp-Method: tools/list\r\n"), &list, None),
        // Missing.
        (format!("{call}Mcp-Name: echo\r\n"), &echo, Some(-32020)),
        (format!("{version}Mcp-Name: echo\r\n"), &echo, Some(-32020)),
        (format!("{version}{call}"), &echo, Some(-32020)),
        (format!("{version}Mcp-Method: resources/read\r\n"), &read, Some(-32020)),
        (format!("{version}Mcp-Method: tasks/get\r\n"), &task, Some(-32020)),
        // Other.
        ("MCP-Protocol-Version: 2027-01-01\r\nMcp-Method: tools/list\r\n".into(), &list, Some(-32020)),
        ("MCP-Protocol-Version: 2025-11-25\r\nMcp-Method: tools/list\r\n".into(), &list, Some(-32020)),
        (format!("{version}Mcp-Method: TOOLS/LIST\r\n"), &list, Some(-32020)),
        (format!("{version}Mcp-Method: prompts/list\r\n"), &list, Some(-32020)),
        (format!("{version}{call}Mcp-Name: Echo\r\n"), &echo, Some(-32020)),
        (format!("{version}{call}Mcp-Name: äöü\r\n"), &uml, Some(-32020)),
        (format!("{version}{call}Mcp-Name: =?base64?w6TDtsO8\r\n"), &uml, Some(-32020)),
        (format!("{version}{call}Mcp-Name: =?base64?!!?=\r\n"), &uml, Some(-32020)),
        // Twice.
        (format!("{version}{version}{call}Mcp-Name: echo\r\n"), &echo, Some(-32020)),
        (format!("{version}{call}{call}Mcp-Name: echo\r\n"), &echo, Some(-32020)),
        (format!("{version}{call}Mcp-Name: echo\r\nMcp-Name: echo\r\n"), &echo, Some(-32020)),
        // Nothing to compare with: the route's to judge.
        (format!("{version}Mcp-Method: tools/list\r\n"), no_meta, None),
    ];
    let mut client = Client::new(&harness);
    for (headers, body, code) in rows {
        let reply = client.post(&headers, body);
        match code {
            None => assert_eq!(reply.status, 200, "{headers} {body}: {reply:?}"),
            Some(code) => {
                assert_eq!((reply.status, reply.code()), (400, code), "{headers} {body}");
                assert!(reply.body.contains(r#""id":1"#), "{reply:?}");
            }
        }
    }
}

#[test]
fn arguments_are_compared_with_the_headers_that_repeat_them() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    let both = r#"{"region":"eu","days":3.0}"#;
    for (headers, arguments, status) in [
        ("Mcp-Param-Region: eu\r\nMcp-Param-Days: 3\r\n", both, 200),
        ("Mcp-Param-Region: =?base64?ZXU=?=\r\nmcp-param-days: 3\r\n", both, 200),
        ("", r#"{"region":null}"#, 200),
        ("Mcp-Param-Other: x\r\n", "{}", 200),
        ("Mcp-Param-Region: eu\r\n", both, 400),
        ("Mcp-Param-Region: us\r\nMcp-Param-Days: 3\r\n", both, 400),
        ("Mcp-Param-Region: =?base64?ZXU?=\r\nMcp-Param-Days: 3\r\n", both, 400),
        ("Mcp-Param-Region: eu\r\nMcp-Param-Region: eu\r\nMcp-Param-Days: 3\r\n", both, 400),
        ("Mcp-Param-Region: eu\r\n", "{}", 400),
    ] {
        let reply = client.post(&format!("{}{headers}", modern_headers("weather")), &modern_call(1, "weather", arguments));
        assert_eq!(reply.status, status, "{headers} {arguments}: {reply:?}");
        if status == 400 {
            assert_eq!(reply.code(), -32020);
        }
    }
}

#[test]
fn both_eras_live_on_one_connection() {
    let harness = Harness::new();
    let mut client = Client::new(&harness);
    let headers = open_session(&mut client, "2025-11-25");
    for n in 1..10 {
        assert_eq!(client.post(&modern_headers("echo"), &modern_call(n, "echo", "{}")).status, 200);
        assert_eq!(client.post(&headers, &crate::client::call(n, "echo", "{}")).status, 200);
    }
    // A version nobody knows is for the route to refuse.
    let meta = r#"{"io.modelcontextprotocol/protocolVersion":"v999.0.0"}"#;
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{{"_meta":{meta}}}}}"#);
    assert_eq!(client.post("MCP-Protocol-Version: v999.0.0\r\nMcp-Method: server/discover\r\n", &body).status, 200);
    assert_eq!(last_arrival(&harness), (Via::Http, Some(Era::Modern)));
}
