//! The rules of a telephone number's life.
//!
//! Plain values in, plain values out: no I/O, no async, no clock, no dice, no SQL, no XML. Whatever
//! needs the time is handed it, so that any decision can be taken again and checked.
//!
//! From the ground up: a [`number`] moves through the [`lifecycle`], each move an [`event`]; an
//! [`order`] asks for moves and [`decide`] answers; a [`hold`] says how long an aging number rests;
//! [`locality`] says where it lies, from the [`plan`] and what an operator knows;
//! [`billing`] follows from the events; a [`subscription`] says who is told, a [`notification`] what;
//! [`check`] proves that what a store holds is right.

pub mod account;
pub mod application;
pub mod billing;
pub mod check;
pub mod decide;
pub mod event;
pub mod hold;
pub mod import;
pub mod lifecycle;
pub mod locality;
pub mod name;
pub mod notification;
pub mod number;
pub mod order;
pub mod plan;
pub mod premises;
pub mod release;
pub mod reservation;
pub mod search;
pub mod subscription;
pub mod time;
pub mod user;
