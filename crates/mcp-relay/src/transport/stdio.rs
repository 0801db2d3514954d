//! A client over a pair of byte streams.
