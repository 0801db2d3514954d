//! `mcp login` and `mcp logout`, with a server and an issuer on this machine and a browser that does as it is told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use crate::home::Home;

/// Reads the head and body of a request, and gives the target and the body.
fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut reader = BufReader::new(stream);
    let (mut target, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if target.is_empty() {
            line.split(' ').nth(1)?.clone_into(&mut target);
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((target, String::from_utf8(body).ok()?))
}

fn answer(stream: &mut TcpStream, status: &str, header: &str, body: &str) {
    let text = format!("HTTP/1.1 {status}\r\n{header}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).unwrap();
}

/// A server that wants a token, which is its own issuer. Ends with the test's process.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let root = format!("http://{}", listener.local_addr().unwrap());
    let url = root.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Some((target, _)) = request(&mut stream) else { continue };
            let json = "Content-Type: application/json\r\n";
            let path = target.split('?').next().unwrap();
            match path {
                "/.well-known/oauth-protected-resource" | "/.well-known/oauth-protected-resource/mcp" => {
                    let body =
                        format!(r#"{{"resource":"{root}/mcp","authorization_servers":["{root}"],"scopes_supported":["tools"]}}"#);
                    answer(&mut stream, "200 OK", json, &body);
                }
                "/.well-known/oauth-authorization-server" => {
                    let body = format!(
                        r#"{{"issuer":"{root}","authorization_endpoint":"{root}/authorize","token_endpoint":"{root}/token","registration_endpoint":"{root}/register","response_types_supported":["code"],"code_challenge_methods_supported":["S256"]}}"#
                    );
                    answer(&mut stream, "200 OK", json, &body);
                }
                "/register" => answer(&mut stream, "201 Created", json, r#"{"client_id":"c","redirect_uris":[]}"#),
                "/token" => {
                    answer(&mut stream, "200 OK", json, r#"{"access_token":"secret-1","token_type":"Bearer","expires_in":7200}"#);
                }
                "/mcp" => answer(&mut stream, "401 Unauthorized", "WWW-Authenticate: Bearer\r\n", ""),
                _ => answer(&mut stream, "404 Not Found", "", ""),
            }
        }
    });
    format!("{url}/mcp")
}

/// What a browser would do at the end: the issuer sends it back with a code.
fn come_back(address: &str) {
    let part = |name: &str| {
        let at = address.find(&format!("{name}=")).unwrap() + name.len() + 1;
        address[at..].split('&').next().unwrap().to_owned()
    };
    let back = part("redirect_uri").replace("%3A", ":").replace("%2F", "/");
    let (host, path) = back.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path}?code=x&state={} HTTP/1.1\r\nHost: {host}\r\n\r\n", part("state")).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.contains("You are logged in"), "{page}");
}

/// Logs in; what the program said on both streams.
fn log_in(home: &Home, words: &[&str]) -> (String, String) {
    let mut command = home.command();
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    loop {
        let mut line = String::new();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it ended before it showed an address: {said}");
        said.push_str(&line);
        if line.trim_start().starts_with("http://") {
            come_back(line.trim());
            break;
        }
    }
    lines.read_to_string(&mut said).unwrap();
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    (out, said)
}

#[test]
fn a_login_is_made_shown_and_forgotten() {
    let (home, url) = (Home::new(), server());
    let (out, said) = log_in(&home, &["login", &url, "--no-browser", "--token-store", "file"]);
    assert_eq!(out, format!("Logged in to {url}\n"));
    assert!(said.contains("in a file that only you may read; it runs out in 120 minutes and cannot be renewed"), "{said}");
    assert!(!said.contains("secret-1"), "{said}");
    home.run(&format!("logout {url}")).ok().says(&["Forgot the login for"]);
    home.run(&format!("logout {url}")).ends(1).says(&["There is no login for"]);
}

#[test]
fn programs_get_the_same_as_json() {
    let (home, url) = (Home::new().var("MCP_TOKEN_STORE", "file"), server());
    let (out, _) = log_in(&home, &["login", &url, "--no-browser", "--json", "--client-id", "mine"]);
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    let root = url.trim_end_matches("/mcp");
    assert!(answer["expires_unix_ms"].as_u64().unwrap() > 1_700_000_000_000);
    let mut rest = answer.clone();
    rest["expires_unix_ms"] = 0.into();
    let wanted = serde_json::json!({
        "schema": "mcp.login/1", "url": url, "issuer": root, "scopes": ["tools"], "store": "file", "expires_unix_ms": 0, "renewable": false
    });
    assert_eq!(rest, wanted);
    let gone = home.mcp(&["logout", &url, "--json"]).ok().json("mcp.logout/1");
    assert_eq!((&gone["url"], &gone["forgotten"]), (&url.into(), &true.into()));
}

#[test]
fn what_cannot_be_logged_in_to_is_named() {
    let home = Home::new();
    home.run("login mcp.example.com --token-store file").ends(2).says(&["`mcp.example.com` is no URL"]);
    home.run("login http://mcp.example.com/mcp --token-store file").ends(2).says(&["must not go over `http://`"]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    home.run(&format!("login http://127.0.0.1:{port}/mcp --token-store file")).ends(4).says(&["reach http://127.0.0.1:"]);
    Home::new().var("MCP_TOKEN_STORE", "drawer").run("login https://x.example").ends(2).says(&["`MCP_TOKEN_STORE`", "`drawer`"]);
}

#[test]
#[cfg(target_os = "linux")]
fn without_a_keychain_the_flag_that_does_without_is_named() {
    // Never the keychain of whoever runs the tests.
    let home = Home::new().var("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/at/all");
    let run = home.run(&format!("login {} --no-browser", server())).ends(3);
    run.says(&["no keychain can be reached", "`--token-store file`"]);
}
