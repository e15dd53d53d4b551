//! The table of what can be wrong as a list: each row once, where it arises, and what to do about it.
//!
//! A [`Problem`] or [`Refusal`] without a row here does not compile. `docs/errors.md` is written from it.
//!
//! Not here: status, code and text ([`crate::error`] has them).

use onhook_core::ids::AccountId;
use onhook_core::ids::OrderId;
use onhook_core::notify::subscription::OrderType;
use onhook_core::order::Refusal;

use crate::error::{Criterion, Problem, Row, refusal};

/// Stands for any text or figure in an example.
pub const ANY: &str = "…";
/// Stands for any number in an example.
pub const ANY_NUMBER: u32 = 987_654_321;
/// Stands for any length in an example.
const ANY_LENGTH: usize = 987_654_321;

/// A row of the table.
#[derive(Clone, Debug)]
pub struct Explained<T> {
    /// An example, with [`ANY`] and [`ANY_NUMBER`] for what depends on the request.
    pub what: T,
    /// Where it arises.
    pub at: &'static str,
    /// What it means and what to do. Empty where the text says it all.
    pub hint: &'static str,
}

/// Stands for any account in an example.
const ANY_ACCOUNT: AccountId = AccountId::new(ANY_NUMBER).expect("not 0");
/// Stands for any order's id in an example.
pub const ANY_ORDER: OrderId = OrderId(uuid::Uuid::from_u128(0x9876_5432_0000_4000_8000_0000_0000_0000));

macro_rules! table {
    ($name:ident, $kind:ident: $($variant:ident $(($($value:expr),*))? => $at:literal, $hint:literal;)*) => {
        /// All rows, in the order of the code.
        #[must_use]
        pub fn $name() -> Vec<Explained<$kind>> {
            vec![$(Explained { what: $kind::$variant $(($($value),*))?, at: $at, hint: $hint }),*]
        }

        // Does not compile while a variant has no row.
        #[allow(unreachable_patterns, reason = "a variant may have several rows")]
        const _: fn($kind) = |what| match what { $($kind::$variant { .. } => {})* };
    };
}

fn any() -> String {
    ANY.to_owned()
}

