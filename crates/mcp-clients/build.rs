//! Lists `clients/*.toml`, so that adding a client is adding a file.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it for build scripts");
    let folder = Path::new(&root).join("clients");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the crate has a folder `clients`")
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort_by_key(|p| p.file_stem().map(std::ffi::OsStr::to_os_string));
    let mut list = String::from("&[\n");
    for file in &files {
        let id = file.file_stem().expect("has an extension, so has a stem").to_string_lossy();
        writeln!(list, "    ({id:?}, include_str!({:?})),", file.display().to_string()).expect("writing to a string");
    }
    list.push(']');
    let out = env::var("OUT_DIR").expect("cargo sets it for build scripts");
    fs::write(Path::new(&out).join("clients.rs"), list).expect("OUT_DIR is writable");
}
