//! onhook over HTTP.
//!
//! [`http`] does everything before a handler: it takes connections, finds the route and checks rights. It knows no
//! dialect. The handlers are in `bandwidth` (one file a resource) and `ops`. Each of these has a door of its own, which
//! decides how it reads, writes and refuses. The workers in `work` run accepted orders and notify subscribers by
//! [`callback`] and [`mail`]. There is no SQL here, and no rule of a number's life.

mod app;
mod bandwidth;
pub mod callback;
pub mod clock;
pub mod demo_data;
mod emulator;
mod expiry;
pub mod http;
mod kept;
mod lease;
pub mod limits;
pub mod mail;
mod metrics;
mod ops;
mod rating_place;
pub mod reports;
mod routes;
pub mod seeding;
mod server;
mod settings;
mod staged;
mod store_log;
mod streams;
mod under_way;
mod waiting;
mod watch;
mod work;

pub use crate::app::App;
pub use crate::bandwidth::prefix::PREFIXES;
pub use crate::http::auth;
pub use crate::http::route::Route;
pub use crate::routes::all as routes;
pub use crate::server::{Offline, Server, start};
pub use crate::settings::{Settings, Source};
