//! Who is told what happens to orders: [`subscription`] says who asked for what, [`notification`] what is due to whom
//! and how often a delivery is tried.

pub mod notification;
pub mod subscription;
