//! A number's life: which states there are, what may follow what, how long a number ages and why.
//!
//! From the ground up: [`diagram`] (states and steps), [`entry`] (a number now), [`area`] and [`policy`] (whose
//! demand counts, and which limits apply), [`hold`] (how long a number ages), [`provenance`] (under what someone
//! acts), [`event`] (what happened, and the fold that makes an entry of it), [`history`] (all that happened to a number), [`release`] (what time alone does),
//! [`explain`] (all of it in sentences), [`forecast`] (what the coming days bring).

pub mod area;
pub mod diagram;
pub mod entry;
pub mod event;
pub mod explain;
pub mod forecast;
pub mod history;
pub mod hold;
pub mod policy;
pub mod provenance;
pub mod release;
