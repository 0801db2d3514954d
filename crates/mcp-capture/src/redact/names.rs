//! Names whose values are secret.

use std::collections::HashSet;

/// Names as they are folded: lower case, without `-`, `_`, `.` and blanks.
const EXACT: [&str; 42] = [
    "authorization",
    "proxyauthorization",
    "auth",
    "apikey",
    "xapikey",
    "apitoken",
    "xapitoken",
    "token",
    "accesstoken",
    "authtoken",
    "xauthtoken",
    "bearertoken",
    "refreshtoken",
    "idtoken",
    "sessiontoken",
    "sessionid",
    "mcpsessionid",
    "csrftoken",
    "xcsrftoken",
    "secret",
    "secrets",
    "clientsecret",
    "secretkey",
    "secretaccesskey",
    "awssecretaccesskey",
    "awssessiontoken",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "cookie",
    "cookies",
    "setcookie",
    "credential",
    "credentials",
    "connectionstring",
    "databaseurl",
    "codeverifier",
    "accountkey",
];

/// What a name ends with that says the same: `GITHUB_TOKEN`, `dbPassword`. Only behind a separator or a change of case would be
/// exact; as a plain ending `token` would take `progressToken`, hence the exceptions.
const ENDINGS: [&str; 9] =
    ["apikey", "accesstoken", "authtoken", "apitoken", "password", "passwd", "clientsecret", "secretkey", "privatekey"];

/// Endings that count only where the name is written as variables are: `GITHUB_TOKEN`, `x-token`.
const SEPARATE: [&str; 6] = ["token", "secret", "password", "key", "credentials", "pat"];

/// Names of the protocol and of models that only look like secrets.
const HARMLESS: [&str; 18] = [
    "progresstoken",
    "nextcursor",
    "cursor",
    "maxtokens",
    "tokens",
    "inputtokens",
    "outputtokens",
    "totaltokens",
    "tokencount",
    "tokenlimit",
    "tokentype",
    "authorizationendpoint",
    "tokenendpoint",
    "publickey",
    "primarykey",
    "sortkey",
    "partitionkey",
    "foreignkey",
];

/// Words one of which occurs in every secret name, and the beginnings of all shapes.
const HINTS: [&str; 32] = [
    "auth",
    "api",
    "token",
    "secret",
    "passw",
    "pwd",
    "passphrase",
    "key",
    "cookie",
    "credential",
    "session",
    "connection",
    "database",
    "verifier",
    "pat\"",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "sk-",
    "xox",
    "akia",
    "asia",
    "glpat-",
    "npm_",
    "hf_",
    "eyj",
    "bearer",
    "basic ",
    "://",
];

/// More of them, which would make the list above too long for a line.
const MORE_HINTS: [&str; 6] = ["aiza", "pypi-", "-----begin", "glptt-", "gldt-", "glrt-"];

/// Lower case without separators, or nothing if it is too long for a name.
fn folded(name: &str) -> Option<String> {
    (name.len() <= 80)
        .then(|| name.chars().filter(|c| !matches!(c, '-' | '_' | '.' | ' ')).map(|c| c.to_ascii_lowercase()).collect())
}

/// Whether values of this name are secret, as it is without configuration.
pub fn is_secret_name(name: &str) -> bool {
    let Some(word) = folded(name) else { return false };
    if HARMLESS.contains(&word.as_str()) {
        return false;
    }
    if EXACT.contains(&word.as_str()) || ENDINGS.iter().any(|ending| word.ends_with(ending)) {
        return true;
    }
    let last = name.rsplit(['-', '_', '.', ' ']).next().unwrap_or(name);
    last.len() < name.len() && SEPARATE.contains(&last.to_ascii_lowercase().as_str())
}

/// The rules with what configuration adds.
#[derive(Debug, Default)]
pub(super) struct Names {
    added: HashSet<String>,
    hints: Vec<String>,
}

impl Names {
    pub(super) fn with<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Self {
        let mut found = Self::default();
        for name in names {
            found.added.extend(folded(name.as_ref()).filter(|word| !word.is_empty()));
            // The name may be spelt with other separators than it was given with: its longest piece is enough of a hint.
            let piece = name.as_ref().split(['-', '_', '.', ' ']).max_by_key(|piece| piece.len()).unwrap_or_default();
            // With separators put elsewhere even that would be missed, so that its first letters must do.
            let end = piece.char_indices().nth(2).map_or(piece.len(), |(at, _)| at);
            found.hints.extend(Some(piece[..end].to_owned()).filter(|hint| !hint.is_empty()));
        }
        found
    }

    pub(super) fn is_secret(&self, name: &str) -> bool {
        is_secret_name(name.trim_start_matches('-'))
            || (!self.added.is_empty() && folded(name).is_some_and(|word| self.added.contains(&word)))
    }

    pub(super) fn hints(&self) -> Vec<String> {
        HINTS.iter().chain(&MORE_HINTS).map(|hint| (*hint).to_owned()).chain(self.hints.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_and_names_of_the_protocol_left_alone() {
        for name in [
            "authorization",
            "Authorization",
            "API_KEY",
            "api-key",
            "apiKey",
            "X-Api-Key",
            "GITHUB_TOKEN",
            "access_token",
            "refreshToken",
            "client_secret",
            "Set-Cookie",
            "dbPassword",
            "PRIVATE_KEY",
            "token",
            "Mcp-Session-Id",
            "OPENAI_API_KEY",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "progressToken",
            "progress_token",
            "nextCursor",
            "maxTokens",
            "max_tokens",
            "tokens",
            "inputTokens",
            "key",
            "name",
            "author",
            "keyboard",
            "tokenizer",
            "token_endpoint",
            "method",
            "id",
            "monkey",
            "public_key",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
