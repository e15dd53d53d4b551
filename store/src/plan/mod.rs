//! What a transaction does, as plain values: loaded by a store, planned here, applied by the store.
//!
//! There is no SQL here, and nothing is read or written. So every store does the same, a test needs no database, and a
//! plan that is not applied is a dry run. From the ground up: [`counts`] add up, [`batch`] changes numbers, [`tell`]
//! plans notifications, [`turns`] decides whose orders run next, and [`draw`] what a search of the pool takes. Above
//! them, one file for each kind of work: [`step`]s of orders, [`acts`] of people and their [`plans`], [`amendments`] of
//! orders, [`release`], [`reservations`],
//! [`moves`], [`imports`] of numbers and of [`exchanges`], [`subscriptions`] and their [`deliveries`], [`premises`] and
//! their [`applications`], [`users`], [`jobs`], and [`reports`]. [`deeds`] are what is written of some of that. [`check`] writes nothing: it finds what is wrong.

pub mod acts;
pub mod amendments;
pub mod applications;
pub mod batch;
pub mod check;
pub mod counts;
pub mod deeds;
pub mod deliveries;
pub mod draw;
pub mod exchanges;
pub mod imports;
pub mod jobs;
pub mod moves;
pub mod origin;
pub mod plans;
pub mod premises;
pub mod release;
pub mod reports;
pub mod reservations;
pub mod step;
pub mod subscriptions;
pub mod tell;
pub mod turns;
pub mod users;
