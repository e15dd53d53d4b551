//! XML and JSON as text: what is well formed, and the tree that both are.

pub(crate) mod flag;
pub mod guard;
pub mod json;
pub mod records;
pub mod xml;
