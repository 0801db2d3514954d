#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;
use crate::call::Options;

fn call(env: &[(&str, &str)]) -> Call {
    Call {
        options: Options::new(What::Command { program: "npx".into(), args: vec!["-y".into(), "@x/server".into()] }),
        cwd: "/home/u/project".into(),
        env: env.iter().map(|(k, v)| (k.into(), v.into())).collect(),
        pid: 1,
        version: "0.1.0".into(),
        ticket: None,
    }
}

fn id(call: &Call) -> Identity {
    identity(call, Some(Path::new("/usr/bin/npx")), b"salt", "")
}

/// A shell's environment, as clients that pass everything have it, with what they add.
const CLAUDE: &[(&str, &str)] = &[
    ("HOME", "/home/u"),
    ("PATH", "/usr/bin"),
    ("SHELL", "/bin/zsh"),
    ("LANG", "C.UTF-8"),
    ("TERM", "xterm-256color"),
    ("USER", "u"),
    ("LOGNAME", "u"),
    ("PWD", "/home/u/project"),
    ("OLDPWD", "/home/u"),
    ("SHLVL", "2"),
    ("_", "/usr/bin/claude"),
    ("COLORTERM", "truecolor"),
    ("TERM_PROGRAM", "iTerm.app"),
    ("ITERM_PROFILE", "Default"),
    ("DISPLAY", ":0"),
    ("XDG_SESSION_ID", "3"),
    ("XDG_CURRENT_DESKTOP", "GNOME"),
    ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/1/bus"),
    ("SSH_AUTH_SOCK", "/tmp/ssh"),
    ("SSH_CONNECTION", "1.2.3.4 5 6.7.8.9 22"),
    ("TMUX", "/tmp/tmux"),
    ("WINDOWID", "7"),
    ("CLAUDECODE", "1"),
    ("CLAUDE_CODE_ENTRYPOINT", "cli"),
    ("ANTHROPIC_API_KEY", "x"),
    ("ANTHROPIC_BASE_URL", "http://m"),
    ("VSCODE_GIT_IPC_HANDLE", "/tmp/v"),
    ("VSCODE_GIT_ASKPASS_NODE", "/n"),
    ("npm_config_user_agent", "npm"),
    ("INIT_CWD", "/home/u"),
    ("LS_COLORS", "x"),
    ("LC_TERMINAL", "iTerm2"),
    ("LC_TERMINAL_VERSION", "3"),
    ("HOSTNAME", "h"),
    ("GPG_TTY", "/dev/pts/1"),
    ("EDITOR", "vi"),
    ("MANPATH", "/m"),
    ("NVM_DIR", "/n"),
    ("MY_SERVER_TOKEN", "y"),
];

/// The eleven that Codex passes (fewer where they are not set).
const CODEX: &[(&str, &str)] = &[
    ("HOME", "/home/u"),
    ("PATH", "/usr/bin"),
    ("SHELL", "/bin/zsh"),
    ("LANG", "C.UTF-8"),
    ("TERM", "xterm"),
    ("USER", "u"),
    ("LOGNAME", "u"),
    ("LC_ALL", "C"),
    ("TMPDIR", "/tmp"),
    ("SSL_CERT_FILE", "/c"),
    ("__CF_USER_TEXT_ENCODING", "0x0"),
];

/// Everything but names that look like secrets, and what it adds.
const GEMINI: &[(&str, &str)] = &[
    ("HOME", "/home/u"),
    ("PATH", "/usr/bin"),
    ("SHELL", "/bin/zsh"),
    ("LANG", "C.UTF-8"),
    ("TERM", "screen"),
    ("USER", "u"),
    ("PWD", "/home/u/project"),
    ("GEMINI_CLI", "1"),
    ("GEMINI_CLI_NO_RELAUNCH", "true"),
    ("GOOGLE_GEMINI_BASE_URL", "http://m"),
    ("MY_SERVER_URL", "x"),
    ("COLORTERM", "truecolor"),
    ("XDG_RUNTIME_DIR", "/run/user/1"),
    ("SHLVL", "3"),
    ("CURSOR_TRACE_ID", "z"),
];

#[test]
fn three_clients_of_one_entry_have_one_identity() {
    let without = |env: &[(&str, &str)], dropped: &[&str]| {
        call(&env.iter().filter(|(n, _)| !dropped.contains(n)).copied().collect::<Vec<_>>())
    };
    let claude = without(CLAUDE, &["MY_SERVER_TOKEN"]);
    let gemini = without(GEMINI, &["MY_SERVER_URL"]);
    assert_eq!(variables(&claude), []);
    assert_eq!(variables(&gemini), []);
    assert_eq!(id(&claude), id(&call(CODEX)));
    assert_eq!(id(&claude), id(&gemini));
    // The two that were left out are what a server's own setting looks like, and tell servers apart.
    assert_ne!(id(&call(CLAUDE)), id(&claude));
    assert_ne!(id(&call(GEMINI)), id(&gemini));
}

