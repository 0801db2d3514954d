//! What is there: which clients are installed, their files, and the servers in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcp_edit::{Document, Place, Problem, Value};
use mcp_os::file::{self, Found, ReadError};

use crate::descriptor::{Descriptor, Scope, Switch};
use crate::entry::Entry;
use crate::locate::{self, Project, Sign, Site};
use crate::plan::tables;
use crate::platform::Platform;
use crate::shape::ReadError as EntryError;

/// One client on this machine.
#[derive(Debug)]
pub struct ClientReport<'c> {
    /// Its description.
    pub client: &'c Descriptor,
    /// Why we think it is installed, strongest first; empty when it is not.
    pub signs: Vec<Sign>,
    /// A file that takes over from all others, and what it does.
    pub managed: Option<(PathBuf, &'c str)>,
    /// Its files.
    pub files: Vec<FileReport<'c>>,
}

impl ClientReport<'_> {
    /// Whether there is any sign of it.
    pub fn is_installed(&self) -> bool {
        !self.signs.is_empty()
    }
}

/// One file of a client.
#[derive(Debug)]
pub struct FileReport<'c> {
    /// Where it is and what it is for.
    pub site: Site<'c>,
    /// The file behind all links; as named when it cannot be resolved.
    pub target: PathBuf,
    /// Whether it can be used.
    pub state: FileState,
    /// The servers in it, in file order.
    pub servers: Vec<Server>,
    /// What its client minds about it.
    pub warnings: Vec<String>,
}

/// Whether a file can be used.
#[derive(Debug)]
pub enum FileState {
    /// It can be read and written.
    Ok,
    /// There is none.
    Absent,
    /// It can be read only.
    ReadOnly,
    /// The system does not let us, or it is no file.
    Unreadable(Arc<ReadError>),
    /// It is no document of its format.
    Unparsable(Problem),
}

/// A server in a file.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name there.
    pub name: String,
    /// Where that stands.
    pub place: Place,
    /// The entry as it is.
    pub value: Value,
    /// What it means to its client.
    pub entry: Result<Entry, EntryError>,
    /// It is on the client's list of servers that are off, or its own switch says so.
    pub is_off: bool,
}

/// Looks at clients. `find` looks a program up on `PATH`.
pub fn survey<'c>(
    clients: impl IntoIterator<Item = &'c Descriptor>,
    platform: &Platform,
    project: &Project,
    find: impl Fn(&str) -> Option<PathBuf>,
) -> Vec<ClientReport<'c>> {
    let report = |client: &'c Descriptor| ClientReport {
        client,
        signs: locate::signs(client, platform, &find),
        managed: locate::managed(client, platform),
        files: read_files(locate::sites(client, platform, project)),
    };
    clients.into_iter().map(report).collect()
}

/// Reads the files of some sites, each file once.
pub fn read_files(sites: Vec<Site<'_>>) -> Vec<FileReport<'_>> {
    let mut order: Vec<PathBuf> = Vec::new();
    let mut by_path: BTreeMap<PathBuf, Vec<(usize, Site<'_>)>> = BTreeMap::new();
    for (i, site) in sites.into_iter().enumerate() {
        if !order.contains(&site.path) {
            order.push(site.path.clone());
        }
        by_path.entry(site.path.clone()).or_default().push((i, site));
    }
    let mut reports: Vec<(usize, FileReport<'_>)> = Vec::new();
    for path in order {
        reports.extend(read_one(&path, by_path.remove(&path).unwrap_or_default()));
    }
    reports.sort_by_key(|(i, _)| *i);
    reports.into_iter().map(|(_, report)| report).collect()
}

/// Reads one file for all sites in it.
fn read_one<'c>(path: &Path, sites: Vec<(usize, Site<'c>)>) -> Vec<(usize, FileReport<'c>)> {
    let plain = |site: Site<'c>, target: &Path, state| FileReport {
        target: target.to_path_buf(),
        state,
        servers: Vec::new(),
        warnings: site.warning.clone().into_iter().collect(),
        site,
    };
    let loaded = match file::read(path) {
        Ok(Found::File(loaded)) => loaded,
        Ok(Found::Absent(target)) => {
            return sites.into_iter().map(|(i, site)| (i, plain(site, &target.path, FileState::Absent))).collect();
        }
        Err(error) => {
            let error = Arc::new(error);
            let unreadable = |(i, site)| (i, plain(site, path, FileState::Unreadable(Arc::clone(&error))));
            return sites.into_iter().map(unreadable).collect();
        }
    };
    let target = loaded.target.path.clone();
    let format = sites.first().map(|(_, s)| s.file.format.editor());
    let parsed = mcp_edit::decode(&loaded.bytes).and_then(|text| Document::parse(text, format.unwrap_or(mcp_edit::Format::Json)));
    let document = match parsed {
        Ok(document) => document,
        Err(problem) => {
            return sites
                .into_iter()
                .map(|(i, site)| (i, plain(site, &target, FileState::Unparsable(problem.clone()))))
                .collect();
        }
    };
    let read = |(i, site): (usize, Site<'c>)| {
        let mut report = plain(site, &target, if loaded.read_only { FileState::ReadOnly } else { FileState::Ok });
        match servers(&report.site, &document) {
            Ok(servers) => report.servers = servers,
            Err(problem) => report.state = FileState::Unparsable(problem),
        }
        report.warnings.extend(warnings(&report.site, &document));
        let named_by = report.site.file.named_by.as_deref();
        let complaints = report.servers.iter().map(|s| report.site.client.complaint(&s.name, s.place.line, &s.value, named_by));
        report.warnings.extend(complaints.flatten());
        (i, report)
    };
    sites.into_iter().map(read).collect()
}

