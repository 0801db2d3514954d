//! What must not be shown: which values are secrets, and how one is masked.

use std::ops::Range;

use mcp_edit::Value;

/// Shown instead of a secret.
pub const MASK: &str = "••••";

/// Whether a variable, header or key of this name usually holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    const WORDS: [&str; 15] = [
        "pass",
        "passwd",
        "passphrase",
        "authorization",
        "cookie",
        "credential",
        "credentials",
        "apikey",
        "pat",
        "auth",
        "pwd",
        "bearer",
        "signature",
        "dsn",
        "key",
    ];
    const ENDINGS: [&str; 4] = ["token", "secret", "password", "apikey"];
    // What only says where a secret is, or of which kind.
    const ABOUT: [&str; 10] = ["type", "provider", "method", "mode", "scheme", "var", "file", "path", "name", "expiry"];
    let name = snake(name);
    let parts: Vec<&str> = name.split('_').filter(|p| !p.is_empty()).collect();
    let Some(last) = parts.last() else { return false };
    // `env_key` is how `mcp run-once` is told the name of a variable.
    if ABOUT.contains(last) || name == "env_key" {
        return false;
    }
    let keyed = ["api_key", "access_key", "private_key", "secret_key", "encryption_key", "subscription_key", "auth_key"];
    keyed.iter().any(|k| name.contains(k))
        || parts.iter().any(|p| (*p != "key" && WORDS.contains(p)) || ENDINGS.iter().any(|e| p.ends_with(e)))
        || *last == "key"
        || matches!(*last, "url" | "uri") && parts.contains(&"database")
}

/// `accessToken`, `X-Api-Key` and `API_KEY` in one spelling.
fn snake(name: &str) -> String {
    let mut out = String::new();
    let mut low = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && low {
            out.push('_');
        }
        low = c.is_ascii_lowercase() || c.is_ascii_digit();
        out.push(if matches!(c, '-' | '.' | ' ') { '_' } else { c.to_ascii_lowercase() });
    }
    out
}

/// What tokens of well-known vendors start with.
const PREFIXES: [&str; 22] = [
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "sk-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "AKIA",
    "ASIA",
    "AIza",
    "eyJ",
    "hf_",
    "npm_",
    "lin_api_",
    "ntn_",
];

/// Whether a value looks like a secret by its own form: the prefixes vendors give their tokens, and a password in an
/// address.
pub fn is_secret_value(value: &str) -> bool {
    starts_like_a_secret(value) || !address_secrets(value).is_empty()
}

fn starts_like_a_secret(value: &str) -> bool {
    let value = value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("Basic ")).unwrap_or(value);
    value.len() >= 16 && PREFIXES.iter().any(|p| value.starts_with(p))
}

/// The password of `scheme://user:password@host`, a lone user that looks like a token, and what the query says of keys
/// and tokens.
fn address_secrets(value: &str) -> Vec<&str> {
    let Some((_, rest)) = value.split_once("://") else { return Vec::new() };
    let mut found = Vec::new();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if let Some((user, _)) = authority.rsplit_once('@') {
        found.push(
            user.split_once(':')
                .map_or(if user.len() >= 16 || starts_like_a_secret(user) { user } else { "" }, |(_, password)| password),
        );
    }
    let query = rest.split_once('?').map_or("", |(_, query)| query.split('#').next().unwrap_or_default());
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    found.extend(pairs.filter(|(name, value)| is_secret_name(name) || starts_like_a_secret(value)).map(|(_, value)| value));
    found.retain(|text| worth_masking(text));
    found
}

/// Whether a value only names where the secret is: `${TOKEN}`, `{env:TOKEN}`.
fn is_reference(value: &str) -> bool {
    let value = value.strip_prefix("Bearer ").unwrap_or(value).trim();
    (value.starts_with("${") || value.starts_with("{env:") || value.starts_with("{file:")) && value.ends_with('}')
        || value.strip_prefix('$').is_some_and(crate::text::is_name)
}

/// Collects every secret value in an entry (or a part of one), longest first.
pub fn secrets(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(value, "", &mut found);
    found.sort_by_key(|s: &String| std::cmp::Reverse(s.len()));
    found.dedup();
    found
}

