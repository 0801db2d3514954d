#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use super::{Catalog, CatalogError, EnvGiven, How, Launch, Runner, Server};
use crate::entry::{self, Entry, Stdio};
use crate::text::Text;

/// Packages whose repositories are archived; `servers.toml` must not send anybody there.
const ARCHIVED: [&str; 13] = [
    "aws-kb-retrieval",
    "brave-search",
    "everart",
    "gdrive",
    "github",
    "gitlab",
    "google-maps",
    "postgres",
    "puppeteer",
    "redis",
    "sentry",
    "slack",
    "sqlite",
];

fn value(name: &str, value: &str) -> (String, EnvGiven) {
    (name.to_owned(), EnvGiven::Value(value.to_owned()))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&w| w.to_owned()).collect()
}

fn every_launch() -> impl Iterator<Item = (&'static Server, &'static Launch)> {
    Catalog::embedded().all().iter().flat_map(|s| s.launches().iter().map(move |l| (s, l)))
}

/// What a user gives who answers every question, or only the required ones.
fn answers(server: &Server, launch: &Launch, all: bool) -> (Vec<(String, EnvGiven)>, Vec<String>) {
    let env = server.variables.iter().filter(|v| launch.uses(&v.name) && (all || v.required));
    let args = server.arguments.iter().filter(|a| launch.arguments().any(|n| n == a.name) && (all || a.required));
    (env.map(|v| value(&v.name, "given")).collect(), args.map(|_| "given".to_owned()).collect())
}

fn stdio(entry: &Entry) -> &Stdio {
    match &entry.launch {
        entry::Launch::Stdio(stdio) => stdio,
        entry::Launch::Remote(remote) => panic!("not local: {remote:?}"),
    }
}

fn line(entry: &Entry) -> String {
    let Stdio { command, args, .. } = stdio(entry);
    std::iter::once(command).chain(args).map(Text::to_string).collect::<Vec<_>>().join(" ")
}

fn all_texts(entry: &Entry) -> Vec<String> {
    match &entry.launch {
        entry::Launch::Stdio(s) => {
            std::iter::once(&s.command).chain(&s.args).chain(s.env.iter().map(|(_, v)| v)).map(Text::to_string).collect()
        }
        entry::Launch::Remote(r) => {
            std::iter::once(&r.url).chain(r.headers.iter().map(|(_, v)| v)).map(Text::to_string).collect()
        }
    }
}

#[test]
fn the_embedded_catalog_is_sound_and_has_the_names_people_expect() {
    let catalog = Catalog::parse(include_str!("../../servers.toml")).unwrap();
    for name in ["github", "filesystem", "memory", "fetch", "git", "time", "everything", "playwright", "sentry", "linear"] {
        assert!(catalog.get(name).is_some(), "{name}");
    }
    for name in ["notion", "postgres", "sqlite", "slack", "context7", "stripe", "Jira", "HF"] {
        assert!(catalog.get(name).is_some(), "{name}");
    }
    assert!(catalog.all().len() >= 25);
}

#[test]
fn no_entry_is_longer_than_a_line_or_points_to_an_insecure_address() {
    for (server, launch) in every_launch() {
        let Server { id, description, homepage, .. } = server;
        assert!(description.len() <= 100 && !description.contains('\n') && !description.ends_with('.'), "{id}: {description}");
        let variables = server.variables.iter().filter_map(|v| v.url.as_ref());
        for url in [homepage].into_iter().chain(&launch.source).chain(variables) {
            assert!(url.starts_with("https://"), "{id}: {url}");
        }
        if let How::Remote { url, .. } = &launch.how {
            assert!(url.to_string().starts_with("https://"), "{id}: {url}");
        }
    }
}