/// The servers of a site in its document.
fn servers(site: &Site<'_>, document: &Document<'_>) -> Result<Vec<Server>, Problem> {
    let (client, file) = (site.client, site.file);
    let off = match &client.entry.switch {
        Some(Switch::List(keys)) => document.get(&mcp_edit::Path::keys(keys.iter().cloned()))?.map(|n| n.value),
        _ => None,
    };
    let listed_off =
        |name: &str| off.as_ref().and_then(Value::as_array).is_some_and(|l| l.iter().any(|v| v.as_str() == Some(name)));
    let mut servers: Vec<Server> = Vec::new();
    for table in tables(file, site.project.as_deref()) {
        for member in document.members(&table, file.named_by.as_deref())?.unwrap_or_default() {
            // `mcp.servers` inside OpenCode's `mcp` is a table of servers, not a server.
            if tables(file, site.project.as_deref()).contains(&table.key(member.name.as_str())) {
                continue;
            }
            if client.entry.is_own(&member.node.value) {
                continue;
            }
            let entry = client.entry.read(&member.node.value, file.named_by.as_deref());
            let is_off = listed_off(&member.name) || entry.as_ref().is_ok_and(|e| !e.enabled);
            let place = Place::of(document.text(), member.name_span.start);
            servers.push(Server { name: member.name, place, value: member.node.value, entry, is_off });
        }
    }
    Ok(servers)
}

/// Leaves a project's file that several clients read to those of them that are installed, as long as one is.
pub fn leave_to_installed(reports: &mut [ClientReport<'_>]) {
    let of_installed: Vec<PathBuf> = reports
        .iter()
        .filter(|r| r.is_installed())
        .flat_map(|r| r.files.iter().filter(|f| f.site.file.scope == Scope::Project).map(|f| f.site.path.clone()))
        .collect();
    for report in reports.iter_mut().filter(|r| !r.is_installed()) {
        report.files.retain(|f| !of_installed.contains(&f.site.path));
    }
}

/// What the client minds about a file that we can read.
fn warnings(site: &Site<'_>, document: &Document<'_>) -> Vec<String> {
    let (client, file, text) = (&site.client.name, site.file, document.text());
    let mut warnings = Vec::new();
    if file.refuses_bom && text.starts_with('\u{feff}') {
        warnings.push(format!("{client} cannot read a file that starts with a byte order mark"));
    }
    if document.format() == mcp_edit::Format::Json && (file.refuses_comments || file.refuses_trailing_commas) {
        let lax = document.laxness();
        if let (true, Some(place)) = (file.refuses_comments, lax.comment) {
            warnings.push(format!("{client} cannot read comments in this file (line {})", Place::of(text, place).line));
        }
        if let (true, Some(place)) = (file.refuses_trailing_commas, lax.trailing_comma) {
            warnings.push(format!("{client} cannot read the trailing comma in line {}", Place::of(text, place).line));
        }
    }
    warnings
}

/// For each (client, name) the index of the definition that counts: the strongest scope, and in it the nearest file.
pub fn effective(client: &Descriptor, files: &[FileReport<'_>], name: &str) -> Option<usize> {
    let strength = |scope: Scope| client.precedence.iter().position(|s| *s == scope).unwrap_or(usize::MAX);
    let holds = |f: &FileReport<'_>| f.servers.iter().any(|s| s.name == name);
    files.iter().enumerate().filter(|(_, f)| holds(f)).min_by_key(|(i, f)| (strength(f.site.file.scope), *i)).map(|(i, _)| i)
}
