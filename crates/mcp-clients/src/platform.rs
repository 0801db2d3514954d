//! Paths as data: templates that give the right path for Linux, macOS and Windows on any of them.
//!
//! A template is a path written with `/` that may use
//!
//! | token | means |
//! | --- | --- |
//! | `~` at the start | the home directory |
//! | `{xdg}` | `$XDG_CONFIG_HOME` when it is an absolute path, else `~/.config` |
//! | `{support}` | `~/Library/Application Support` |
//! | `{appdata}`, `{localappdata}` | `%APPDATA%`, `%LOCALAPPDATA%` (Windows; with their usual defaults below the home) |
//! | `{programdata}`, `{programfiles}` | `%PROGRAMDATA%`, `%PROGRAMFILES%` (Windows) |
//! | `*` in a component | any text, matched against what is there |
//!
//! Everything is text here, so a test on Linux can say what a Windows machine would do.

use std::collections::BTreeMap;

/// The operating systems whose paths are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Os {
    /// Linux and other Unixes.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

impl Os {
    /// The one this program runs on.
    pub fn current() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::MacOs
        } else {
            Self::Linux
        }
    }

    /// All three.
    pub const ALL: [Self; 3] = [Self::Linux, Self::MacOs, Self::Windows];
}

/// The facts of a machine that paths depend on.
#[derive(Clone, Debug)]
pub struct Platform {
    /// The operating system.
    pub os: Os,
    /// The home directory.
    pub home: String,
    /// The environment.
    pub vars: BTreeMap<String, String>,
}

impl Platform {
    /// A variable that is set and not empty.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// The path a template stands for, with this system's separators. `value` replaces `{}`.
    pub fn expand(&self, template: &str, value: Option<&str>) -> String {
        let home = self.home.trim_end_matches(['/', '\\']);
        let mut path = match template.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{home}{rest}"),
            _ => template.to_owned(),
        };
        if let Some(value) = value {
            let ends: &[char] = if self.os == Os::Windows { &['/', '\\'] } else { &['/'] };
            path = path.replace("{}", value.trim_end_matches(ends));
        }
        let below_home = |rest: &str| format!("{home}/{rest}");
        let tokens: [(&str, &dyn Fn() -> String); 6] = [
            ("{xdg}", &|| match self.var("XDG_CONFIG_HOME") {
                Some(dir) if self.is_absolute(dir) => dir.trim_end_matches('/').to_owned(),
                _ => below_home(".config"),
            }),
            ("{support}", &|| below_home("Library/Application Support")),
            ("{appdata}", &|| self.var("APPDATA").map_or_else(|| below_home("AppData/Roaming"), str::to_owned)),
            ("{localappdata}", &|| self.var("LOCALAPPDATA").map_or_else(|| below_home("AppData/Local"), str::to_owned)),
            ("{programdata}", &|| self.var("PROGRAMDATA").unwrap_or("C:\\ProgramData").to_owned()),
            ("{programfiles}", &|| self.var("PROGRAMFILES").unwrap_or("C:\\Program Files").to_owned()),
        ];
        for (token, make) in tokens {
            if path.contains(token) {
                path = path.replace(token, &make());
            }
        }
        if self.os == Os::Windows { path.replace('/', "\\") } else { path }
    }

    /// Whether a path starts at a root on this system.
    pub fn is_absolute(&self, path: &str) -> bool {
        match self.os {
            Os::Windows => {
                let bytes = path.as_bytes();
                path.starts_with("\\\\")
                    || (bytes.len() > 2 && bytes[1] == b':' && matches!(bytes[2], b'\\' | b'/') && bytes[0].is_ascii_alphabetic())
            }
            Os::Linux | Os::MacOs => path.starts_with('/'),
        }
    }

    /// Two parts of a path joined with this system's separator.
    pub fn join(&self, folder: &str, rest: &str) -> String {
        let separator = if self.os == Os::Windows { '\\' } else { '/' };
        let rest = if self.os == Os::Windows { rest.replace('/', "\\") } else { rest.to_owned() };
        format!("{}{separator}{rest}", folder.trim_end_matches(['/', separator]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(os: Os, home: &str, vars: &[(&str, &str)]) -> Platform {
        Platform { os, home: home.to_owned(), vars: vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect() }
    }

    #[test]
    fn a_template_gives_each_systems_path() {
        let linux = platform(Os::Linux, "/home/me", &[]);
        assert_eq!(linux.expand("~/.claude.json", None), "/home/me/.claude.json");
        assert_eq!(linux.expand("{xdg}/zed/settings.json", None), "/home/me/.config/zed/settings.json");
        let moved = platform(Os::Linux, "/home/me", &[("XDG_CONFIG_HOME", "/x/")]);
        assert_eq!(moved.expand("{xdg}/zed/settings.json", None), "/x/zed/settings.json");
        let relative = platform(Os::Linux, "/home/me", &[("XDG_CONFIG_HOME", "x")]);
        assert_eq!(relative.expand("{xdg}/a", None), "/home/me/.config/a");
        let windows = platform(Os::Windows, "C:\\Users\\me", &[("APPDATA", "D:\\Roaming")]);
        assert_eq!(windows.expand("{appdata}/Zed/settings.json", None), "D:\\Roaming\\Zed\\settings.json");
        assert_eq!(windows.expand("{localappdata}/crush", None), "C:\\Users\\me\\AppData\\Local\\crush");
        assert_eq!(windows.expand("~/.claude.json", None), "C:\\Users\\me\\.claude.json");
        assert_eq!(windows.expand("{}/.claude.json", Some("D:\\c\\")), "D:\\c\\.claude.json");
        let mac = platform(Os::MacOs, "/Users/me/", &[]);
        assert_eq!(mac.expand("{support}/Claude/x.json", None), "/Users/me/Library/Application Support/Claude/x.json");
        assert_eq!(mac.expand("{}/.claude.json", Some("/c/")), "/c/.claude.json");
    }
}