#[rustfmt::skip]
table! { problems, Problem:
    BadRequest(any())      => "any document; an `Idempotency-Key`", "Malformed XML or JSON, another root element, or a malformed key. The words in brackets say which.";
    Refused(any())         => "the server's own routes", "The text itself says what is wrong.";
    Twice(ANY)             => "an element or a query parameter", "It takes one value and was sent twice.";
    DuplicateKey(any())    => "JSON", "An object has a key twice.";
    KeyReused(any())       => "an `Idempotency-Key`", "It was used for a different request. Use a new key for a new order.";
    Required(ANY)          => "`Name or CustomerOrderId` of a disconnect in v1; `Description` of a note; `accountId` of GET `/tns`, asked by an operator", "A disconnect with a `CustomerOrderId` needs no name.";
    NotAllowed(ANY)        => "`EmailSubscription`; `ServiceType` of an application", "The operator has set no mail server. The service of an application never changes: create another application.";
    ModifiedWith(any())    => "`modifiedDateFrom` and `modifiedDateTo` of GET `/tns`", "Combine them only with `accountId`, `siteId`, `sippeerId` and `status`.";
    ServiceWith(any())     => "`service` of GET `/tns`", "";
    TooLong(ANY, ANY_LENGTH)              => "`Name`, `DisconnectReason`, a note's `Description`", "";
    CharacterSet(any())    => "an XML declaration", "Send UTF-8.";
    NotANumber(ANY, any()) => "`size`, `quantity`", "";
    Between(ANY, ANY_NUMBER, ANY_NUMBER)  => "`size`, `quantity`", "";
    Date(any())            => "`startdate`, `enddate`", "Dates are yy-MM-dd, such as 22-10-31.";
    NoSuchDay(any())       => "`startdate`, `enddate`", "The form is right, but the day does not exist.";
    Pair(ANY, ANY)         => "`startdate` and `enddate`; `ratecenter` without `state`", "";
    DateRange(any(), any()) => "`startdate`, `enddate`", "";
    Uuid(ANY, any())       => "an id in a path or a document; `page` of a list of orders", "`page` is a page's number or an order's id.";
    Value(ANY, any(), &[]) => "a query parameter; an element, such as a note's `UserId`", "A note's `UserId` is the user who is signed in.";
    Value(ANY, any(), &[ANY]) => "a query parameter or an element that takes a few words", "True and false are also taken as 1 and 0, in any case.";
    NotYourAccount(any())  => "every path with an account; `accountId` of GET `/tns`", "The answer for every account but your own, whether it exists or not.";
    AccessDenied           => "every call", "The user's role does not allow it.";
    NoResource             => "every call", "The path does not exist. Also an operator's request for an account that does not exist, the history of an unknown order, and a number without site, peer or rate center.";
    NoOrder                => "an order's id in a path", "The account has no such order.";
    NoNote                 => "PUT of a note", "";
    NoteUser               => "a note", "`UserId` is missing.";
    NoList                 => "orders", "The list of numbers is missing, or the element that contains it.";
    Stray(any(), ANY)      => "orders, moves, POST `/tns`", "A number outside the list, in an element of another name, or as bare text would be ignored. Nothing was done.";
    EmptyList              => "orders", "";
    NumberRequired         => "orders", "A `TelephoneNumber` is empty.";
    Number(any())          => "orders", "Send ten digits, `1` or `+1` and ten digits, or `+` and a number of another country. The answer names the number in `TelephoneNumber`.";
    DuplicateNumbers(any()) => "orders", "Two spellings of one number are the same number. The answer names it in `TelephoneNumber`.";
    TooManyNumbers(5_000)  => "orders", "Also the answer to a document of more than 6,000 elements.";
    MixedNumbers           => "orders", "Send one order for country code 1, and one for the others.";
    Mode(any())            => "disconnects", "";
    ModeForbidden          => "disconnects", "`purge` is for operators, and the setting `wire_purge` can refuse it.";
    Protected(any())       => "disconnects", "";
    ProtectedPurge         => "disconnects", "A number that leaves the system cannot be protected: leave `Protected` out.";
    CustomerOrderId        => "orders", "";
    SiteRequired           => "number orders", "";
    SourceAccount          => "orders that move numbers", "Numbers move within the account: leave `SourceAccountId` out, or name your own.";
    Site                   => "number orders", "The account has no such site.";
    Peer                   => "number orders", "The site has no such peer.";
    NoDefaultPeer          => "number orders", "Name a `PeerId`.";
    OrderType              => "number orders", "";
    PartialAllowed         => "number orders", "Send true or false.";
    BackOrder              => "number orders", "Only a search that more numbers can match later may wait: leave `BackOrderRequested` out.";
    Attribute(any())       => "number orders", "";
    AttributeTwice(any())  => "number orders", "";
    ProtectedTollFree      => "number orders that search", "";
    AreaCodeForm           => "number orders that search", "";
    VanityForm             => "number orders that search", "";
    Quantity(any())        => "number orders that search", "";
    QuantityRange          => "number orders that search", "";
    NoCriterion(ANY)       => "number orders that search", "";
    NoCriteria             => "number orders that search", "";
    Combination            => "number orders that search", "`AreaCode`, `NpaNxx` and `NpaNxxX` exclude each other.";
    AlsoNeeded(ANY)        => "number orders that search", "A rate center and a city need their `State`, `LocalVanity` an `AreaCode`.";
    CriterionLength(ANY, ANY) => "number orders that search", "";
    CriterionParse(ANY)    => "number orders that search", "";
    AreaCodeStart          => "number orders that search", "";
    AreaCodeSecond         => "number orders that search", "";
    AreaCodeEnd            => "number orders that search", "";
    ExchangeStart          => "number orders that search", "";
    StateCode(any())       => "number orders that search", "Two letters.";
    RateCenterCode(any())  => "number orders that search", "At most 50 characters.";
    CityName(any())        => "number orders that search", "At most 50 characters.";
    LataCode(any())        => "number orders that search", "Three or five digits.";
    ZipCode(any())         => "number orders that search", "Five digits, or five and four.";
    NotAlphanumeric(ANY)   => "number orders that search", "";
    WildCard               => "number orders that search", "`8**`, `80*`, `87*` or their like.";
    LocalVanity(any())     => "number orders that search", "Four to seven letters or digits.";
    EndsIn                 => "number orders that search", "";
    NotBackordered         => "PUT of an order", "Only a BACKORDERED order can be closed. An ended order never changes, and a RECEIVED one is about to run.";
    UnknownReservation(any(), ANY_NUMBER) => "number orders", "It has ended or never existed: order the number by its digits.";
    NotReserved(any())     => "reservations", "The number is not in the pool, or does not exist.";
    ReservationLimit(ANY_NUMBER) => "reservations", "The account has reserved 5,000 numbers: order some, or cancel reservations.";
    NoReservation(any(), ANY_NUMBER) => "a reservation in a path", "It has ended, its number was ordered, or it never existed.";
    ReservationObject      => "reservations", "Send a `Reservation` with a `ReservedTn`.";
    DisconnectStatus       => "the list of disconnects", "";
    OrderStatus            => "the list of number orders", "";
    Page(any())            => "`page` of a list of numbers", "Send a page's number, of at most seven digits, or the first telephone number of the page.";
    PathNumber(any())      => "a number in a path; `fullNumber` of GET `/tns`", "";
    NoNumber(any())        => "a number in a path", "It does not exist, or you may not see it.";
    NotAtPeer(any(), any(), any(), any()) => "`…/sippeers/{p}/tns/{tn}`", "It is not in service at that peer.";
    NumberStatus           => "GET `/tns`", "";
    OneOfAccountSitePeer   => "GET `/tns`", "An operator may send `accountId` with one of the other two.";
    AreaCode(any())        => "`npa` of GET `/tns`; `areacode` of in-service numbers and discnumbers", "Send three digits that a North American number can begin with.";
    Exchange(any())        => "`npaNxx`, in the same requests", "Six digits.";
    Block(any())           => "`npaNxxx`, in the same requests", "Seven digits.";
    RateCenter(any())      => "`rateCenter`, in the same requests", "At most 50 characters.";
    Service(any())         => "GET `/tns`", "E911, Voice or Hosted_E911.";
    ByService              => "GET `/tns`", "onhook does not know what a number is used for.";
    NoLookup               => "POST `/tns`", "";
    TooManyLookups(2_500)  => "POST `/tns`", "";
    SiteName               => "sites", "";
    SiteDescription        => "sites", "";
    IdNotAllowed           => "sites, peers, applications", "The server assigns ids: leave it out, or send the one in the path.";
    Conflict(any())        => "changes of sites, peers, applications and users", "The text itself says what forbids the change, and what to do first.";
    Exists(any())          => "users", "Choose another name.";
    NoUser                 => "a user in a path", "The user does not exist, or you may not see them.";
    TooShort(ANY, ANY_LENGTH) => "a password", "";
    NoSubscription(any(), ANY_ACCOUNT) => "a subscription in a path", "";
    NoOrderOfType(ANY_ORDER, OrderType::Disconnects) => "subscriptions to one order", "The account has no order of that id and type.";
    TooManySubscriptions(ANY_LENGTH) => "subscriptions", "Remove some first.";
    DuplicateSubscription  => "subscriptions", "The account has a subscription of the same type, order and receiver.";
    SubscribedType         => "subscriptions", "";
    Subscription           => "subscriptions", "Send either a complete `CallbackSubscription` or a complete `EmailSubscription`.";
    Digest                 => "subscriptions", "Send NONE or DAILY.";
    NoCallbackUrl          => "subscriptions", "";
    PublicKey              => "subscriptions", "";
    Credentials            => "subscriptions", "";
    CallbackUrl            => "subscriptions", "The URL is invalid, or this server must not send to it: see [callbacks](callbacks.md).";
    EventType              => "subscriptions", "";
    OrderOrEvent           => "subscriptions", "";
    NotNegative(ANY)       => "subscriptions", "";
    TooSmall(ANY, ANY_NUMBER) => "subscriptions", "";
    NoSite(any())          => "a site in a path", "";
    NoPeer(any())          => "a peer in a path", "";
    NoApplication(any())   => "an application in a path, or named by a peer", "";
    Criterion(Criterion::AreaCode)        => "availableNumbers", "No North American number begins with it.";
    Criterion(Criterion::RateCenter)      => "availableNumbers", "At most 50 characters.";
    Criterion(Criterion::Digits)          => "availableNumbers", "`npaNxx` has six digits, `npaNxxx` seven. A number must be able to begin with them.";
    Criterion(Criterion::TollFreeVanity)  => "availableNumbers", "Four to seven letters or digits.";
    Criterion(Criterion::TollFreePattern) => "availableNumbers", "`8**`, `80*`, `87*` or their like.";
    Criterion(Criterion::City)            => "availableNumbers", "At most 50 characters.";
    Criterion(Criterion::State)           => "availableNumbers", "Two letters.";
    Criterion(Criterion::Zip)             => "availableNumbers", "Five digits, or five and four.";
    Criterion(Criterion::Lata)            => "availableNumbers", "Three or five digits.";
    Search                 => "availableNumbers", "Send at least one criterion.";
    SearchForm("The combination of search criteria is unsupported.") => "availableNumbers", "Send at most one of `areaCode`, `npaNxx` and `npaNxxx`. A toll-free search takes no other criterion.";
    SearchForm("Ends In is meaningless without Local Vanity") => "`endsIn` of availableNumbers", "";
    SearchForm("The localVanity value should contain 3 or more digits") => "`localVanity` of availableNumbers", "Four to seven digits or letters.";
    SearchAlso(ANY) => "`city`, `rateCenter` of availableNumbers", "Names repeat in other states.";
    NoAreaCode(any())      => "availableNpaNxx", "No number of that area code is in the pool.";
    Embed                  => "`embed` of coveredRateCenters", "";
    TierValue              => "`tier` of coveredRateCenters", "";
    RateCenterPage         => "`page` of coveredRateCenters", "";
    EmbedLocal             => "`embed` of coveredRateCenters", "onhook does not know which rate centers are local to each other.";
    EmbedNpa               => "`embed` of coveredRateCenters", "";
    EmbedNpaAlone          => "`embed` of coveredRateCenters", "Use `NpaNxxX` instead.";
    SearchAreaCode         => "availableNumbers", "";
    OrderByValue           => "availableNumbers", "";
    OrderBy                => "availableNumbers", "The results of a toll-free search cannot be ordered.";
    Inventory              => "availableNumbers", "";
    Internal               => "every call", "The server's log says why.";
    Busy                   => "every call", "Too many requests wait. Nothing was written: send it again after `Retry-After`.";
    Clock                  => "orders, reservations, moves of numbers", "It lasts until the clock is right, or an operator confirms it. Nothing was written: send it again after `Retry-After`, a minute. See [the clock](operating.md#the-clock).";
    Timeout                => "every call", "Sent after 60 seconds. The request may have been written: send it again with its `Idempotency-Key`.";
    BodyTooLarge(1_048_576) => "every body", "";
    BodyTimeout            => "every body", "";
    ContentType("application/xml, or JSON to /api/v2") => "every body", "In v2, where JSON is accepted too: `send application/xml or application/json`. Also the answer to a `Content-Encoding`.";
}