fn collect(value: &Value, key: &str, found: &mut Vec<String>) {
    match value {
        // Codex: the values are names of variables.
        Value::Object(_) if key == "env_http_headers" => {}
        Value::Object(members) => members.iter().for_each(|(k, v)| collect(v, k, found)),
        Value::Array(items) => {
            let mut flag = "";
            for item in items {
                // The value after `--token`; a list has no key of its own.
                collect(item, flag, found);
                flag = flag_name(item.as_str().unwrap_or_default());
            }
        }
        Value::String(text) => found.extend(in_word(text, key).into_iter().map(str::to_owned)),
        Value::Number(text) if is_secret_name(key) && worth_masking(text) => found.push(text.to_string()),
        Value::Number(_) | Value::Bool(_) | Value::Null => {}
    }
}

/// What a flag such as `--api-key` says of the word after it.
fn flag_name(word: &str) -> &str {
    if word.starts_with('-') && !word.contains('=') { word.trim_start_matches('-') } else { "" }
}

/// The secrets in one string. `key` is the name it belongs to, where it has one.
fn in_word<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    let whole = |text: &'t str| Some(bare(text)).filter(|t| worth_masking(t)).into_iter().collect();
    if is_secret_name(key) && !text.starts_with('-') {
        return whole(text);
    }
    let address = address_secrets(text);
    if !address.is_empty() {
        return address;
    }
    // `--token=x`, `TOKEN=x`, `Authorization: Bearer x` and `--header=Authorization: x`, the way programs take variables and
    // headers as arguments.
    for (at, separator) in text.match_indices(['=', ':']) {
        let name = text[..at].trim_start_matches('-').rsplit(['=', ' ', '"', '\'']).next().unwrap_or_default();
        let is_word = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        // `npm:auth` and `https://` name other things.
        let names = is_word && is_secret_name(name) && (separator == "=" || !name.contains('.'));
        if names && !text[at + 1..].starts_with("//") {
            return whole(text[at + 1..].trim());
        }
    }
    if starts_like_a_secret(text) { whole(text) } else { Vec::new() }
}

/// Without the scheme in front of a token.
fn bare(text: &str) -> &str {
    text.strip_prefix("Bearer ").unwrap_or(text).trim()
}

/// Whether a secret is worth it: references and very short words would mask half of what is shown.
fn worth_masking(text: &str) -> bool {
    text.len() >= 4 && !matches!(text, "true" | "false" | "null" | "none") && text != MASK && !is_reference(text)
}

/// The text with every one of `secrets` masked, also where it stands in quotes and is spelled accordingly, and where it is
/// spread over several lines.
pub fn mask(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        text = text.replace(secret.as_str(), MASK);
        if secret.contains(['"', '\\']) || secret.chars().any(char::is_control) {
            let json = Value::from(secret.as_str()).to_json();
            text = text.replace(&json[1..json.len() - 1], MASK);
        }
        if secret.contains('\'') {
            text = text.replace(&secret.replace('\'', "''"), MASK);
        }
        for line in secret.lines().map(str::trim).filter(|line| secret.contains('\n') && line.len() >= 4) {
            text = text.replace(line, MASK);
        }
    }
    text
}

/// The text masked by what it is itself: an address, a token, `NAME=value`.
pub fn mask_word(text: &str) -> String {
    mask(text, &secrets(&Value::Array(vec![Value::from(text)])))
}

/// A line of a configuration file with the value of a secret key masked, and every word that is a secret by its own form.
/// For lines of which only the text is at hand.
pub fn mask_line(line: &str) -> String {
    let mut hidden: Vec<Range<usize>> = Vec::new();
    let hide = |word: &str, at: usize, key: &str, hidden: &mut Vec<Range<usize>>| {
        for secret in in_word(word, key) {
            // `secret` is a part of `word`.
            let start = at + (secret.as_ptr() as usize - word.as_ptr() as usize);
            hidden.push(start..start + secret.len());
        }
    };
    let quoted = quoted(line);
    let mut before = 0..0;
    for range in &quoted {
        let between = line[before.end..range.start].trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
        let key = match between {
            // A colon that is missing is what may be wrong with the line.
            ":" | "=" | "" => &line[before.clone()],
            "," => flag_name(&line[before.clone()]),
            // The key has no quotes: `token = "x"`, `{ token = "x" }`, `token: "x"`.
            other => other.strip_suffix([':', '=']).map_or("", |rest| last_word(rest.trim_end())),
        };
        hide(&line[range.clone()], range.start, key, &mut hidden);
        before = range.clone();
    }
    if quoted.is_empty() {
        let content = line.find(" #").map_or(line, |at| &line[..at]);
        let item = content.trim_start().trim_start_matches("- ");
        let at = content.len() - item.len();
        match item.split_once([':', '=']) {
            Some((key, value)) if is_secret_name(key.trim()) && !item.starts_with('-') => {
                let bare = value.trim().trim_end_matches(',');
                if !bare.starts_with(['{', '[', '|', '>', '&', '*']) {
                    hide(bare, at + item.find(bare).unwrap_or_default().max(key.len() + 1), key.trim(), &mut hidden);
                }
            }
            // The value of any other key, or the item of a list.
            Some((key, value)) if !key.contains('-') && value.starts_with(' ') => {
                hide(value.trim(), at + content[at..].len() - value.trim_start().len(), "", &mut hidden);
            }
            _ => hide(item.trim_end(), at, "", &mut hidden),
        }
    }
    let mut out = line.to_owned();
    for range in hidden.into_iter().rev() {
        out.replace_range(range, MASK);
    }
    out
}

