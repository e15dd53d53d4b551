//! The place of the file that a node rates: one at a time. Who sends or reads slowly keeps it only as long as nobody else
//! asks.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use onhook_core::time::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// After so long a wait for more of a file, or for its reader, the pace is looked at.
const PACE_WAIT: Duration = Duration::from_secs(60);
/// So many bytes have to have come or gone by then, if somebody else has asked meanwhile.
const PACE_BYTES: usize = 64 << 10;
/// Bytes that a reader takes at once, at most.
const PART: usize = 64 << 10;

/// A node's place for a file.
#[derive(Debug, Default)]
pub(crate) struct Place(Mutex<Option<Rater>>);

/// Who has the place.
#[derive(Debug)]
struct Rater {
    user: Arc<str>,
    since: Timestamp,
    /// How often somebody else has asked.
    asked: u64,
}

/// The place, until the last of its paces is dropped.
#[derive(Debug)]
struct Turn(Arc<Place>);

/// How fast the bytes of a file come, or go.
#[derive(Debug)]
pub(crate) struct Pace {
    turn: Arc<Turn>,
    /// How long was waited since the pace was looked at, and how many bytes came or went.
    waited: Duration,
    bytes: usize,
    /// How often somebody else had asked by then.
    asked: u64,
}

impl Place {
    /// Takes the place, and returns the pace of what comes.
    ///
    /// # Errors
    /// Who has it, and since when.
    pub(crate) fn take(self: &Arc<Self>, user: &Arc<str>, now: Timestamp) -> Result<Pace, String> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rater) = &mut *place {
            rater.asked += 1;
            return Err(format!("this node rates a file of {} since {}", rater.user, rater.since));
        }
        *place = Some(Rater { user: user.clone(), since: now, asked: 0 });
        let turn = Arc::new(Turn(self.clone()));
        Ok(Pace { turn, waited: Duration::ZERO, bytes: 0, asked: 0 })
    }
}

impl Pace {
    /// Returns the pace of what goes out in the same turn.
    pub(crate) fn of_reader(&self) -> Self {
        Self { turn: self.turn.clone(), waited: Duration::ZERO, bytes: 0, asked: self.asked }
    }

    /// Notes that so many bytes came or went after a wait. Returns false if they do so slowly that the turn ends.
    pub(crate) fn goes_on(&mut self, waited: Duration, bytes: usize) -> bool {
        self.waited += waited;
        self.bytes += bytes;
        if self.waited < PACE_WAIT {
            return true;
        }
        let place = self.turn.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = place.as_ref().map_or(0, |rater| rater.asked);
        let (slow, awaited) = (self.bytes < PACE_BYTES, asked > self.asked);
        (self.waited, self.bytes, self.asked) = (Duration::ZERO, 0, asked);
        !(slow && awaited)
    }

    /// Passes a part on, when its reader has room. Returns false if the turn ends, or nobody reads.
    async fn pass(&mut self, part: Bytes, parts: &mpsc::Sender<Bytes>) -> bool {
        let bytes = part.len();
        loop {
            let begun = Instant::now();
            let room = timeout(PACE_WAIT.saturating_sub(self.waited), parts.reserve()).await;
            match room {
                Ok(Ok(room)) => {
                    room.send(part);
                    return self.goes_on(begun.elapsed(), bytes);
                }
                Ok(Err(_)) => return false,
                Err(_) if !self.goes_on(begun.elapsed(), 0) => return false,
                Err(_) => {}
            }
        }
    }
}

