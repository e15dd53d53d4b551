//! Pages of lists, and how long a list can be.

/// Where a page of a list begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start<T> {
    /// At the n-th page of the query's size, counted from 1.
    Page(u32),
    /// At this item.
    At(T),
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The items on it.
    pub items: Vec<T>,
    /// The number of items on all pages.
    pub total: u64,
    /// The first item of the next page, if there is one.
    pub next: Option<C>,
}

/// Most users, sites or peers in one list.
pub const LIST_MAX: usize = 10_000;
