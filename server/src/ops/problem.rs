//! The problems of the operations API: each has a code, and with it a status, a title and a page. None of these ever
//! changes; the detail may.

use http::StatusCode;

macro_rules! codes {
    ($($(#[doc = $meaning:literal])+ $name:ident = $status:ident $code:literal $title:literal;)+) => {
        /// The code of a problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code {
            $($(#[doc = $meaning])+ $name,)+
        }

        impl Code {
            /// All of them.
            pub(crate) const ALL: &'static [Code] = &[$(Code::$name,)+];

            /// Returns the word for programs.
            pub(crate) fn word(self) -> &'static str {
                match self {
                    $(Code::$name => $code,)+
                }
            }

            /// Returns the title for people.
            pub(crate) fn title(self) -> &'static str {
                match self {
                    $(Code::$name => $title,)+
                }
            }

            /// Returns the status.
            pub(crate) fn status(self) -> StatusCode {
                match self {
                    $(Code::$name => StatusCode::$status,)+
                }
            }

            /// Returns what it means and what to do, in a few sentences.
            pub(crate) fn meaning(self) -> &'static str {
                match self {
                    $(Code::$name => concat!($($meaning,)+).trim_ascii(),)+
                }
            }
        }
    };
}

codes! {
    /// The body is not JSON. The detail says where it stops being JSON.
    BadJson = BAD_REQUEST "bad_json" "The body is not JSON";
    /// What stands in the place of a telephone number is none. It is written as +15405550100 or with ten digits.
    BadNumber = BAD_REQUEST "bad_number" "The telephone number is none";
    /// A value is not one that is allowed there. The detail says which.
    BadValue = BAD_REQUEST "bad_value" "A value is not allowed";
    /// The body has a key that nothing is known of. A typing error must never widen an act, so it is refused.
    UnknownField = BAD_REQUEST "unknown_field" "The body has an unknown key";
    /// The query has a parameter that nothing is known of, or one twice.
    UnknownParameter = BAD_REQUEST "unknown_parameter" "The query has an unknown parameter";
    /// The cursor belongs to another list, other filters or another caller, or was changed. Begin the list again.
    BadCursor = BAD_REQUEST "bad_cursor" "The cursor is not of this list";
    /// What changes something needs a reason, 1 to 500 characters, for those who look for it later.
    ReasonRequired = BAD_REQUEST "reason_required" "A reason is required";
    /// The caller may not do this, or not on this account.
    Forbidden = FORBIDDEN "forbidden" "This is not allowed";
    /// A token does not do this: it would outlast the hour for which a token is good. Sign in with name and password.
    PasswordNeeded = FORBIDDEN "password_needed" "A password is needed, not a token";
    /// Nobody does this for themselves: another person has to.
    SamePerson = FORBIDDEN "same_person" "Another person has to do this";
    /// Nothing is at this path, or nothing that the caller may see.
    NotFound = NOT_FOUND "not_found" "There is nothing here";
    /// The number is not in this store, or the caller may not see it.
    NumberNotFound = NOT_FOUND "number_not_found" "The number is not in this store";
    /// The body arrived too slowly.
    BodyTooSlow = REQUEST_TIMEOUT "body_too_slow" "The body arrived too slowly";
    /// The body is longer than a body may be.
    BodyTooLarge = PAYLOAD_TOO_LARGE "body_too_large" "The body is too large";
    /// The body is of another type than this route takes.
    WrongContentType = UNSUPPORTED_MEDIA_TYPE "wrong_content_type" "The body has the wrong type";
    /// What was asked would be refused by the rules of a number's life. The detail says why. Nothing was done.
    Refused = CONFLICT "refused" "The number refuses this";
    /// Some numbers of the order cannot come back, and all of them were asked for. `refused` says why. Nothing was done:
    /// ask with `"partial": true` for those that can.
    UndoIncomplete = CONFLICT "undo_incomplete" "The order cannot be undone whole";
    /// No number goes: each is so already, or cannot go. `refused` says why. Nothing was done.
    NothingToDo = CONFLICT "nothing_to_do" "There is nothing to do";
    /// Only a disconnect order that has ended COMPLETE or PARTIAL can be undone, and none that purged. Nothing was done.
    NotUndoable = CONFLICT "not_undoable" "The order cannot be undone";
    /// The same request, or another one under the same Idempotency-Key, is under way. Ask again in a second.
    KeyInUse = CONFLICT "key_in_use" "The key is in use";
    /// Another request was sent under this Idempotency-Key. Nothing was done: use a new key for a new request.
    KeyReused = UNPROCESSABLE_ENTITY "key_reused" "The key was used for another request";
    /// This kind of work is done one at a time, and one is under way. Ask again when it has ended.
    TooManyJobs = CONFLICT "too_many_jobs" "Another one is under way";
    /// What was asked for is known for instants up to now only.
    AtInFuture = UNPROCESSABLE_ENTITY "at_in_future" "The instant lies ahead";
    /// There is an account with this id, or there was one: an id is never used again. Nothing was done.
    AccountExists = CONFLICT "account_exists" "The account exists";
    /// Another user has this name, compared without regard to case. Nothing was done.
    UserExists = CONFLICT "user_exists" "The user exists";
    /// The user is the only administrator of the account. Nothing was done: make another one first.
    LastAdmin = CONFLICT "last_admin" "It is the last administrator";
    /// Numbers are in service there, or it has peers, or it is the default and there are others: `why` says which. Nothing
    /// was done.
    HasNumbers = CONFLICT "has_numbers" "It is in use";
    /// The account has numbers in service, reserved or protected, or orders that have not ended. `numbers` counts them.
    /// Nothing was done: disconnect, cancel or set free what it has, and close it then. Aging numbers do not matter.
    AccountHasNumbers = CONFLICT "account_has_numbers" "The account has numbers";
    /// The configuration file, a variable or a flag of this server sets this, and they win. Nothing was changed: take it
    /// out there first.
    SetByConfiguration = CONFLICT "set_by_configuration" "The configuration sets this";
    /// The server failed. Its log says why. Ask again with the same Idempotency-Key.
    Internal = INTERNAL_SERVER_ERROR "internal" "The server failed";
    /// Too much is asked at this moment. Nothing was done: ask again in a second.
    Busy = SERVICE_UNAVAILABLE "busy" "The server is busy";
    /// The machine's clock cannot be believed, so nothing that is kept for ever is written.
    ClockNotBelieved = SERVICE_UNAVAILABLE "clock_not_believed" "The clock cannot be believed";
    /// The answer took too long. Whether it was done is not known: ask again with the same Idempotency-Key.
    Timeout = GATEWAY_TIMEOUT "timeout" "The answer took too long";
}

impl Code {
    /// Returns the code of a word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_another_one_and_is_found_by_its_word() {
        for code in Code::ALL {
            assert_eq!(Code::of(code.word()), Some(*code));
            assert!(code.meaning().ends_with('.') && !code.title().ends_with('.'), "{code:?}");
        }
        assert_eq!(Code::of("nothing"), None);
    }
}