#[test]
fn settings_of_servers_tell_them_apart() {
    let plain = id(&call(&[]));
    for name in [
        "GITHUB_TOKEN",
        "GITHUB_PERSONAL_ACCESS_TOKEN",
        "STRIPE_KEY",
        "MY_SECRET",
        "PGHOST",
        "PGPASSWORD",
        "DATABASE_URL",
        "MONGODB_URI",
        "SLACK_TEAM_DOMAIN",
        "AWS_REGION",
        "AWS_PROFILE",
        "AZURE_TENANT_ID",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "REDIS_URL",
        "NODE_OPTIONS",
        "PYTHONPATH",
        "VIRTUAL_ENV",
        "JIRA_HOST",
        "DB",
        "OPENSEARCH_ENDPOINT",
        "KUBECONFIG",
        "API_BASE",
        "ghost_token",
    ] {
        assert!(matters(name, &[]), "{name}");
        assert_ne!(id(&call(&[(name, "1")])), plain, "{name}");
        assert_ne!(id(&call(&[(name, "1")])), id(&call(&[(name, "2")])), "{name}");
    }
    for name in ["EDITOR", "PAGER", "MONKEY", "COMPASS", "TZ", "DEBUG", "HTTP_PROXY", "PATH"] {
        assert!(!matters(name, &[]), "{name}");
    }
}

#[test]
fn the_rule_is_documented_as_it_is() {
    let page = include_str!("../../../../docs/run-once.md");
    let lists = [IGNORED, &WORDS, &ANYWHERE, &FAMILIES, &NAMES];
    let missing: Vec<_> = lists.into_iter().flatten().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, Vec::<&&str>::new());
}

#[test]
fn a_variable_that_is_named_counts_even_if_ignored() {
    let mut with = call(&[("OPENAI_API_KEY", "1")]);
    assert_eq!(id(&with), id(&call(&[])));
    with.options.env_keys = vec!["OPENAI_API_KEY".into()];
    assert_ne!(id(&with), id(&call(&[])));
}

#[test]
fn command_directory_options_and_isolation_tell_servers_apart() {
    let base = call(&[]);
    let mut others = vec![base.clone(); 5];
    others[0].options.what = What::Command { program: "npx".into(), args: vec!["-y@x/server".into()] };
    others[1].cwd = "/elsewhere".into();
    others[2].options.upstream_era = "modern".into();
    others[3].options.what = What::Dummy { program: "npx".into(), args: vec!["-y".into(), "@x/server".into()] };
    others[4].options.what = What::Url("https://example.com".into());
    for other in &others {
        assert_ne!(id(other), id(&base), "{other:?}");
    }
    assert_ne!(identity(&base, Some(Path::new("/usr/bin/npx")), b"salt", "client 1"), id(&base));
    assert_ne!(identity(&base, Some(Path::new("/opt/npx")), b"salt", ""), id(&base));
    let mut same = base.clone();
    same.options.name = Some("n".into());
    same.pid = 9;
    same.version = "9.9.9".into();
    assert_eq!(id(&same), id(&base), "a name, a process and a version do not");
}

#[test]
fn hashes_hide_values_and_depend_on_the_salt() {
    let hash = |salt: &[u8], value: &str| hash_of_value(salt, OsStr::new("A"), OsStr::new(value));
    assert_eq!(hash(b"s", "v"), hash(b"s", "v"));
    assert_ne!(hash(b"s", "v"), hash(b"t", "v"));
    assert_ne!(hash(b"s", "v"), hash(b"s", "w"));
    assert!(!hash(b"s", "verysecret").contains("verysecret"));
}

#[test]
fn commands_have_names_a_person_would_give() {
    let name = |words: &[&str]| {
        let mut words = words.iter();
        short_name(&What::Command { program: words.next().unwrap().into(), args: words.map(Into::into).collect() })
    };
    assert_eq!(name(&["npx", "-y", "@playwright/mcp@latest"]), "mcp");
    assert_eq!(name(&["npx", "-y", "@modelcontextprotocol/server-memory"]), "server-memory");
    assert_eq!(name(&["uvx", "mcp-server-git==1.2"]), "mcp-server-git");
    assert_eq!(name(&["/usr/local/bin/github-mcp-server", "stdio"]), "github-mcp-server");
    assert_eq!(name(&["node", "/srv/build/index.js"]), "index");
    assert_eq!(name(&["python3", "-m", "my_server"]), "my_server");
    assert_eq!(name(&["mcp", "serve", "calculator"]), "calculator");
    assert_eq!(name(&["docker", "run", "-i", "--rm", "ghcr.io/github/github-mcp-server:v1"]), "github-mcp-server");
    assert_eq!(name(&["sh"]), "sh");
    assert_eq!(short_name(&What::Url("https://mcp.example.com/mcp".into())), "example.com");
    assert!(check_name("a-b_c.1").is_ok());
    for bad in ["", ".hidden", "a/b", "-x", "ä"] {
        assert!(check_name(bad).is_err(), "{bad}");
    }
}