/// What is inside the quotes of a line.
fn quoted(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut open: Option<(char, usize)> = None;
    let mut chars = line.char_indices();
    while let Some((i, c)) = chars.next() {
        match open {
            Some(('"', _)) if c == '\\' => drop(chars.next()),
            Some((quote, start)) if c == quote => {
                found.push(start..i);
                open = None;
            }
            // An apostrophe inside a word opens nothing.
            None if c == '"' || (c == '\'' && !line[..i].ends_with(char::is_alphanumeric)) => open = Some((c, i + 1)),
            None if c == '#' => break,
            _ => {}
        }
    }
    // A quote that is missing, too.
    found.extend(open.map(|(_, start)| start..line.len()));
    found
}

fn last_word(text: &str) -> &str {
    text.rsplit(|c: char| c.is_whitespace() || matches!(c, ',' | '{' | '[')).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_by_name_by_form_and_behind_flags() {
        let entry = Value::object([
            ("command", Value::from("npx")),
            (
                "args",
                Value::strings([
                    "-y",
                    "pkg",
                    "--api-key",
                    "abcd1234",
                    "--token=efgh5678",
                    "--port",
                    "8080",
                    "postgres://u:hunter22@h/db",
                ]),
            ),
            (
                "env",
                Value::object(
                    [("GITHUB_TOKEN", "plainvalue"), ("MODE", "fast"), ("REF", "${GITHUB_TOKEN}")]
                        .map(|(k, v)| (k, Value::from(v))),
                ),
            ),
            ("headers", Value::object([("Authorization", Value::from("Bearer tok_en_1"))])),
        ]);
        let mut found = secrets(&entry);
        found.sort();
        assert_eq!(found, ["abcd1234", "efgh5678", "hunter22", "plainvalue", "tok_en_1"]);
        assert_eq!(mask("a plainvalue b", &found), "a •••• b");
    }

    #[test]
    fn lines_of_every_format_are_masked() {
        for (line, want) in [
            (r#"  "API_KEY": "abcdef","#, r#"  "API_KEY": "••••","#),
            (r#"  "url": "ghp_16C7e42F292c6912E7710c838347","#, r#"  "url": "••••","#),
            (r#"token = "abcdef" # mine"#, r#"token = "••••" # mine"#),
            ("  API_TOKEN: abcdef", "  API_TOKEN: ••••"),
            (r#"  "API_KEY": "${API_KEY}","#, r#"  "API_KEY": "${API_KEY}","#),
            (r#"  "command": "npx","#, r#"  "command": "npx","#),
            (r#"  "headers": {"#, r#"  "headers": {"#),
            ("token = abcdef # mine", "token = •••• # mine"),
            (
                "{ url = \"https://h/x\", http_headers = { X-Api-Key = 'abcdef' } }",
                "{ url = \"https://h/x\", http_headers = { X-Api-Key = '••••' } }",
            ),
            (r#"  "args": ["--api-key", "abcdef", "--port", "8080"],"#, r#"  "args": ["--api-key", "••••", "--port", "8080"],"#),
            (
                r#"  "args": ["--token=abcdef", "Authorization: Bearer abcdef"]"#,
                r#"  "args": ["--token=••••", "Authorization: Bearer ••••"]"#,
            ),
            (
                r#"  "url": "https://h.example/mcp?tavilyApiKey=abcdef&x=1","#,
                r#"  "url": "https://h.example/mcp?tavilyApiKey=••••&x=1","#,
            ),
            ("  - --token=abcdef", "  - --token=••••"),
            ("  - https://me:abcdef@h/x", "  - https://me:••••@h/x"),
            ("  uri: https://me:abcdef@h/x", "  uri: https://me:••••@h/x"),
            (r#"  "TOKEN": "a\"bcdef","#, r#"  "TOKEN": "••••","#),
            ("  API_KEY: API_KEY_VALUE0 # it's mine", "  API_KEY: •••• # it's mine"),
            (r#"{ "TOKEN": "a\"bcdef" }"#, r#"{ "TOKEN": "••••" }"#),
            (r#"{ "TOKEN" "abcdef" }"#, r#"{ "TOKEN" "••••" }"#),
            (r#"{ "TOKEN": "abcdef"#, r#"{ "TOKEN": "••••"#),
            (r#"env = { MODE = "fast", TOKEN = "abcdef" }"#, r#"env = { MODE = "fast", TOKEN = "••••" }"#),
            ("url: https://u:abcdef@h/", "url: https://u:••••@h/"),
            (r#"bearer_token_env_var = "MY_TOKEN""#, r#"bearer_token_env_var = "MY_TOKEN""#),
            ("  env_keys: [API_KEY]", "  env_keys: [API_KEY]"),
            (r#"  "type": "http","#, r#"  "type": "http","#),
        ] {
            assert_eq!(mask_line(line), want);
        }
    }

    #[test]
    fn names_are_told_apart_in_any_spelling() {
        for name in [
            "clientSecret",
            "accessToken",
            "PGPASSWORD",
            "DB_PASS",
            "X-API-Key",
            "tavilyApiKey",
            "OPENAI_API_KEY",
            "GITHUB_PAT",
            "DATABASE_URL",
            "SENTRY_DSN",
            "AUTH_HEADER",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "bearer_token_env_var",
            "env-key",
            "authProviderType",
            "TOKEN_FILE",
            "max_tokens",
            "KEYBOARD",
            "author",
            "path",
            "",
            "key_count",
            "compass",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn secrets_in_an_address_are_found() {
        let entry = Value::object([("url", Value::from("https://mcp.example/?apiKey=abcd1234&mode=fast&ref=${TOKEN}"))]);
        assert_eq!(secrets(&entry), ["abcd1234"]);
        assert!(is_secret_value("https://me:hunter22@h/x") && is_secret_value("HTTPS://h/x?access_token=abcd1234"));
        assert!(!is_secret_value("https://h/x?mode=fast") && !is_secret_value("https://me@h/x"));
    }

    #[test]
    fn secrets_inside_words_are_found() {
        for (word, want) in [
            ("--header=Authorization: Bearer abcdef", "--header=Authorization: Bearer ••••"),
            ("Authorization:abcdef", "Authorization:••••"),
            ("X-Api-Key: abcdef", "X-Api-Key: ••••"),
            ("--token=abcdef", "--token=••••"),
            ("https://h.example/mcp?api_key=abcdef&x=1", "https://h.example/mcp?api_key=••••&x=1"),
            ("https://h.example/mcp?q=ghp_16C7e42F292c6912E7710c838347", "https://h.example/mcp?q=••••"),
            ("https://u:abcdef@h.example/", "https://u:••••@h.example/"),
            ("https://0123456789abcdef@h.example/", "https://••••@h.example/"),
            ("https://h.example/mcp?page=2", "https://h.example/mcp?page=2"),
            ("npm:@scope/auth-server", "npm:@scope/auth-server"),
            ("ghcr.io/x/mcp:latest", "ghcr.io/x/mcp:latest"),
            ("git@github.com:a/b.git", "git@github.com:a/b.git"),
        ] {
            assert_eq!(mask_word(word), want);
        }
    }

    #[test]
    fn a_secret_is_masked_in_every_spelling() {
        let secrets = ["a\"b\\c".to_owned(), "it's".to_owned(), "first line\nsecond line".to_owned()];
        for text in [r#"x "a\"b\\c" y"#, "x 'it''s' y", "  first line", "  second line", r#""first line\nsecond line""#] {
            let masked = mask(text, &secrets);
            assert!(masked.contains(MASK), "{masked}");
            assert!(!masked.contains("b\\") && !masked.contains("line"), "{masked}");
        }
    }

    #[test]
    fn numbers_and_capitals_can_be_secrets() {
        let entry = Value::object([("API_KEY", Value::Number("12345678".into())), ("TOKEN", Value::from("ALL_CAPS_1"))]);
        assert_eq!(secrets(&entry), ["ALL_CAPS_1", "12345678"]);
    }

    #[test]
    fn what_only_names_a_secret_is_shown() {
        let entry = Value::object(
            [("bearer_token_env_var", "MY_TOKEN"), ("Authorization", "Bearer ${MY_TOKEN}"), ("apiKey", "{env:KEY}")]
                .map(|(k, v)| (k, Value::from(v))),
        );
        assert!(secrets(&entry).is_empty());
    }
}
