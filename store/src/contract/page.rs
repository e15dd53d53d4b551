//! Lists: a page of them, and how long one may be.

/// Where a page of a list begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start<T> {
    /// With the n-th page of this size, counted from 1.
    Page(u32),
    /// With this item.
    At(T),
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// What is on it.
    pub items: Vec<T>,
    /// How many items all pages have together.
    pub total: u64,
    /// Where the next page begins, if there is one.
    pub next: Option<C>,
}

/// Most users, sites or peers that a store lists at once.
pub const LIST_MAX: usize = 10_000;
