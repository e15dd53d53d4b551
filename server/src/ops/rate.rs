//! Rating: call records in, the same lines out with who pays. The reply begins before the request has ended, so a file of
//! any length is rated in little memory.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::{HeaderName, HeaderValue, Method};
use jiff::tz::TimeZone;
use onhook_core::account::Role;
use onhook_core::account::user::Right;
use onhook_wire::ops::faults::{Faults, TRAILER};
use onhook_wire::ops::records::{Column, Cutter, Layout, Piece, Reader, TimeForm, Written};
use tokio::time::Instant;

use super::door::{self, OpsProblem};
use super::listing::{parsed, value};
use super::problem::Code;
use crate::app::App;
use crate::http::call::Call;
use crate::http::doc::{Doc, Form, Parameter, Shape, Told};
use crate::http::incoming::Reading;
use crate::http::refusal::Refusal;
use crate::http::reply::Reply;
use crate::http::route::{Needs, Route};
use crate::rating_place::{Pace, passed_on};

/// The type of call records.
const CSV: &str = "text/csv";
/// Pieces that are rated side by side: while one is read or written, the store is asked for another. Each takes some ten
/// times its bytes of memory meanwhile, with what the allocator keeps for the next.
const SIDE_BY_SIDE: usize = 2;

/// Where the columns are, and how they are written.
const LAYOUT: [Parameter; 8] = [
    Parameter::new("preset", Form::Word(&["asterisk", "freeswitch"]), "whose records they are"),
    Parameter::new("number", Form::Text("3"), "the column of the number that was called, by name or from 1"),
    Parameter::new("time", Form::Text("11"), "the column of the instant of the answer"),
    Parameter::new("seconds", Form::Text("14"), "the column of the seconds that they spoke"),
    Parameter::new("no_header", Form::Flag, "true if the first line is a record"),
    Parameter::new("delimiter", Form::Text(","), "what stands between two columns: one character, or tab"),
    Parameter::new(
        "time_format",
        Form::Text("rfc3339"),
        "rfc3339 (with its offset), unix, unix_ms, or a strftime pattern",
    ),
    Parameter::new(
        "time_zone",
        Form::Text("UTC"),
        "the zone of instants that name none; the server's time_zone if it is not there",
    ),
];

pub(crate) fn routes() -> Vec<Route> {
    let records = Shape::of(CSV, "called,answered,seconds\n5405514342,2026-11-24T03:49:04.153Z,60\n");
    let rated = Shape::of(
        CSV,
        "called,answered,seconds,onhook_account,onhook_charged_seconds,onhook_why\n\
         5405514342,2026-11-24T03:49:04.153Z,60,9900000,60,charged\n",
    );
    let doc = Doc::new("Says for each call of a file of records who pays for it.", Told::ok(rated))
        .query(&LAYOUT)
        .takes(records)
        .or(Told::new(409, "This node rates another file already."));
    vec![
        door::route(Method::POST, "/ops/v1/rate", Needs::Right(Role::Read, Right::Calls), doc, rate)
            .streaming(),
    ]
}

/// Reads how the records are written. What is said goes before the preset. `zone` is the operator's time zone.
fn layout(call: &Call, zone: &TimeZone) -> Result<Layout, OpsProblem> {
    let zone = match value(call, "time_zone") {
        None => zone.clone(),
        Some(zone) => TimeZone::get(zone)
            .map_err(|_| OpsProblem::wrong("time_zone is the name of a zone such as America/New_York"))?,
    };
    let column = |name: &str| value(call, name).map(Column::named);
    let mut layout = match value(call, "preset") {
        Some(name) => {
            Layout::preset(name, zone).ok_or_else(|| OpsProblem::wrong("preset is asterisk or freeswitch"))?
        }
        None => {
            let (Some(number), Some(time)) = (column("number"), column("time")) else {
                return Err(OpsProblem::wrong("say the columns number and time, or a preset"));
            };
            let form = TimeForm::Rfc3339;
            Layout { number, time, seconds: None, header: true, delimiter: b',', form, zone }
        }
    };
    layout.number = column("number").unwrap_or(layout.number);
    layout.time = column("time").unwrap_or(layout.time);
    layout.seconds = column("seconds").or(layout.seconds);
    if let Some(no_header) = parsed::<bool>(call, "no_header", "true or false")? {
        layout.header = !no_header;
    }
    if let Some(delimiter) = value(call, "delimiter") {
        layout.delimiter = match delimiter.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => *byte,
            _ if delimiter == "tab" => b'\t',
            _ => return Err(OpsProblem::wrong("delimiter is one character, or tab")),
        };
    }
    if let Some(form) = value(call, "time_format") {
        let wrong = || {
            OpsProblem::wrong(
                "time_format is rfc3339, unix, unix_ms, or a strftime pattern by which a date and its time can be read, \
                 such as %Y-%m-%d %H:%M:%S",
            )
        };
        layout.form = TimeForm::named(form).ok_or_else(wrong)?;
    }
    Ok(layout)
}

