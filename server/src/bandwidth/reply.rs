//! What Bandwidth's API answers beside documents: problems in a resource's form, and where something new is.

use http::{StatusCode, header};
use onhook_store::StoreError;
use onhook_wire::error::{Family, Problem};

use crate::http::refusal::Refusal;
use crate::http::reply::Reply;

/// Seconds after which a client may try again where the server does not believe its clock: that takes a person, or a
/// network's time, a while.
const CLOCK_RETRY_AFTER_S: u16 = 60;

/// A refusal as a row of Bandwidth's.
impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied => Problem::AccessDenied,
            Refusal::NotYourAccount(account) => Problem::NotYourAccount(account),
            Refusal::NoResource => Problem::NoResource,
            Refusal::ContentType(wanted) => Problem::ContentType(wanted),
            Refusal::BodyTooLarge(max) => Problem::BodyTooLarge(max),
            Refusal::BodyTimeout => Problem::BodyTimeout,
            Refusal::BadRequest(why) => Problem::BadRequest(why.into_owned()),
            Refusal::Timeout => Problem::Timeout,
            Refusal::Busy => Problem::Busy,
            Refusal::Failed => Problem::Internal,
        }
    }
}

/// What is wrong, in the form of a resource.
pub(crate) fn problem(family: Family, problem: &Problem) -> Reply {
    refused(problem, family.body(problem, |_| {}))
}

/// What is wrong, with a body that says so.
pub(crate) fn refused(problem: &Problem, body: String) -> Reply {
    let status = StatusCode::from_u16(problem.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reply = Reply::xml(status, body);
    match problem {
        Problem::Busy => Refusal::Busy.told_in(reply),
        Problem::Clock => reply.with(header::RETRY_AFTER, &CLOCK_RETRY_AFTER_S.to_string()),
        Problem::BodyTooLarge(max) => Refusal::BodyTooLarge(*max).told_in(reply),
        Problem::BodyTimeout => Refusal::BodyTimeout.told_in(reply),
        _ => reply,
    }
}

/// 201, and where it is.
pub(crate) fn created(location: &str, body: String) -> Reply {
    Reply::xml(StatusCode::CREATED, body).with(header::LOCATION, location)
}

/// What the store's refusal is to a client. The cause is logged, and no client is told of it.
pub(crate) fn store_problem(error: StoreError) -> Problem {
    match error {
        StoreError::KeyReused => Problem::KeyReused(String::new()),
        error => Refusal::by_store(error).into(),
    }
}

/// The same where what does not go with what is there is a conflict.
pub(crate) fn conflict(error: StoreError) -> Problem {
    match error {
        StoreError::Conflict(why) => Problem::Conflict(why),
        error => store_problem(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_the_same_at_every_door() {
        for refusal in [
            Refusal::Denied,
            Refusal::NotYourAccount("9900001".into()),
            Refusal::NoResource,
            Refusal::ContentType("application/json"),
            Refusal::BodyTooLarge(7),
            Refusal::BodyTimeout,
            Refusal::BadRequest("why".into()),
            Refusal::Timeout,
            Refusal::Busy,
            Refusal::Failed,
        ] {
            let row = Problem::from(refusal.clone()).row();
            assert_eq!((row.status, &*row.text), (refusal.status().as_u16(), &*refusal.sentence()));
        }
    }
}
