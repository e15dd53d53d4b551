//! The checks before every route (rights, rate, size, form), and the socket.

mod authorisation;
mod framing;
mod limits;
mod log;
