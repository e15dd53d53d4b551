//! What stands in front of every route: who may, how often, how much, in which form; and the socket.

mod authorisation;
mod framing;
mod limits;
mod log;
