//! The audit trail: events with their positions, the seals over them, and the trait.
//!
//! An event is written in the transaction of what it tells. A little later it gets a position: 1, 2, 3 … without a gap,
//! in the order in which events are found committed. Positions are given under a seal, by one sealer at a time.

use async_trait::async_trait;
use onhook_core::audit::chain::Seal;
use onhook_core::audit::deed::{Deed, Recorded};
use onhook_core::audit::digest::Digest;
use onhook_core::audit::line::Line;
use onhook_core::ids::EventSeq;

use crate::Result;
use crate::contract::leases::LeaseToken;

/// The name of the lease under which positions are given.
pub const SEALER: &str = "audit";

/// A seal with the events under it, in the order of their positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The seal.
    pub seal: Seal,
    /// The events.
    pub seqs: Vec<EventSeq>,
    /// Their digests.
    pub digests: Vec<Digest>,
}

/// Events that have no position yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unsealed {
    /// The events, in the order in which they get positions.
    pub seqs: Vec<EventSeq>,
    /// Their digests at these positions.
    pub digests: Vec<Digest>,
    /// What the store knows them by, to be handed back with their seal.
    pub marks: Vec<i64>,
}

/// Events that have got later positions than their sequence numbers tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Late {
    /// The events.
    pub events: Vec<EventSeq>,
    /// The last position that there is. Those behind it were not looked at.
    pub looked: u64,
}

/// The audit trail.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Writes down what was done where nothing else is written with it, such as an export. What is written with an act
    /// is written in the act's own transaction.
    async fn write_deeds(&self, deeds: Vec<Deed>) -> Result<()>;

    /// Returns deeds behind `after`, in the order of their sequence numbers, at most `size`.
    async fn deeds(&self, after: EventSeq, size: usize) -> Result<Vec<Recorded>>;

    /// Returns the changes of accounts behind `after`, in the order of their sequence numbers, at most `size`.
    async fn account_changes(&self, after: EventSeq, size: usize) -> Result<Vec<Recorded>>;

    /// Returns events that have no position yet, at most `onhook_core::audit::chain::SEALED_MAX`, with their digests if
    /// they get the positions from `first` on.
    async fn unsealed(&self, first: u64) -> Result<Unsealed>;

    /// Returns how many events have no position yet.
    async fn unsealed_count(&self) -> Result<u64>;

    /// Writes the next seal, over events that [`Audit::unsealed`] returned with these marks.
    ///
    /// # Errors
    /// `LeaseLost` if the lease is over, `Conflict` if another one has sealed meanwhile. Nothing was written.
    async fn seal(&self, lease: LeaseToken, sealed: Sealed, marks: Vec<i64>) -> Result<()>;

    /// Returns the last seal.
    async fn head(&self) -> Result<Option<Seal>>;

    /// Returns seals behind a batch, in their order, at most `size`.
    async fn seals(&self, after: u64, size: usize) -> Result<Vec<Seal>>;

    /// Returns seals that reach behind a position, with the events under them, in their order, at most `size`.
    async fn sealed(&self, after: u64, size: usize) -> Result<Vec<Sealed>>;

    /// Returns the seal under which an event stands, with all events under it.
    async fn sealed_with(&self, event: EventSeq) -> Result<Option<Sealed>>;

    /// Returns the last event, by sequence number, under the seals up to a position. 0 if there are none.
    async fn last_sealed(&self, position: u64) -> Result<EventSeq>;

    /// Returns the events up to `to`, by sequence number, that have a position behind this one, or none yet; and the last
    /// position that there is.
    async fn late(&self, position: u64, to: EventSeq) -> Result<Late>;

    /// Returns those of some events that exist, in the order of their sequence numbers.
    ///
    /// # Errors
    /// `Broken` if one of them cannot be read.
    async fn lines(&self, events: Vec<EventSeq>) -> Result<Vec<Line>>;

    /// Returns the sequence numbers of events behind `after`, ascending, at most `size`.
    async fn seqs(&self, after: EventSeq, size: usize) -> Result<Vec<EventSeq>>;

    /// Returns the sequence numbers of all events that have no position yet.
    async fn unsealed_seqs(&self) -> Result<Vec<EventSeq>>;
}
