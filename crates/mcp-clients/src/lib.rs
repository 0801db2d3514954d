//! The applications that host MCP servers, as data; reading and planning their entries.
//!
//! A client is a descriptor (`clients/<id>.toml`) and fixtures (`fixtures/<id>/<case>/`). The modules: [`descriptor`] is the
//! schema, [`platform`] and [`text`] its two little languages (paths and variables), [`shape`] turns a neutral
//! [`entry::Entry`] into a client's dialect and back.

pub mod catalog;
pub mod descriptor;
pub mod entry;
pub mod platform;
pub mod shape;
pub mod text;

#[cfg(test)]
mod smoke {
    #[test]
    fn parse() {
        for (id, text) in include!(concat!(env!("OUT_DIR"), "/clients.rs")) as &[(&str, &str)] {
            crate::descriptor::Descriptor::parse(text, id).unwrap();
        }
    }
}
