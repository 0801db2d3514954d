//! All clients we know: the built-in descriptors and those of the user.

use std::path::Path;

use crate::descriptor::{Descriptor, DescriptorError};

const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/clients.rs"));

/// The known clients, by id.
#[derive(Clone, Debug)]
pub struct Clients {
    all: Vec<Descriptor>,
}

impl Clients {
    /// The built-in descriptors.
    pub fn built_in() -> Self {
        let read = |(id, text): &(&str, &str)| Descriptor::parse(text, id).expect("a test reads every built-in descriptor");
        Self { all: BUILT_IN.iter().map(read).collect() }
    }

    /// The ids of the built-in clients, without reading their descriptors.
    pub fn built_in_ids() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(id, _)| *id)
    }

    /// The built-in descriptors and `*.toml` of a folder, which may also replace a built-in one by its id. Descriptors
    /// that cannot be used are returned as errors beside the others. A folder that is not there holds none.
    pub fn with_folder(folder: &Path) -> (Self, Vec<DescriptorError>) {
        let mut clients = Self::built_in();
        let mut errors = Vec::new();
        let mut files: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().filter_map(|e| Some(e.ok()?.path())).collect();
        files.retain(|p| p.extension().is_some_and(|e| e == "toml"));
        files.sort();
        for file in files {
            let origin = file.display().to_string();
            let read = std::fs::read_to_string(&file)
                .map_err(|e| DescriptorError::Parse { origin: origin.clone(), message: e.to_string() })
                .and_then(|text| Descriptor::parse(&text, &origin));
            match read {
                Ok(descriptor) => {
                    clients.all.retain(|d| d.id != descriptor.id);
                    clients.all.push(descriptor);
                }
                Err(error) => errors.push(error),
            }
        }
        clients.all.sort_by(|a, b| a.id.cmp(&b.id));
        (clients, errors)
    }

    /// All, sorted by id.
    pub fn all(&self) -> &[Descriptor] {
        &self.all
    }

    /// The client with this id.
    pub fn get(&self, id: &str) -> Option<&Descriptor> {
        self.all.iter().find(|d| d.id == id)
    }
}
