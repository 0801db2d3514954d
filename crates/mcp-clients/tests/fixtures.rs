//! Every fixture of every client: `fixtures/<id>/<case>/`.

use std::path::Path;

use mcp_clients::clients::Clients;

mod harness;

fn fixture(path: &Path) -> datatest_stable::Result<()> {
    let folder = path.parent().ok_or("case.toml is in a folder")?;
    let id = folder.parent().and_then(Path::file_name).ok_or("the folder is a client's")?.to_string_lossy();
    let clients = Clients::built_in();
    let client = clients.get(&id).ok_or_else(|| format!("there is no client `{id}`"))?;
    harness::run(client, folder)
}

datatest_stable::harness! {
    { test = fixture, root = "fixtures", pattern = r"case\.toml$" },
}