#[test]
fn no_entry_uses_an_archived_package() {
    for (server, launch) in every_launch() {
        if let How::Local { package, runner, .. } = &launch.how {
            for name in ARCHIVED {
                assert_ne!(*package, format!("@modelcontextprotocol/server-{name}"), "{}", server.id);
                assert_ne!(*package, format!("mcp-server-{name}"), "{}", server.id);
                assert_ne!(*package, format!("mcp/{name}"), "{}", server.id);
            }
            let version_less = match runner {
                Runner::Npm => package.rfind('@').is_none_or(|at| at == 0),
                Runner::Pypi => !package.contains(['=', '<', '>', '@']),
                Runner::Docker => !package.rsplit('/').next().unwrap().contains([':', '@']),
            };
            assert!(version_less, "{}: {package} has a version", server.id);
        }
    }
}

/// Names of people who hand over a secret are remembered as such; a description that speaks of a token is one.
#[test]
fn secrets_are_marked() {
    for (server, _) in every_launch() {
        for variable in &server.variables {
            let name = variable.name.to_ascii_lowercase();
            if ["token", "secret", "password", "api_key", "dsn", "connection"].iter().any(|word| name.contains(word)) {
                assert!(variable.secret, "{}: {}", server.id, variable.name);
            }
            assert!(!(variable.secret && variable.url.is_none() && variable.required), "where does {name} come from?");
        }
    }
}

#[test]
fn every_launch_resolves_with_what_it_requires_and_with_everything() {
    for (server, launch) in every_launch() {
        for all in [false, true] {
            let (env, args) = answers(server, launch, all);
            let entry = server.resolve(launch, &env, &args).unwrap_or_else(|m| panic!("{m}"));
            assert_eq!(entry.transport_word(), launch.transport_word());
            for text in all_texts(&entry) {
                assert!(!text.contains(['{', '}', '$']), "{}: a placeholder was written: {text}", server.id);
            }
            if all {
                let texts = all_texts(&entry);
                let written = texts.iter().filter(|t| t.contains("given")).count();
                assert_eq!(written, env.len() + args.len(), "{}: {texts:?}", server.id);
            }
        }
    }
}

#[test]
fn every_launch_refuses_and_names_each_required_thing_that_is_missing() {
    for (server, launch) in every_launch() {
        let (env, args) = answers(server, launch, false);
        if env.is_empty() && args.is_empty() {
            assert!(server.resolve(launch, &[], &[]).is_ok(), "{}", server.id);
            continue;
        }
        let missing = server.resolve(launch, &[], &[]).unwrap_err();
        let names: Vec<&str> = missing.variables.iter().map(|v| v.name.as_str()).collect();
        assert_eq!(names, env.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), "{}", server.id);
        assert_eq!(missing.arguments.len(), args.len(), "{}", server.id);
        let message = missing.to_string();
        for variable in &missing.variables {
            assert!(message.contains(&variable.name) && message.contains(&variable.description), "{message}");
            assert!(variable.url.as_ref().is_none_or(|url| message.contains(url)), "{message}");
        }
        for argument in &missing.arguments {
            assert!(message.contains(&argument.description), "{message}");
        }
        // One by one: leaving out any single variable is noticed.
        for left_out in 0..env.len() {
            let mut rest = env.clone();
            let (name, _) = rest.remove(left_out);
            let missing = server.resolve(launch, &rest, &args).unwrap_err();
            assert_eq!(missing.variables.iter().map(|v| &v.name).collect::<Vec<_>>(), [&name]);
        }
    }
}

#[test]
fn an_empty_value_counts_as_missing() {
    let github = Catalog::embedded().get("github").unwrap();
    let given = [value("GITHUB_PERSONAL_ACCESS_TOKEN", "")];
    assert_eq!(github.resolve(&github.launches()[0], &given, &[]).unwrap_err().variables.len(), 1);
}

