//! The rules of a telephone number's life.
//!
//! Plain values in, plain values out: no I/O, no async, no clock, no randomness, no SQL, no XML. A function that
//! needs the time takes it as an argument. So any decision can be repeated and checked.
//!
//! From the ground up, each file or folder uses only those named before it:
//!
//! - the ground: [`ids`], [`words`], [`time`], [`clock`], [`number`], [`name`], [`area_codes`], [`geo`]
//! - [`account`]: who has numbers and who may act
//! - [`lifecycle`]: a number's states, its events and how long it ages; [`view`]: who may see it
//! - [`audit`]: what was done to orders and plans, and in the house
//! - [`import`]: what a file says of a number; [`locality`]: where a number lies
//! - [`order`]: what a client asks and what becomes of it; [`reservation`]: numbers held for an account
//! - [`notify`]: who is told what; [`report`]: what follows from the events
//! - [`job`]: work that outlasts a request
//! - [`setting`]: what an operator sets while the server runs
//! - [`check`]: the proof that what a store holds is right

pub mod account;
pub mod area_codes;
pub mod audit;
pub mod check;
pub mod clock;
pub mod geo;
pub mod ids;
pub mod import;
pub mod job;
pub mod lifecycle;
pub mod locality;
pub mod name;
pub mod notify;
pub mod number;
pub mod order;
pub mod report;
pub mod reservation;
pub mod setting;
pub mod time;
pub mod view;
pub mod words;
