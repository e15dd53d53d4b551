//! Requests beside jobs: an accept while a file of numbers is imported, and orders while everything is exported, checked
//! and backed up again and again. And how long the undo of a large order takes.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::post;

/// `operator:password`.
const AUTHORIZATION: &str = "Basic b3BlcmF0b3I6cGFzc3dvcmQ=";
/// A job that takes longer than this has failed the measurement.
const JOB_MAX: Duration = Duration::from_secs(1_800);
const POLL: Duration = Duration::from_millis(50);
/// Bytes that are written at once.
const PART: usize = 1 << 18;

/// Sends a request, and returns the status and the body of its answer.
pub(crate) async fn ask(addr: SocketAddr, head: &str, of_type: &str, body: &[u8]) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(addr).await?;
    let head = format!(
        "{head} HTTP/1.1\r\nHost: {addr}\r\nAuthorization: {AUTHORIZATION}\r\nContent-Type: {of_type}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    for part in body.chunks(PART) {
        stream.write_all(part).await?;
    }
    let mut answer = Vec::new();
    timeout(JOB_MAX, stream.read_to_end(&mut answer)).await??;
    let answer = String::from_utf8(answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("half an answer")?;
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).context("no status")?;
    Ok((status.parse()?, body.to_owned()))
}

/// Returns the text under a key of a flat JSON document.
pub(crate) fn text<'a>(body: &'a str, key: &str) -> Option<&'a str> {
    body.split_once(&format!("\"{key}\":\""))?.1.split('"').next()
}

/// Takes a job, and returns its path.
async fn begin(addr: SocketAddr, kind: &str, query: &str, of_type: &str, body: &[u8]) -> Result<String> {
    let (status, said) = ask(addr, &format!("POST /ops/v1/{kind}{query}"), of_type, body).await?;
    ensure!(status == 202, "a job of {kind} was answered with {status}: {said}");
    Ok(format!("/ops/v1/{kind}/{}", text(&said, "id").context("a job without an id")?))
}

/// Waits until a job is in one of these states.
pub(crate) async fn reaches(addr: SocketAddr, path: &str, states: &[&str]) -> Result<()> {
    let begun = Instant::now();
    loop {
        let (_, said) = ask(addr, &format!("GET {path}"), "text/plain", b"").await?;
        let state = text(&said, "state").unwrap_or_default();
        if states.contains(&state) {
            return Ok(());
        }
        ensure!(!["refused", "cancelled", "failed"].contains(&state), "{path} has failed: {said}");
        ensure!(begun.elapsed() < JOB_MAX, "{path} does not end");
        sleep(POLL).await;
    }
}

/// Begins to import numbers to the pool, and returns the path of the job once it writes.
pub(crate) async fn import(addr: SocketAddr, numbers: impl Iterator<Item = u64>) -> Result<String> {
    let mut file = String::from("number\n");
    for number in numbers {
        file += &format!("{number:010}\n");
    }
    let path = begin(addr, "imports", "?kind=numbers&reason=benchmark", "text/csv", file.as_bytes()).await?;
    reaches(addr, &path, &["writing", "done"]).await?;
    Ok(path)
}

/// Exports, checks and backs up everything, one after the other and again and again. Ends only if one fails.
pub(crate) async fn all_the_time(addr: SocketAddr) -> Result<()> {
    loop {
        let (status, file) = ask(addr, "GET /ops/v1/exports/numbers", "text/plain", b"").await?;
        ensure!(status == 200, "an export was answered with {status}");
        if !file.ends_with("0\r\n\r\n") {
            bail!("an export was cut off");
        }
        for (kind, body) in
            [("checks", r#"{"deep": true}"#), ("backups", r#"{"name": "benchmark", "reason": "benchmark"}"#)]
        {
            let path = begin(addr, kind, "", "application/json", body.as_bytes()).await?;
            reaches(addr, &path, &["done"]).await?;
        }
    }
}

/// Disconnects numbers by an order and undoes it, and returns how long the undo took.
pub(crate) async fn undo(addr: SocketAddr, numbers: &[u64]) -> Result<Duration> {
    let post = async |path: &str, body: String, wanted| {
        let (status, said) =
            ask(addr, &format!("POST /ops/v1/{path}"), "application/json", body.as_bytes()).await?;
        ensure!(status == wanted, "{path} was answered with {status}: {said}");
        Ok(said)
    };
    let named: Vec<String> = numbers.iter().map(|number| format!("\"{number:010}\"")).collect();
    let body = format!(
        r#"{{"act": "disconnect", "account": "{}", "reason": "benchmark", "target": {{"numbers": [{}]}}}}"#,
        post::ACCOUNT,
        named.join(",")
    );
    let plan = post("plans", body, 201).await?;
    let (id, hash) = (text(&plan, "id").context("no plan")?, text(&plan, "hash").context("no hash")?);
    let applied = post(&format!("plans/{id}/apply"), format!(r#"{{"hash": "{hash}"}}"#), 200).await?;
    let order = text(&applied, "id").context("no order")?;
    let begun = Instant::now();
    let said = post(&format!("orders/{order}/undo"), r#"{"reason": "benchmark"}"#.to_owned(), 201).await?;
    let took = begun.elapsed();
    ensure!(said.contains(&format!("\"went\":{}", numbers.len())), "not all numbers are back: {said}");
    Ok(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_by_its_key() {
        let body = r#"{"id":"7","made_at":"x","state":"writing"}"#;
        assert_eq!(
            (text(body, "id"), text(body, "state"), text(body, "none")),
            (Some("7"), Some("writing"), None)
        );
    }
}