#[test]
fn github_is_remote_with_a_bearer_token_and_docker_as_the_second_choice() {
    let github = Catalog::embedded().get("gh").unwrap();
    let [remote, docker] = github.launches() else { panic!("two launches") };
    let from_environment = [("GITHUB_PERSONAL_ACCESS_TOKEN".to_owned(), EnvGiven::FromEnvironment)];
    let entry = github.resolve(remote, &from_environment, &[]).unwrap();
    let entry::Launch::Remote(entry) = entry.launch else { panic!("remote") };
    assert_eq!(entry.url.as_literal(), Some("https://api.githubcopilot.com/mcp/"));
    assert_eq!(entry.headers[0].1.as_bearer_variable(), Some("GITHUB_PERSONAL_ACCESS_TOKEN"));

    let entry = github.resolve(docker, &[value("GITHUB_PERSONAL_ACCESS_TOKEN", "t$1")], &[]).unwrap();
    assert_eq!(line(&entry), "docker run -i --rm -e GITHUB_PERSONAL_ACCESS_TOKEN ghcr.io/github/github-mcp-server");
    assert_eq!(stdio(&entry).env, [("GITHUB_PERSONAL_ACCESS_TOKEN".to_owned(), Text::literal("t$1"))]);
}

#[test]
fn words_go_to_arguments_in_order_and_flags_to_the_end() {
    let catalog = Catalog::embedded();
    let resolve = |name: &str, given: &[&str]| {
        let server = catalog.get(name).unwrap();
        server.resolve(&server.launches()[0], &[], &words(given)).map(|e| line(&e))
    };
    let filesystem = "npx -y @modelcontextprotocol/server-filesystem";
    assert_eq!(resolve("filesystem", &["/a", "/b c"]), Ok(format!("{filesystem} /a /b c")));
    assert_eq!(resolve("filesystem", &["-x"]).unwrap_err().arguments[0].name, "folder");
    assert_eq!(resolve("git", &[]).unwrap(), "uvx mcp-server-git");
    assert_eq!(resolve("git", &["/r"]).unwrap(), "uvx mcp-server-git --repository /r");
    assert_eq!(resolve("git", &["-r", "/r"]).unwrap(), "uvx mcp-server-git -r /r");
    assert_eq!(resolve("git", &["/r", "-v"]).unwrap(), "uvx mcp-server-git --repository /r -v");
    assert_eq!(resolve("playwright", &["--headless"]).unwrap(), "npx -y @playwright/mcp --headless");
    assert!(resolve("sqlite", &["sqlite:///d.db"]).unwrap().ends_with(" --dsn sqlite:///d.db"));
    assert_eq!(resolve("linear", &["/x"]).unwrap_err().unusable, ["/x"]);
}

#[test]
fn unknown_variables_reach_local_servers_and_are_refused_for_remote_ones() {
    let catalog = Catalog::embedded();
    let extra = [value("DEBUG", "1")];
    let playwright = catalog.get("playwright").unwrap();
    let entry = playwright.resolve(&playwright.launches()[0], &extra, &[]).unwrap();
    assert_eq!(stdio(&entry).env, [("DEBUG".to_owned(), Text::literal("1"))]);
    let linear = catalog.get("linear").unwrap();
    let refusal = linear.resolve(&linear.launches()[0], &extra, &[]).unwrap_err();
    assert_eq!(refusal.unusable, ["DEBUG"]);
    assert_eq!(refusal.to_string(), "this launch of `linear` has no use for DEBUG");
}

#[test]
fn the_given_variables_choose_the_launch() {
    let catalog = Catalog::embedded();
    let choose = |name: &str, env: &[&str]| {
        let given: Vec<_> = env.iter().map(|n| value(n, "x")).collect();
        let server = catalog.get(name).unwrap();
        let chosen = server.launch_for(&given, |_| true).unwrap();
        server.launches().iter().position(|l| l == chosen)
    };
    assert_eq!(choose("huggingface", &[]), Some(0));
    assert_eq!(choose("huggingface", &["HF_TOKEN"]), Some(1));
    assert_eq!(choose("slack", &["SLACK_MCP_XOXB_TOKEN"]), Some(1));
    assert_eq!(choose("slack", &["UNKNOWN"]), Some(0));
    assert_eq!(choose("sentry", &["SENTRY_HOST", "SENTRY_ACCESS_TOKEN"]), Some(1));

    let github = catalog.get("github").unwrap();
    let stdio_only = |launch: &Launch| launch.transport_word() == "stdio";
    assert_eq!(github.launch_for(&[], stdio_only).map(Launch::kind_word), Some("docker"));
    assert_eq!(catalog.get("linear").unwrap().launch_for(&[], stdio_only), None);
}

