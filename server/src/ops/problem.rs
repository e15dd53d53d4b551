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
    /// Something has happened to numbers of the plan since it was made: it would do something else now. Nothing was done.
    /// `changed` has up to 100 of these numbers, and `hash` is that of the plan as it is now: look at it again, and apply
    /// it with that one.
    PlanChanged = CONFLICT "plan_changed" "The plan is not what would happen now";
    /// A second person has to approve the plan before it is applied. Nothing was done.
    ApprovalNeeded = CONFLICT "approval_needed" "A second person has to approve the plan";
    /// The plan needs no second person: its maker may apply it alone.
    NoApprovalNeeded = CONFLICT "no_approval_needed" "Nobody has to approve the plan";
    /// The plan was applied or withdrawn, or its time is over. Make another one.
    PlanOver = CONFLICT "plan_over" "The plan is over";
    /// A user has 1,000 open plans, or all users have 10,000. Apply or withdraw some first.
    TooManyPlans = CONFLICT "too_many_plans" "There are too many open plans";
    /// The hash is none that this plan has had. Look at the plan, and send the hash that it has.
    WrongHash = UNPROCESSABLE_ENTITY "wrong_hash" "The hash is not the plan's";
    /// A number is there twice.
    DuplicateNumber = UNPROCESSABLE_ENTITY "duplicate_number" "A number is there twice";
    /// A plan has at most 5,000 numbers. Make several.
    TooManyNumbers = UNPROCESSABLE_ENTITY "too_many_numbers" "There are too many numbers";
    /// A filter names an account, a site, a peer, an area or a prefix at least, so that a typing error means not all
    /// numbers.
    FilterTooWide = UNPROCESSABLE_ENTITY "filter_too_wide" "The filter means too much";
    /// Who made a plan cannot be the second person for it, and nobody gives themselves a right.
    SamePerson = FORBIDDEN "same_person" "Another person has to do this";
    /// A token is not enough for this, since it would outlast the hour of the token: send name and password.
    PasswordNeeded = FORBIDDEN "password_needed" "A password is needed";
    /// The same request, or another one under the same Idempotency-Key, is under way. Ask again in a second.
    KeyInUse = CONFLICT "key_in_use" "The key is in use";
    /// Another request was sent under this Idempotency-Key. Nothing was done: use a new key for a new request.
    KeyReused = UNPROCESSABLE_ENTITY "key_reused" "The key was used for another request";
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
    /// The report's files have other hashes, or cannot be made again as they were. Nothing was done: read them again.
    ReportChanged = CONFLICT "report_changed" "The report is another one";
    /// The instant lies before the first import, so nothing is known of it.
    BeforeFirstImport = UNPROCESSABLE_ENTITY "before_first_import" "The instant lies before the first import";
    /// There is a snapshot of that name. Remove it first, or use another name.
    SnapshotExists = CONFLICT "snapshot_exists" "There is a snapshot of that name";
    /// The API has no such code, so no request and no number fails with it. docs/errors.md lists them.
    NotInTheApi = UNPROCESSABLE_ENTITY "unknown_code" "The API has no such code";
    /// This kind of work is done one at a time. One is under way, and no more may wait. Nothing was done: ask again when
    /// it has ended.
    TooManyJobs = CONFLICT "too_many_jobs" "Another one is under way";
    /// An import is under way. Imports do not wait for each other, and no report has a part of one. Nothing was done: ask
    /// again when it has ended.
    ImportRunning = CONFLICT "import_running" "An import is under way";
    /// A store in a database is backed up with the database's own tools.
    UseTheDatabase = CONFLICT "use_the_database" "The database does this itself";
    /// The server failed. Its log says why. Ask again with the same Idempotency-Key.
    Internal = INTERNAL_SERVER_ERROR "internal" "The server failed";
    /// Too much is asked at this moment. Nothing was done: ask again in a second.
    Busy = SERVICE_UNAVAILABLE "busy" "The server is busy";
    /// The machine's clock cannot be believed, so nothing that is kept for ever is written.
    ClockNotBelieved = SERVICE_UNAVAILABLE "clock_not_believed" "The clock cannot be believed";
    /// The user has 10 streams of events already, or the node 100. Close one, or ask by pages with wait_seconds.
    TooManyStreams = SERVICE_UNAVAILABLE "too_many_streams" "There are too many streams";
    /// Something that is due by the emulator's clock did not end in time, such as a delivery to a slow receiver. The clock
    /// stays where it came to. The same request again goes on to where the first one led.
    NotSettled = GATEWAY_TIMEOUT "not_settled" "Something due did not end in time";
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
