//! One process per identity.