#[rustfmt::skip]
table! { refusals, Refusal:
    NotInService      => "disconnect", "Not in service on this account. The answer is the same for another account's number, one in the pool, and one that does not exist.";
    NotMovable        => "move", "Not in service on this account. The answer is the same for any other number, whether it exists or not.";
    Locked            => "disconnect", "An operator has locked it. The text is onhook's own.";
    TollFreeProtected => "disconnect, number order", "Leave `Protected` out.";
    Unavailable       => "number order", "This account cannot take it. Search again.";
    NoSite            => "number order", "The site was removed after the order was posted.";
    NoPeer            => "number order", "The peer was removed after the order was posted.";
    NoDefaultPeer     => "number order", "The site's default peer was removed after the order was posted.";
    AllOrNone         => "number order", "Another number failed and `PartialAllowed` is false, or a search found no number.";
    SetAside          => "disconnect, number order", "Running the order failed five times. The server's log says why.";
    OverCapacity      => "the emulator, on demand", "More was asked for than may be done at once.";
    TimedOut          => "the emulator, on demand", "The order waited too long. Send it again.";
}

/// Codes of the API that nothing here gives but on demand.
const ON_DEMAND: [(u16, &str); 1] = [(5012, "The account is locked and the operation is not permissible")];

/// Returns the row that a failure on demand has: the code's, if the table has it, else the status's. `None` for a code
/// that is not in the table.
#[must_use]
pub fn on_demand(status: u16, code: Option<u16>) -> Option<Row> {
    let rows = || problems().into_iter().map(|known| known.what.row());
    let refusals = || refusals().into_iter().map(|known| refusal(known.what));
    match code {
        Some(code) => {
            let of_problem = rows().find(|row| row.code == Some(code)).map(|row| row.text);
            let of_number = refusals().find(|known| known.0 == code).map(|known| known.1.to_owned());
            let of_demand = ON_DEMAND.iter().find(|known| known.0 == code).map(|known| known.1.to_owned());
            Some(Row { status, code: Some(code), text: of_problem.or(of_number).or(of_demand)? })
        }
        None => {
            let same = rows().find(|row| row.status == status && row.code.is_none());
            Some(Row { status, code: None, text: same.map_or_else(String::new, |row| row.text) })
        }
    }
}

