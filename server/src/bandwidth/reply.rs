//! Bandwidth's answers other than documents: problems in a resource's form, and the location of something new.

use http::{StatusCode, header};
use onhook_store::StoreError;
use onhook_wire::error::{Family, Problem};

use crate::http::refusal::Refusal;
use crate::http::reply::Reply;

/// Seconds after which a client may try again if the server does not believe its clock. It takes a person, or a
/// network's time, a while to set it.
const CLOCK_RETRY_AFTER_S: u16 = 60;

/// Turns a refusal into one of Bandwidth's problems.
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

/// Returns a problem in the form of a resource.
pub(crate) fn problem(family: Family, problem: &Problem) -> Reply {
    refused(problem, family.body(problem, |_| {}))
}

/// Returns a problem with this body.
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

/// Returns 201 with the location.
pub(crate) fn created(location: &str, body: String) -> Reply {
    Reply::xml(StatusCode::CREATED, body).with(header::LOCATION, location)
}

/// Returns the problem that a client gets for an error of the store. The cause is logged, and not sent to the client.
pub(crate) fn store_problem(error: StoreError) -> Problem {
    match error {
        StoreError::KeyReused => Problem::KeyReused(String::new()),
        error => Refusal::by_store(error).into(),
    }
}

/// Returns the problem as [`store_problem`] does, but a conflict in the store is one for the client too.
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
