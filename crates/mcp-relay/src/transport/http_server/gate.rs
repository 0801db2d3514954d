//! Who gets in: the path, the token, and the checks that keep a web page in a browser on this machine from talking to us.
//!
//! A page may send requests to any address. It cannot choose the `Origin` its browser adds, and if its own name was made to
//! lead here (DNS rebinding) that name is in `Host`. So both have to be names of this machine, or names the operator gave.

use std::net::IpAddr;

use hyper::{StatusCode, Uri};

use super::HttpOptions;
use super::heads::Heads;

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Streamable HTTP.
    Mcp,
    /// The stream of the HTTP+SSE transport of 2024-11-05.
    OldStream,
    /// Where that transport's client posts to.
    OldMessage,
}

/// Where a request is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) place: Place,
    /// The token, if it was in the path.
    pub(super) prefix: Option<&'a str>,
}

/// Why a request is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) reason: String,
}

fn refused<T>(status: StatusCode, reason: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { status, reason: reason.into() })
}

/// Judges where a request comes from.
pub(super) fn admit_source(options: &HttpOptions, heads: &Heads<'_>, uri: &Uri, local: IpAddr) -> Result<(), Refused> {
    if heads.is_ambiguous {
        return refused(StatusCode::BAD_REQUEST, "one of the headers Host, Origin and Authorization appears twice");
    }
    let host = match (uri.authority(), heads.host) {
        (Some(authority), _) => authority.as_str(),
        (None, Some(host)) => host.to_str().unwrap_or_default(),
        (None, None) => return refused(StatusCode::BAD_REQUEST, "a request needs the header Host"),
    };
    if !is_allowed_host(options, host, local) {
        return refused(StatusCode::FORBIDDEN, "the header Host names neither this machine nor a host that was allowed");
    }
    if let Some(origin) = heads.origin
        && !origin.to_str().is_ok_and(|origin| is_allowed_origin(options, origin, host))
    {
        return refused(StatusCode::FORBIDDEN, "the header Origin names a page that was not allowed");
    }
    Ok(())
}

/// Judges a request by everything but its method and body.
pub(super) fn admit<'a>(options: &HttpOptions, heads: &Heads<'_>, uri: &'a Uri, local: IpAddr) -> Result<Target<'a>, Refused> {
    admit_source(options, heads, uri, local)?;
    let Some(target) = locate(&options.path, uri.path()) else {
        return refused(StatusCode::NOT_FOUND, format!("there is nothing here; the path is {}", options.path));
    };
    match (&options.token, target.prefix) {
        (None, None) => {}
        (None, Some(_)) => return refused(StatusCode::NOT_FOUND, format!("there is nothing here; the path is {}", options.path)),
        (Some(token), Some(given)) if is_same(token.as_bytes(), given.as_bytes()) => {}
        (Some(token), None) if heads.authorization.is_some_and(|given| is_bearer(token, given.as_bytes())) => {}
        (Some(_), _) => return refused(StatusCode::UNAUTHORIZED, "the token is missing or is not the right one"),
    }
    Ok(target)
}

/// What a path leads to, be the token in it or not.
fn locate<'a>(mcp: &str, path: &'a str) -> Option<Target<'a>> {
    let place = |path: &str| match path.strip_suffix('/').unwrap_or(path) {
        path if path == mcp => Some(Place::Mcp),
        "/sse" => Some(Place::OldStream),
        "/message" => Some(Place::OldMessage),
        _ => None,
    };
    if let Some(place) = place(path) {
        return Some(Target { place, prefix: None });
    }
    let at = path.strip_prefix('/')?.find('/')? + 1;
    place(&path[at..]).map(|place| Target { place, prefix: Some(&path[1..at]) })
}

/// Compares without telling by its time where the difference is.
fn is_same(secret: &[u8], given: &[u8]) -> bool {
    let difference = secret.iter().zip(given).fold(secret.len() ^ given.len(), |all, (a, b)| all | usize::from(a ^ b));
    std::hint::black_box(difference) == 0
}

fn is_bearer(token: &str, header: &[u8]) -> bool {
    let Some((scheme, given)) = header.split_at_checked(7) else { return false };
    scheme.eq_ignore_ascii_case(b"bearer ") && is_same(token.as_bytes(), given.trim_ascii())
}

/// A name or address, and its port if it has one.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    let name_end = if authority.starts_with('[') { authority.find(']').map_or(authority.len(), |at| at + 1) } else { 0 };
    match authority[name_end..].rfind(':') {
        Some(colon) => (&authority[..name_end + colon], Some(&authority[name_end + colon + 1..])),
        None => (authority, None),
    }
}