/// Returns why a number fails with this code. `None` if no number does.
#[must_use]
pub fn refusal_of(code: u16) -> Option<Refusal> {
    refusals().into_iter().map(|known| known.what).find(|why| refusal(*why).0 == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::refusal;

    #[test]
    fn no_row_is_there_twice() {
        let mut rows: Vec<_> = problems().iter().map(|row| (row.what.clone(), row.what.row())).collect();
        let all = rows.len();
        rows.dedup_by(|one, other| one.0 == other.0);
        assert_eq!(rows.len(), all);
        let mut refused: Vec<_> = refusals().iter().map(|row| (refusal(row.what), row.at)).collect();
        let all = refused.len();
        refused.sort_unstable();
        refused.dedup();
        assert_eq!(refused.len(), all);
    }

    #[test]
    fn every_search_criterion_has_its_row() {
        for criterion in Criterion::ALL {
            assert!(problems().iter().any(|row| row.what == Problem::Criterion(criterion)), "{criterion:?}");
        }
    }

    #[test]
    fn a_code_is_an_error_and_a_text_says_something() {
        for row in problems() {
            let told = row.what.row();
            assert!((400..600).contains(&told.status), "{told:?}");
            assert!(!told.text.is_empty() && !row.at.is_empty(), "{told:?}");
        }
    }
}
