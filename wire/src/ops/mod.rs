//! The documents of the operations API, in JSON: one file a resource. Ids are strings, times have milliseconds, telephone
//! numbers are E.164.

pub mod accounts;
pub mod acts;
pub mod areas;
pub mod calls;
pub mod deliveries;
pub mod exchange_file;
pub mod faults;
pub mod jobs;
pub mod number_file;
pub mod numbers;
pub mod orders;
pub mod plans;
pub mod premises;
pub mod records;
pub mod seed_file;
pub mod settings;
pub mod users;