fn address(name: &str) -> Option<IpAddr> {
    name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name).parse().ok()
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || address(name).is_some_and(|a| a.to_canonical().is_loopback())
}

fn is_allowed_host(options: &HttpOptions, authority: &str, local: IpAddr) -> bool {
    let (name, port) = split_port(authority);
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return false;
    }
    is_loopback(name)
        || options.hosts.iter().any(|h| h == "*" || h.eq_ignore_ascii_case(name) || h.eq_ignore_ascii_case(authority))
        // An address cannot be rebound. It is ours if the connection came in by it.
        || address(name).is_some_and(|a| a.to_canonical() == local.to_canonical())
}

/// Whether pages of this origin may talk to us: by default those we could have served ourselves.
fn is_allowed_origin(options: &HttpOptions, origin: &str, host: &str) -> bool {
    if options.origins.iter().any(|o| o == "*" || o.trim_end_matches('/').eq_ignore_ascii_case(origin)) {
        return true;
    }
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return false;
    }
    let ((name, port), (host_name, host_port)) = (split_port(authority), split_port(host));
    port == host_port && (name.eq_ignore_ascii_case(host_name) || (is_loopback(name) && is_loopback(host_name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn options(token: Option<&str>) -> HttpOptions {
        HttpOptions { token: token.map(str::to_owned), ..HttpOptions::default() }
    }

    #[test]
    fn a_path_leads_to_one_place_with_or_without_the_token_before_it() {
        let found = |path| locate("/mcp", path).map(|t| (t.place, t.prefix));
        assert_eq!(found("/mcp"), Some((Place::Mcp, None)));
        assert_eq!(found("/mcp/"), Some((Place::Mcp, None)));
        assert_eq!(found("/t0k/mcp"), Some((Place::Mcp, Some("t0k"))));
        assert_eq!(found("/t0k/mcp/"), Some((Place::Mcp, Some("t0k"))));
        assert_eq!(found("/sse"), Some((Place::OldStream, None)));
        assert_eq!(found("/t0k/message"), Some((Place::OldMessage, Some("t0k"))));
        for path in ["", "/", "/mcp/x", "/a/b/mcp", "/mcpx", "/MCP", "//", "/mcp//"] {
            assert_eq!(found(path), None, "{path}");
        }
        assert_eq!(locate("/a/mcp", "/t/a/mcp").map(|t| t.prefix), Some(Some("t")));
    }

    #[test]
    fn hosts_of_this_machine_are_allowed_and_others_are_not() {
        let local = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 9));
        let mut options = options(None);
        for host in
            ["localhost", "LOCALHOST:80", "127.0.0.1:9", "127.8.8.8", "[::1]", "[::1]:7", "192.168.1.9:80", "[::ffff:127.0.0.1]"]
        {
            assert!(is_allowed_host(&options, host, local), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:80",
            "192.168.1.8",
            "127.0.0.1.evil.example",
            "localhost:x",
            "[::2]",
            "[",
        ] {
            assert!(!is_allowed_host(&options, host, local), "{host}");
        }
        options.hosts = vec!["box.example".into()];
        assert!(is_allowed_host(&options, "Box.example:80", local));
    }

    #[test]
    fn an_origin_is_one_of_ours_or_one_that_was_allowed() {
        let mut options = options(None);
        let host = "localhost:8000";
        for origin in ["http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000", "HTTP://LOCALHOST:8000"] {
            assert!(is_allowed_origin(&options, origin, host), "{origin}");
        }
        for origin in [
            "null",
            "",
            "http://localhost",
            "http://localhost:8001",
            "http://evil.example:8000",
            "file://localhost:8000",
            "http://localhost:8000/x",
        ] {
            assert!(!is_allowed_origin(&options, origin, host), "{origin}");
        }
        options.origins = vec!["https://app.example".into()];
        assert!(is_allowed_origin(&options, "https://app.example", host));
    }

    #[test]
    fn a_token_has_to_be_the_same_to_the_last_byte() {
        assert!(is_bearer("secret", b"Bearer secret") && is_bearer("secret", b"bearer  secret"));
        for header in ["Bearer secre", "Bearer secrets", "Bearer Secret", "Basic secret", "secret", "Bearer", ""] {
            assert!(!is_bearer("secret", header.as_bytes()), "{header}");
        }
    }
}
