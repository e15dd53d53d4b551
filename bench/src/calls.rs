//! What a switch and a bill ask: where calls go, at a fixed pace beside running orders, and who pays for a file of call
//! records.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::measure::Measured;
use crate::numbers::{Shuffle, number_at};
use crate::{load, machine, post};

/// Questions of a switch, a second.
pub(crate) const PER_SECOND: u32 = 5_000;
/// Connections that a switch asks over.
const CONNECTIONS: usize = 16;
/// Records of the file.
pub(crate) const RECORDS: u64 = 3_000_000;
/// Bytes that are written at once.
const PART: usize = 1 << 18;
/// A file that takes longer than this has failed the measurement.
const PATIENCE: Duration = Duration::from_mins(10);

/// Asks where calls to numbers of the store go, in a random order, at a fixed pace.
pub(crate) async fn ask(addr: SocketAddr, numbers: u64, time: Duration) -> Result<Measured> {
    let shuffle = Shuffle::new(numbers);
    let connections = u64::try_from(CONNECTIONS)?;
    let request = move |connection: usize, n: u64, buffer: &mut Vec<u8>| {
        let at = n * connections + u64::try_from(connection).unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(&post::call(addr, number_at(shuffle.at(at % numbers))));
        true
    };
    load::run_paced(addr, CONNECTIONS, PER_SECOND, time, request).await
}

/// A file of call records that was rated.
pub(crate) struct Rated {
    /// From the first byte sent until the last was read.
    pub(crate) took: Duration,
    /// Bytes of the file.
    pub(crate) bytes: u64,
    /// The most memory that the server had meanwhile, in KiB.
    pub(crate) memory: u64,
}

/// Rates a file of [`RECORDS`] answered calls to numbers of the store, in a random order, by the server with this
/// process id.
pub(crate) async fn rate(addr: SocketAddr, process: u32, numbers: u64) -> Result<Rated> {
    let answered = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    let shuffle = Shuffle::new(numbers);
    let (caller, head) = ("4045550199,", "caller,called,answered,seconds\n");
    let mut line = format!("{caller}{:010},{answered},60\n", 0).into_bytes();
    let bytes = u64::try_from(head.len())? + RECORDS * u64::try_from(line.len())?;
    let asked = post::rate(addr, "number=called&time=answered&seconds=seconds", bytes);

    machine::forget_peak(process)?;
    let begun = Instant::now();
    let (mut answer, mut question) = TcpStream::connect(addr).await?.into_split();
    let sender = tokio::spawn(async move {
        question.write_all(asked.as_bytes()).await?;
        let mut part = head.as_bytes().to_vec();
        for at in 0..RECORDS {
            post::write_digits(&mut line[caller.len()..][..10], number_at(shuffle.at(at % numbers)));
            part.extend_from_slice(&line);
            if part.len() >= PART {
                question.write_all(&part).await?;
                part.clear();
            }
        }
        question.write_all(&part).await
    });
    let read = timeout(PATIENCE, charged(&mut answer)).await?;
    let took = begun.elapsed();
    sender.await??;
    let charged = read?;
    ensure!(charged == RECORDS, "{charged} of {RECORDS} calls were charged");
    Ok(Rated { took, bytes, memory: machine::peak(process)? })
}

/// Reads an answer to its end, and returns how many of its lines are charged.
async fn charged(answer: &mut (impl AsyncRead + Unpin)) -> Result<u64> {
    let (mut charged, mut received, mut rest) = (0, Vec::with_capacity(PART), 0);
    loop {
        received.drain(..rest);
        let had = received.len();
        if answer.read_buf(&mut received).await? == 0 {
            return Ok(charged);
        }
        if charged == 0 && had == 0 && !received.starts_with(b"HTTP/1.1 200") {
            bail!("the file was answered with {}", String::from_utf8_lossy(&received));
        }
        // A chunk ends with a line, so no frame lies within a mark.
        let end = received.len().saturating_sub(MARK.len() - 1);
        charged += u64::try_from(memchr::memmem::find_iter(&received, MARK).count())?;
        rest = end;
    }
}

/// Ends each line that is charged.
const MARK: &[u8] = b",charged\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_counted_wherever_they_are_cut() {
        let answer = b"HTTP/1.1 200 OK\r\n\r\na,charged\nb,aging\nc,charged\n";
        for cut in 1..answer.len() {
            let mut parts = answer[..cut].chain(&answer[cut..]);
            let counted = charged(&mut parts).await;
            // The status has to come in one piece.
            assert_eq!(counted.ok(), (cut >= b"HTTP/1.1 200".len()).then_some(2), "{cut}");
        }
    }
}
