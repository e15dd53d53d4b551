//! The place of the file that a node rates: one at a time. Who sends slowly keeps it only as long as nobody else asks.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onhook_core::time::Timestamp;

/// After so long a wait for more of a file its pace is looked at.
const PACE_WAIT: Duration = Duration::from_secs(60);
/// So many bytes have to have come by then, if somebody else has asked meanwhile.
const PACE_BYTES: usize = 64 << 10;

/// A node's place for a file.
#[derive(Debug, Default)]
pub(crate) struct Place(Mutex<Option<Rater>>);

/// Who has the place.
#[derive(Debug)]
struct Rater {
    user: Arc<str>,
    since: Timestamp,
    /// True if somebody else has asked since the pace was looked at.
    awaited: bool,
}

/// The place, until this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    place: Arc<Place>,
    /// How long was waited for more of the file, and what came, since the pace was looked at.
    waited: Duration,
    came: usize,
}

impl Place {
    /// Takes the place.
    ///
    /// # Errors
    /// Who has it, and since when.
    pub(crate) fn take(self: &Arc<Self>, user: &Arc<str>, now: Timestamp) -> Result<Turn, String> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rater) = &mut *place {
            rater.awaited = true;
            return Err(format!("this node rates a file of {} since {}", rater.user, rater.since));
        }
        *place = Some(Rater { user: user.clone(), since: now, awaited: false });
        Ok(Turn { place: self.clone(), waited: Duration::ZERO, came: 0 })
    }
}

impl Turn {
    /// Notes that so many bytes came after a wait. Returns false if they come so slowly that the turn ends.
    pub(crate) fn goes_on(&mut self, waited: Duration, bytes: usize) -> bool {
        self.waited += waited;
        self.came += bytes;
        if self.waited < PACE_WAIT {
            return true;
        }
        let mut place = self.place.0.lock().unwrap_or_else(PoisonError::into_inner);
        let awaited = place.as_mut().is_some_and(|rater| mem::take(&mut rater.awaited));
        let slow = self.came < PACE_BYTES;
        (self.waited, self.came) = (Duration::ZERO, 0);
        !(slow && awaited)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.place.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_slowly_keeps_the_place_until_somebody_else_asks() {
        let (place, user) = (Arc::new(Place::default()), Arc::from("night run"));
        let take = || place.take(&user, Timestamp::from_millis(0));
        let mut turn = take().unwrap();
        let (second, wait) = (Duration::from_secs(1), PACE_WAIT - Duration::from_secs(1));
        assert!(turn.goes_on(wait, 1) && turn.goes_on(second, 1), "nobody asks");
        let refused = take().unwrap_err();
        assert_eq!(refused, "this node rates a file of night run since 1970-01-01T00:00:00.000Z");
        assert!(turn.goes_on(wait, 1) && turn.goes_on(second, PACE_BYTES), "it is fast enough");
        assert!(turn.goes_on(wait, 1) && turn.goes_on(second, 1), "nobody has asked again");
        assert!(take().is_err());
        assert!(turn.goes_on(wait, 1), "the minute is not over");
        assert!(!turn.goes_on(second, 1));
        drop(turn);
        assert!(take().is_ok());
    }
}
