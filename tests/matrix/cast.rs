//! Who takes part: the clients and servers of the official SDKs, by the eras they speak.

use std::path::Path;

use crate::peers::{self, Stop};

/// Which eras a peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Eras {
    Legacy,
    Modern,
    Dual,
}

impl Eras {
    pub(crate) const ALL: [Self; 3] = [Self::Legacy, Self::Modern, Self::Dual];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
            Self::Dual => "dual",
        }
    }
}

/// An SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sdk {
    TypeScript1,
    TypeScript2,
    Python1,
    Python2,
    Rust,
}

impl Sdk {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::TypeScript1 => "ts1",
            Self::TypeScript2 => "ts2",
            Self::Python1 => "py1",
            Self::Python2 => "py2",
            Self::Rust => "rmcp",
        }
    }

    /// For the table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::TypeScript1 => "TypeScript 1",
            Self::TypeScript2 => "TypeScript 2",
            Self::Python1 => "Python 1",
            Self::Python2 => "Python 2",
            Self::Rust => "rmcp",
        }
    }

    /// What runs a script of this SDK, up to the arguments of the script itself.
    fn script(self, role: &str) -> Result<Vec<String>, Stop> {
        let packages = format!("mcp-sdk-{}", self.word());
        let name = format!("{}_{role}", self.word());
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/matrix");
        let words = match self {
            Self::TypeScript1 | Self::TypeScript2 => {
                vec![peers::node()?, scripts.join(format!("{name}.mjs")), peers::npm(&packages)?]
            }
            Self::Python1 | Self::Python2 => {
                vec![peers::python(&packages)?, "-B".into(), scripts.join(format!("{name}.py"))]
            }
            Self::Rust if role == "server" => vec![peers::fixture()?],
            Self::Rust => vec![peers::fixture_client()?],
        };
        Ok(words.into_iter().map(|word| word.display().to_string()).collect())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) sdk: Sdk,
    pub(crate) eras: Eras,
}

impl Client {
    /// The command; its last argument, the server, is for the caller to add.
    pub(crate) fn words(self) -> Result<Vec<String>, Stop> {
        let mut words = self.sdk.script("client")?;
        words.push(self.eras.word().to_owned());
        Ok(words)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) sdk: Sdk,
    pub(crate) eras: Eras,
    /// Whether it runs elsewhere and is reached over HTTP.
    pub(crate) is_remote: bool,
}

impl Server {
    /// For the names of trials.
    pub(crate) fn word(self) -> String {
        format!("{}{}_{}", if self.is_remote { "remote_" } else { "" }, self.sdk.word(), self.eras.word())
    }

    /// For the table.
    pub(crate) fn title(self) -> String {
        format!("{}{}", if self.is_remote { "remote " } else { "" }, self.sdk.title())
    }

    /// The eras, as the servers take them.
    pub(crate) fn eras_word(self) -> &'static str {
        match self.eras {
            Eras::Dual => "both",
            one => one.word(),
        }
    }

    /// The command of a server on stdio.
    pub(crate) fn words(self) -> Result<Vec<String>, Stop> {
        let mut words = self.sdk.script("server")?;
        let eras = self.eras_word();
        match self.sdk {
            Sdk::Rust => words.extend(["--stdio", "--eras", eras].map(str::to_owned)),
            Sdk::TypeScript2 => words.push(eras.to_owned()),
            // These have no choice.
            Sdk::TypeScript1 | Sdk::Python1 | Sdk::Python2 => {}
        }
        Ok(words)
    }
}

const fn client(sdk: Sdk, eras: Eras) -> Client {
    Client { sdk, eras }
}

const fn server(sdk: Sdk, eras: Eras) -> Server {
    Server { sdk, eras, is_remote: false }
}

const fn remote(sdk: Sdk, eras: Eras) -> Server {
    Server { sdk, eras, is_remote: true }
}

/// All clients.
pub(crate) const CLIENTS: [Client; 11] = [
    client(Sdk::TypeScript1, Eras::Legacy),
    client(Sdk::Python1, Eras::Legacy),
    client(Sdk::TypeScript2, Eras::Legacy),
    client(Sdk::Python2, Eras::Legacy),
    client(Sdk::Rust, Eras::Legacy),
    client(Sdk::TypeScript2, Eras::Modern),
    client(Sdk::Python2, Eras::Modern),
    client(Sdk::Rust, Eras::Modern),
    client(Sdk::TypeScript2, Eras::Dual),
    client(Sdk::Python2, Eras::Dual),
    client(Sdk::Rust, Eras::Dual),
];

/// All servers.
pub(crate) const SERVERS: [Server; 11] = [
    server(Sdk::TypeScript1, Eras::Legacy),
    server(Sdk::Python1, Eras::Legacy),
    server(Sdk::Rust, Eras::Legacy),
    remote(Sdk::Rust, Eras::Legacy),
    server(Sdk::TypeScript2, Eras::Modern),
    server(Sdk::Rust, Eras::Modern),
    remote(Sdk::Rust, Eras::Modern),
    server(Sdk::TypeScript2, Eras::Dual),
    server(Sdk::Python2, Eras::Dual),
    server(Sdk::Rust, Eras::Dual),
    remote(Sdk::Rust, Eras::Dual),
];
