//! onhook over HTTP.
//!
//! [`http`] is what stands before a handler: it takes connections, finds the route, says who may do what, and knows no
//! dialect. The handlers are in `bandwidth` (one room a resource) and `ops`, each behind a door of its own, which
//! says how it reads, writes and refuses. What is accepted is run by the workers in `work`, which tell subscribers by
//! [`callback`] and [`mail`]. No SQL stands here, and no rule of a number's life.

mod app;
mod bandwidth;
pub mod callback;
pub mod clock;
pub mod demo_data;
mod expiry;
pub mod http;
pub mod limits;
pub mod mail;
mod metrics;
mod ops;
mod routes;
mod server;
mod settings;
mod store_log;
mod watch;
mod work;

pub use crate::app::App;
pub use crate::bandwidth::prefix::PREFIXES;
pub use crate::http::auth;
pub use crate::http::route::Route;
pub use crate::routes::all as routes;
pub use crate::server::{Server, start};
pub use crate::settings::Settings;