#[test]
fn a_default_is_written_and_optional_parts_go() {
    let catalog = Catalog::parse(
        r#"
        [[server]]
        id = "x"
        title = "X"
        description = "d"
        publisher = "p"
        homepage = "https://x.example"
        verified = "2026-01-02"
        [[server.launch]]
        kind = "http"
        url = "https://${REGION}.x.example/mcp"
        headers = { X-Team = "${TEAM}", X-Fixed = "1" }
        source = "https://x.example/docs"
        [[server.variable]]
        name = "REGION"
        description = "r"
        default = "eu"
        [[server.variable]]
        name = "TEAM"
        description = "t"
        "#,
    )
    .unwrap();
    let x = catalog.get("x").unwrap();
    let texts = |given: &[(String, EnvGiven)]| all_texts(&x.resolve(&x.launches()[0], given, &[]).unwrap());
    assert_eq!(texts(&[]), ["https://eu.x.example/mcp", "1"]);
    assert_eq!(texts(&[value("REGION", "us"), value("TEAM", "a")]), ["https://us.x.example/mcp", "1", "a"]);
}

#[test]
fn a_mistyped_name_finds_its_neighbours() {
    let nearest = |name: &str| -> Vec<&str> { Catalog::embedded().nearest(name).iter().map(|s| s.id.as_str()).collect() };
    assert_eq!(nearest("gihtub"), ["github"]);
    assert_eq!(nearest("Filesytem"), ["filesystem"]);
    assert_eq!(nearest("hugging"), ["huggingface"]);
    assert_eq!(nearest("postgres-server"), ["postgres"]);
    assert_eq!(nearest("cloudflare"), ["cloudflare-docs"]);
    assert!(nearest("zzzzzz").is_empty());
    assert!(nearest("qq").is_empty());
}

#[test]
fn inconsistent_data_is_refused() {
    let with = |from: &str, to: &str| {
        let good = r#"
            [[server]]
            id = "x"
            title = "X"
            description = "d"
            publisher = "p"
            homepage = "https://x.example"
            verified = "2026-01-02"
            [[server.launch]]
            kind = "npm"
            package = "x"
            args = ["{a}"]
            env = { K = "${K}" }
            verified_version = "1"
            [[server.variable]]
            name = "K"
            description = "k"
            [[server.argument]]
            name = "a"
            description = "a"
        "#;
        assert!(good.contains(from));
        Catalog::parse(&good.replacen(from, to, 1))
    };
    assert!(with("{a}", "{a}").is_ok());
    for (from, to, says) in [
        ("{a}", "{b}", "not an argument"),
        ("${K}", "${L}", "not a variable"),
        ("${K}", "fixed", "no launch uses the variable"),
        ("{a}", "a", "no launch uses the argument"),
        ("2026-01-02", "yesterday", "not a date"),
        ("id = \"x\"", "id = \"X y\"", "small letters"),
        ("verified_version = \"1\"", "", "checked again"),
        ("package = \"x\"", "url = \"https://x.example\"", "a local launch has"),
        ("kind = \"npm\"", "kind = \"http\"", "a remote launch has"),
        ("title", "titel", "unknown field"),
    ] {
        let error = with(from, to).unwrap_err().to_string();
        assert!(error.contains(says), "{from} -> {to}: {error}");
    }
    let good = include_str!("../../servers.toml");
    let optional_in_address = good.replacen("mcp.exa.ai/mcp", "mcp.exa.ai/${EXA_API_KEY}", 1);
    assert!(Catalog::parse(&optional_in_address).unwrap_err().to_string().contains("stands in an address"));
    let twice = good.replacen("aliases = [\"gh\"]", "aliases = [\"git\"]", 1);
    assert_eq!(Catalog::parse(&twice), Err(CatalogError::Ambiguous("git".to_owned())));
}
