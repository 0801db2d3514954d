//! The pipeline that moves frames between clients and a server: transports, tap, route, bridge, observe.
//!
//! A [`Route`](route::Route) is a state machine without input or output: it is told what happened and says what to do. The
//! [`Hub`](hub::Hub) is the only part that does anything; it owns the route, the client side's [outlets](outlet) and the
//! server side's [upstream](upstream), all on one thread, so that nothing here needs a lock. [`shared`] is the route by which
//! many clients use one server. What was seen goes to [`observe`], which never holds up a frame.
//!
//! [`tap`] is the wrapper around one server of one client: it needs no hub, and no runtime.
//!
//! It knows nothing of clients' files, of the terminal, or of how processes of ours find each other.

pub mod acting;
pub mod hub;
pub mod observe;
pub mod outlet;
pub mod route;
pub mod shared;
pub mod status;
pub mod tap;
pub mod transport;
pub mod upstream;