/// A file that is being rated.
struct File {
    body: Reading,
    cutter: Cutter,
    ended: bool,
    pace: Pace,
}

impl File {
    /// Returns the next piece. `None` at the end of the file.
    async fn next(&mut self) -> Result<Option<Piece>, Refusal> {
        loop {
            if let Some(piece) = self.cutter.next(self.ended) {
                return Ok(Some(piece));
            }
            if self.ended {
                return Ok(None);
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<(), Refusal> {
        let begun = Instant::now();
        let part = self.body.next().await?;
        let Some(part) = part else {
            self.ended = true;
            return Ok(());
        };
        self.cutter.add(&part);
        if self.pace.goes_on(begun.elapsed(), part.len()) { Ok(()) } else { Err(Refusal::BodyTimeout) }
    }
}

async fn rate(app: Arc<App>, call: Call) -> Result<Reply, OpsProblem> {
    let layout = layout(&call, app.settings.policy.zone())?;
    let busy = |why| OpsProblem::new(Code::TooManyJobs, format!("{why}: ask again when it is done"));
    let pace = app.rating.take(&call.caller.user, app.clock.now()).map_err(busy)?;
    let mut file =
        File { body: call.incoming.read(), cutter: Cutter::new(layout.delimiter), ended: false, pace };
    let read = file.pace.of_reader();
    while !file.cutter.is_text(file.ended).map_err(OpsProblem::wrong)? {
        file.more().await?;
    }
    let mut header = Vec::new();
    if layout.header {
        let line = loop {
            if let Some(line) = file.cutter.header(file.ended).map_err(OpsProblem::wrong)? {
                break line;
            }
            file.more().await?;
        };
        header = line;
    }
    let named = layout.reader(&header);
    let reader = named.map_err(OpsProblem::wrong)?;
    let header = if layout.header { layout.header(&header) } else { header };
    let header = Written::bare(header);
    let seen = Arc::new(Mutex::new(Seen { lines: header.lines, faults: Faults::default() }));
    let head = stream::iter([Ok(Bytes::from(header.out))]);
    let reader = Arc::new(reader);
    let pieces = stream::unfold(Some(file), |file| async move {
        let mut file = file?;
        match file.next().await {
            Ok(None) => None,
            Ok(Some(piece)) => Some((Ok(piece), Some(file))),
            Err(refusal) => Some((Err(refusal), None)),
        }
    });
    let rated = pieces.map(move |piece| rated(app.clone(), reader.clone(), piece)).buffered(SIDE_BY_SIDE);
    let at_the_end = seen.clone();
    let rated = rated.map(move |written| {
        let written = written?;
        seen.lock().unwrap_or_else(PoisonError::into_inner).add(&written);
        Ok(Bytes::from(written.out))
    });
    let reply = Reply::streamed(CSV, passed_on(head.chain(rated), read));
    Ok(reply.ending_with(HeaderName::from_static(TRAILER), move || {
        let seen = at_the_end.lock().unwrap_or_else(PoisonError::into_inner);
        HeaderValue::try_from(seen.faults.trailer()?).ok()
    }))
}

/// What went out of a file so far.
struct Seen {
    /// How many lines.
    lines: u64,
    faults: Faults,
}

impl Seen {
    fn add(&mut self, written: &Written) {
        self.faults.append(self.lines, &written.faults);
        self.lines += written.lines;
    }
}

/// Rates a piece.
async fn rated(app: Arc<App>, reader: Arc<Reader>, piece: Result<Piece, Refusal>) -> io::Result<Written> {
    let records = match piece.map_err(|refusal| io::Error::other(refusal.sentence()))? {
        Piece::Bare(part) => return Ok(Written::bare(part)),
        Piece::BadLine(fault, end) => return Ok(reader.bad_line(fault, &end)),
        Piece::Records(records) => records,
    };
    let read = reader.clone();
    let (records, numbers) = tokio::task::spawn_blocking(move || read.read(records)).await?;
    // The instant comes first: what is read after it holds up to it.
    let now = app.clock.now();
    let charges = app.store.charges(numbers).await.map_err(io::Error::other)?;
    Ok(tokio::task::spawn_blocking(move || reader.rated(&records, &charges, now)).await?)
}
