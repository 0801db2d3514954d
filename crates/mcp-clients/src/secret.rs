//! What must not be shown: which values are secrets, and how one is masked.

use mcp_edit::Value;

/// Shown instead of a secret.
pub const MASK: &str = "••••";

/// Whether a variable, header or key of this name usually holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    const WORDS: [&str; 11] =
        ["authorization", "cookie", "credential", "credentials", "pat", "auth", "pwd", "bearer", "signature", "jwt", "pass"];
    // `authToken`, `clientSecret`, `AWSAccessKey`: words run together end like this.
    const ENDS: [&str; 9] =
        ["token", "secret", "password", "passwd", "passphrase", "apikey", "accesskey", "privatekey", "secretkey"];
    let name = name.to_ascii_lowercase().replace(['-', '.', ' '], "_");
    // `bearer_token_env_var = "NAME"` says where the secret is.
    if name.ends_with("_env_var") || name.ends_with("_env_vars") {
        return false;
    }
    let keyed = ["api_key", "access_key", "private_key", "secret_key", "encryption_key", "subscription_key", "auth_key"];
    keyed.iter().any(|k| name.contains(k))
        || name.ends_with("_key")
        || name == "key"
        || name.split('_').any(|part| WORDS.contains(&part) || ENDS.iter().any(|end| part.ends_with(end)))
        || (name.ends_with("_url") || name.ends_with("_uri") || name.ends_with("dsn"))
            && (name.contains("database") || name.contains("dsn"))
        || name.contains("connection_string")
}

/// Whether a value looks like a secret by its own form: the prefixes vendors give their tokens, and a password in an
/// address.
pub fn is_secret_value(value: &str) -> bool {
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
    let value = value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("Basic ")).unwrap_or(value);
    value.len() >= 16 && PREFIXES.iter().any(|p| value.starts_with(p))
}

/// What is secret in a value that nothing names: all of a vendor's token; of an address the password, a long user name (a
/// token without a password) and the parameters that are secret by name or form.
fn by_form(value: &str) -> Vec<String> {
    if is_secret_value(value) {
        return vec![value.to_owned()];
    }
    let Some((_, rest)) = value.split_once("://") else { return Vec::new() };
    let user = rest.split(['/', '?', '#']).next().and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
    let user = user.map(|user| match user.split_once(':') {
        Some((_, password)) => password,
        None if user.len() >= 16 => user,
        None => "",
    });
    let query = rest.split_once('?').map_or("", |(_, query)| query.split('#').next().unwrap_or_default());
    let parameters = query.split('&').filter_map(|p| p.split_once('=')).filter(|(k, v)| is_secret_name(k) || is_secret_value(v));
    let mut found = Vec::new();
    user.into_iter().chain(parameters.map(|(_, v)| v)).for_each(|text| push(text, &mut found));
    found
}

/// The value in `--token=x`, `TOKEN=x`, `Authorization: x` and `--header=Authorization: x`.
fn named_in_word(text: &str) -> Option<&str> {
    text.match_indices(['=', ':']).find_map(|(at, separator)| {
        let name = text[..at].trim_start_matches('-').rsplit(['=', ' ', '"', '\'']).next()?;
        let is_word = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        // `npm:auth` and `C:\auth` name other things.
        let is_name = is_word && is_secret_name(name) && (separator == "=" || !name.contains('.'));
        is_name.then(|| text[at + 1..].trim())
    })
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
                // `--token x`; a list has no key of its own.
                let text = item.as_str().unwrap_or_default();
                match named_in_word(text) {
                    Some(rest) => push(rest, found),
                    None => collect(item, flag, found),
                }
                flag = if text.starts_with('-') { text.trim_start_matches('-') } else { "" };
            }
        }
        Value::String(text) if is_secret_name(key) => push(text, found),
        Value::String(text) => by_form(text).iter().for_each(|text| push(text, found)),
        Value::Number(text) if is_secret_name(key) => push(text, found),
        Value::Number(_) | Value::Bool(_) | Value::Null => {}
    }
}

fn push(text: &str, found: &mut Vec<String>) {
    let text = text.strip_prefix("Bearer ").unwrap_or(text).trim();
    // Very short words would mask half of what is shown.
    if text.len() >= 4 && !is_reference(text) {
        found.push(text.to_owned());
    }
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

/// A line of a configuration file with the value of a secret key masked, and in every quoted word what is secret by its own
/// form. For lines of which only the text is at hand; the line may be broken.
pub fn mask_line(line: &str) -> String {
    let mut parts = quoted_parts(line);
    // In `"key": "value"` the odd parts are inside the quotes.
    for i in (1..parts.len()).step_by(2) {
        let after_key = i >= 2 && matches!(parts[i - 1].trim(), ":" | "=" | "") && is_secret_name(&parts[i - 2]);
        // `TOKEN = "value"` in TOML's inline tables.
        let bare_key = parts[i - 1].trim_end().strip_suffix(['=', ':']).map(str::trim_end);
        let bare_key = bare_key.and_then(|t| t.rsplit([' ', '{', ',', '\t']).next()).is_some_and(is_secret_name);
        let is_long = parts[i].len() >= 4 && !is_reference(&parts[i]);
        parts[i] = if (after_key || bare_key) && is_long { MASK.to_owned() } else { mask_word(&parts[i]) };
    }
    let line = parts.join("\"");
    // `key = 'value'` in TOML, `key: value` in YAML.
    let Some(at) = line.find(['=', ':']) else { return line };
    let (key, value) = (line[..at].trim().trim_matches(['"', '\'', '-', ' ']), line[at + 1..].trim());
    let bare = value.trim_matches(['"', '\'', ',']);
    let container = value.is_empty() || value.starts_with(['{', '[', '|', '>', '&', '*', '/']);
    if container || bare.len() < 4 || is_reference(bare) || bare.contains(MASK) || key.contains('"') {
        return line;
    }
    if is_secret_name(key) { line.replacen(bare, MASK, 1) } else { mask(&line, &by_form(bare)) }
}

/// The line cut at its double quotes; a quote behind a backslash is no end. Odd parts are inside.
fn quoted_parts(line: &str) -> Vec<String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => parts.push(std::mem::take(&mut part)),
            '\\' if parts.len() % 2 == 1 => {
                part.push(c);
                part.extend(chars.next());
            }
            c => part.push(c),
        }
    }
    parts.push(part);
    parts
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
            (r#"{ "TOKEN": "a\"bcdef" }"#, r#"{ "TOKEN": "••••" }"#),
            (r#"{ "TOKEN" "abcdef" }"#, r#"{ "TOKEN" "••••" }"#),
            (r#"{ "TOKEN": "abcdef"#, r#"{ "TOKEN": "••••"#),
            (r#"env = { MODE = "fast", TOKEN = "abcdef" }"#, r#"env = { MODE = "fast", TOKEN = "••••" }"#),
            (r#"args = ["--api-key=abcdef"]"#, r#"args = ["--api-key=••••"]"#),
            ("url: https://u:abcdef@h/", "url: https://u:••••@h/"),
            (r#"bearer_token_env_var = "MY_TOKEN""#, r#"bearer_token_env_var = "MY_TOKEN""#),
        ] {
            assert_eq!(mask_line(line), want);
        }
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
