//! What must not be shown: which values are secrets, and how one is masked.

use mcp_edit::Value;

/// Shown instead of a secret.
pub const MASK: &str = "••••";

/// Whether a variable, header or key of this name usually holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace(['-', '.', ' '], "_");
    const WORDS: [&str; 15] = [
        "token",
        "secret",
        "password",
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
    ];
    let keyed = ["api_key", "access_key", "private_key", "secret_key", "encryption_key", "subscription_key", "auth_key"];
    keyed.iter().any(|k| name.contains(k))
        || name.ends_with("_key")
        || name == "key"
        || name.split('_').any(|part| WORDS.contains(&part) || part.ends_with("apikey") || part.ends_with("token"))
        || (name.ends_with("_url") || name.ends_with("_uri") || name.ends_with("dsn"))
            && (name.contains("database") || name.contains("dsn"))
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
    value.len() >= 16 && PREFIXES.iter().any(|p| value.starts_with(p)) || address_password(value).is_some()
}

/// The password of `scheme://user:password@host`.
fn address_password(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password).filter(|p| !p.is_empty() && !p.starts_with("${"))
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
        Value::Object(members) => members.iter().for_each(|(k, v)| collect(v, k, found)),
        Value::Array(items) => {
            let mut flag = "";
            for item in items {
                // `--token x` and `--token=x`; a list has no key of its own.
                let text = item.as_str().unwrap_or_default();
                if let Some((name, rest)) = text.split_once('=')
                    && is_secret_name(name.trim_start_matches('-'))
                {
                    push(rest, found);
                } else if let Some((name, rest)) = text.split_once(": ")
                    && is_secret_name(name)
                {
                    push(rest, found); // `--header "Authorization: Bearer x"`
                } else {
                    collect(item, flag, found);
                }
                flag = if text.starts_with('-') { text.trim_start_matches('-') } else { "" };
            }
        }
        Value::String(text) if is_secret_name(key) => push(text, found),
        Value::String(text) if is_secret_value(text) => match address_password(text) {
            Some(password) => push(password, found),
            None => push(text, found),
        },
        _ => {}
    }
}

fn push(text: &str, found: &mut Vec<String>) {
    let text = text.strip_prefix("Bearer ").unwrap_or(text).trim();
    // Names of variables (`bearer_token_env_var = "TOKEN"`) and very short words would mask half of what is shown.
    let is_variable = text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') && text.contains('_');
    if text.len() >= 4 && !is_reference(text) && !(is_variable && crate::text::is_name(text)) {
        found.push(text.to_owned());
    }
}

/// The text with every one of `secrets` masked.
pub fn mask(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        text = text.replace(secret.as_str(), MASK);
    }
    text
}

/// A line of a configuration file with the value of a secret key masked, and every quoted word that is a secret by its own
/// form. For lines of which only the text is at hand.
pub fn mask_line(line: &str) -> String {
    let mut parts: Vec<String> = line.split('"').map(str::to_owned).collect();
    // In `"key": "value"` the odd parts are inside the quotes.
    for i in (1..parts.len()).step_by(2) {
        let after_key = i >= 2 && matches!(parts[i - 1].trim(), ":" | "=") && is_secret_name(&parts[i - 2]);
        if (after_key || is_secret_value(&parts[i])) && parts[i].len() >= 4 && !is_reference(&parts[i]) && parts[i] != MASK {
            parts[i] = MASK.to_owned();
        }
    }
    let line = parts.join("\"");
    // `key = "value"` in TOML, `key: value` in YAML.
    let Some(at) = line.find(['=', ':']) else { return line };
    let (key, value) = (line[..at].trim().trim_matches(['"', '\'', '-', ' ']), line[at + 1..].trim());
    let bare = value.trim_matches(['"', '\'', ',']);
    let container = value.is_empty() || value.starts_with(['{', '[', '|', '>', '&', '*', '/']);
    if !is_secret_name(key) || container || bare.len() < 4 || is_reference(bare) || bare.contains(MASK) || key.contains('"') {
        return line;
    }
    line.replacen(bare, MASK, 1)
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
        ] {
            assert_eq!(mask_line(line), want);
        }
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