/// Returns parts of a file as they are read. They are made apart from their reader, so that one who reads slowly loses the
/// turn, and what was made is dropped. The last part is then an error.
pub(crate) fn passed_on(
    made: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    mut pace: Pace,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let (sender, parts) = mpsc::channel(1);
    let making = tokio::spawn(async move {
        let gone = sender.clone();
        let pass = async {
            let mut made = Box::pin(made);
            while let Some(piece) = made.next().await {
                let mut piece = piece?;
                while !piece.is_empty() {
                    let part = piece.split_to(part_of(&piece));
                    if !pace.pass(part, &sender).await {
                        return Err(io::Error::other("it was read too slowly"));
                    }
                }
            }
            Ok(())
        };
        tokio::select! {
            () = gone.closed() => Ok(()),
            passed = pass => passed,
        }
    });
    stream::unfold(Some((parts, making)), |open| async {
        let (mut parts, making) = open?;
        if let Some(part) = parts.recv().await {
            return Some((Ok(part), Some((parts, making))));
        }
        let ended = making.await.map_err(io::Error::other).flatten();
        ended.err().map(|error| (Err(error), None))
    })
}

/// Returns how long the next part of a piece is: up to the last line end that fits, so that parts are whole lines.
fn part_of(piece: &[u8]) -> usize {
    let most = PART.min(piece.len());
    if most == piece.len() {
        return most;
    }
    piece[..most].iter().rposition(|byte| *byte == b'\n').map_or(most, |end| end + 1)
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
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

    /// The clock stands still, and goes on only while something is waited for.
    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_keeps_the_place_until_somebody_else_asks() {
        let (place, user) = (Arc::new(Place::default()), Arc::from("night run"));
        let take = || place.take(&user, Timestamp::from_millis(0));
        let pace = take().unwrap();
        let piece = Bytes::from(vec![b'1'; 8 * PACE_BYTES]);
        let made = stream::iter((0..3).map(move |_| Ok(piece.clone())));
        let mut read = Box::pin(passed_on(made, pace.of_reader()));
        let first = read.next().await.unwrap().unwrap();
        assert_eq!(first.len(), PART);
        tokio::time::sleep(PACE_WAIT * 3).await;
        // Nobody asked, so it goes on.
        for _ in 0..8 * PACE_BYTES / PART {
            read.next().await.unwrap().unwrap();
        }
        assert!(take().is_err());
        // Eight parts in a minute are fast enough.
        for _ in 0..8 {
            tokio::time::sleep(PACE_WAIT / 8).await;
            read.next().await.unwrap().unwrap();
        }
        drop(pace);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(take().is_err(), "it is still being read");
        tokio::time::sleep(PACE_WAIT * 2).await;
        assert!(take().is_ok(), "the reader took nothing for a minute while somebody asked");
        let mut rest = Vec::new();
        while let Some(part) = read.next().await {
            rest.push(part.map(|part| part.len()).map_err(|error| error.to_string()));
        }
        assert_eq!(
            rest.pop(),
            Some(Err("it was read too slowly".to_owned())),
            "it is not taken for the whole"
        );
        assert!(rest.len() <= 2, "what was made is dropped: {rest:?}");
    }

    #[tokio::test]
    async fn a_file_that_is_read_is_the_one_that_was_made_and_its_reader_s_going_ends_the_turn() {
        let (place, user) = (Arc::new(Place::default()), Arc::from("night run"));
        let take = || place.take(&user, Timestamp::from_millis(0));
        let lines: Vec<u8> = (0..100_000_u32).flat_map(|n| format!("{n}\n").into_bytes()).collect();
        let whole = Bytes::from(lines);
        let made = stream::iter([Ok(whole.slice(..70_000)), Ok(Bytes::new()), Ok(whole.slice(70_000..))]);
        let turn = take().unwrap().of_reader();
        let read: Vec<Bytes> = passed_on(made, turn).map(Result::unwrap).collect().await;
        assert_eq!(read.concat(), whole);
        let cut = read.iter().take(read.len() - 1).filter(|part| !part.ends_with(b"\n")).count();
        assert!(cut <= 1, "only what came in two pieces is cut within a line");
        let left = passed_on(stream::pending(), take().unwrap());
        assert!(take().is_err());
        drop(left);
        while take().is_err() {
            tokio::task::yield_now().await;
        }
        let broken = stream::iter([Ok(whole.clone()), Err(io::Error::other("a disk"))]);
        let read: Vec<_> = passed_on(broken, take().unwrap()).collect().await;
        assert_eq!(read.last().unwrap().as_ref().unwrap_err().to_string(), "a disk");
    }
}
