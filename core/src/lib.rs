//! The rules of a telephone number's life.
//!
//! Plain values in, plain values out: no I/O, no async, no clock, no dice, no SQL, no XML. A function that
//! needs the time takes it as an argument, so that any decision can be taken again and checked.
//!
//! Files and folders stand from the ground up; each uses only what stands before it:
//! the ground ([`ids`], [`words`], [`time`], [`clock`], [`number`], [`name`], [`area_codes`],
//! [`geo`]); then
//! [`account`]: who has numbers and who may act; [`lifecycle`]: a number's states, its events and how long it
//! ages; [`import`]: what a file says of it; [`locality`]: where it lies; [`order`]: what a client asks and what
//! comes of it; [`reservation`]; [`notify`]: who is told what; [`report`]: what follows from the events; [`check`]: the proof
//! that what a store holds is right.

pub mod account;
pub mod area_codes;
pub mod check;
pub mod clock;
pub mod geo;
pub mod ids;
pub mod import;
pub mod lifecycle;
pub mod locality;
pub mod name;
pub mod notify;
pub mod number;
pub mod order;
pub mod report;
pub mod reservation;
pub mod time;
pub mod view;
pub mod words;
