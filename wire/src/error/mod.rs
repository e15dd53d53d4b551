//! Everything that can be wrong with a request or a number, and how the API says it: status, code and exact text.
//! Clients match on codes and texts, so this table is part of the contract (§1.7, §7 and its appendix A).

pub mod explained;

use onhook_core::ids::AccountId;
use onhook_core::ids::OrderId;
use onhook_core::notify::subscription::OrderType;
use onhook_core::number::Number;
use onhook_core::order::{Failure, Order, Refusal};

use crate::bandwidth::dialect::Dialect;
use crate::text::guard::Malformed;
use crate::text::xml::{Document, Misread};

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The document is malformed, or its root element is another resource's. The text says which.
    BadRequest(String),
    /// Anything without a row of its own. The text is the whole message.
    Refused(String),
    /// An element or parameter that takes one value is sent twice.
    Twice(&'static str),
    /// A required value is missing.
    Required(&'static str),
    /// A text is too long: its name, and the most characters it may have.
    TooLong(&'static str, usize),
    /// A number is out of bounds: its name, the least and the greatest valid number.
    Between(&'static str, u32, u32),
    /// The text is not a date of the form yy-MM-dd.
    Date(String),
    /// Two parameters must be sent together, and one is missing.
    Pair(&'static str, &'static str),
    /// A range of dates ends before it begins.
    DateRange(String, String),
    /// The value is not a UUID: its name, and the value.
    Uuid(&'static str, String),
    /// The value is invalid: its name, the value, and the valid ones where there are only a few.
    Value(&'static str, String, &'static [&'static str]),
    /// The idempotency key has been used for a different request.
    KeyReused(String),
    /// The path is another account's.
    NotYourAccount(String),
    /// The user's role does not allow the call.
    AccessDenied,
    /// The resource does not exist, where the API has no code for it.
    NoResource,
    /// The order does not exist.
    NoOrder,
    /// The note does not exist.
    NoNote,
    /// A note lacks its user's name.
    NoteUser,
    /// The list of numbers is missing.
    NoList,
    /// An element in or beside a list of numbers would be ignored: its name, and the element that each number must be
    /// in.
    Stray(String, &'static str),
    /// The list of numbers is empty.
    EmptyList,
    /// The text is not a telephone number. It is as sent, cut to a few characters.
    Number(String),
    /// An order names a number twice. The text is as sent the second time, cut to a few characters.
    DuplicateNumbers(String),
    /// An order names more numbers than this.
    TooManyNumbers(usize),
    /// An order names North American numbers and others.
    MixedNumbers,
    /// The disconnect mode is unknown.
    Mode(String),
    /// The disconnect mode is for operators only.
    ModeForbidden,
    /// The value of the protected flag is invalid.
    Protected(String),
    /// An order that removes numbers sets the protected flag.
    ProtectedPurge,
    /// The customer order id is too long or has invalid characters.
    CustomerOrderId,
    /// An order names no site.
    SiteRequired,
    /// A move names another account as the source.
    SourceAccount,
    /// The account has no such site.
    Site,
    /// The site has no such peer.
    Peer,
    /// The order names no peer and the site has no default one.
    NoDefaultPeer,
    /// The type of order is unknown.
    OrderType,
    /// The value of `PartialAllowed` is neither true nor false.
    PartialAllowed,
    /// An order asks to wait, but its numbers are named or cannot be joined by more.
    BackOrder,
    /// The attribute of a number is unknown.
    Attribute(String),
    /// An order for toll-free numbers sets the protected flag.
    ProtectedTollFree,
    /// A search by area code lacks the area code or the quantity.
    AreaCodeForm,
    /// A search by toll-free vanity lacks the letters or the quantity.
    VanityForm,
    /// The quantity is not a number.
    Quantity(String),
    /// The quantity is zero or too large.
    QuantityRange,
    /// A criterion of a search is empty: which.
    NoCriterion(&'static str),
    /// An order's search has no criteria.
    NoCriteria,
    /// Criteria of a search exclude each other.
    Combination,
    /// A criterion needs another one, which is missing: the missing one.
    AlsoNeeded(&'static str),
    /// A criterion has the wrong length: which, and how many characters it must have.
    CriterionLength(&'static str, &'static str),
    /// A criterion has invalid characters: which.
    CriterionParse(&'static str),
    /// An area code begins with digits that no area code begins with.
    AreaCodeStart,
    /// The second digit of an area code is 9.
    AreaCodeSecond,
    /// An area code ends in 11.
    AreaCodeEnd,
    /// An exchange begins with 0 or 1.
    ExchangeStart,
    /// The code of a state or province is invalid.
    StateCode(String),
    /// The name of a rate center is invalid.
    RateCenterCode(String),
    /// The name of a city is invalid.
    CityName(String),
    /// The LATA is invalid.
    LataCode(String),
    /// The ZIP code is invalid.
    ZipCode(String),
    /// A toll-free vanity has characters other than letters and digits: the criterion's name.
    NotAlphanumeric(&'static str),
    /// The pattern of toll-free area codes is invalid.
    WildCard,
    /// The local vanity is invalid.
    LocalVanity(String),
    /// `EndsIn` is sent without `LocalVanity`.
    EndsIn,
    /// The order does not wait for numbers, so it cannot be changed.
    NotBackordered,
    /// The number cannot be reserved.
    NotReserved(String),
    /// The account holds as many reservations as it may.
    ReservationLimit(u32),
    /// The reservation does not exist: its id, and the account.
    NoReservation(String, u32),
    /// An order names a reservation that does not exist: its id, and the account.
    UnknownReservation(String, u32),
    /// A reservation names no number.
    ReservationObject,
    /// An attribute of a number is sent twice.
    AttributeTwice(String),
    /// A telephone number is empty.
    NumberRequired,
    /// A JSON object has a key twice.
    DuplicateKey(String),
    /// The document's encoding is not supported.
    CharacterSet(String),
    /// The value is not a whole number: its name, and the value.
    NotANumber(&'static str, String),
    /// A part of the API that this server does not offer.
    NotAllowed(&'static str),
    /// Filters that cannot be combined with the times of change: which.
    ModifiedWith(String),
    /// Filters that cannot be combined with a service: which service.
    ServiceWith(String),
    /// The date has the right form, but the day does not exist.
    NoSuchDay(String),
    /// A filter's area code is invalid.
    AreaCode(String),
    /// A filter's exchange is invalid.
    Exchange(String),
    /// A filter's block of a thousand numbers is invalid.
    Block(String),
    /// A filter's rate center is invalid.
    RateCenter(String),
    /// A filter's service is unknown.
    Service(String),
    /// Numbers cannot be filtered by service here.
    ByService,
    /// The number is not in service at the peer: number, account, site, peer.
    NotAtPeer(String, String, String, String),
    /// A criterion of a search has the wrong form: which.
    Criterion(Criterion),
    /// The order of a search's results is unknown.
    OrderByValue,
    /// The kind of inventory of a search is unknown.
    Inventory,
    /// A filter's status is not one of a disconnect order.
    DisconnectStatus,
    /// A filter's status is not one of a number order.
    OrderStatus,
    /// The page of a list of numbers is invalid.
    Page(String),
    /// The text in the path is not a telephone number.
    PathNumber(String),
    /// The number does not exist, or the caller may not see it.
    NoNumber(String),
    /// A filter's status is not one of a number.
    NumberStatus,
    /// The filters name more than one of account, site and peer.
    OneOfAccountSitePeer,
    /// The list of numbers to look up is missing or empty.
    NoLookup,
    /// The list of numbers to look up has more than this.
    TooManyLookups(usize),
    /// The name of a site is too long or has invalid characters.
    SiteName,
    /// The description of a site is too long or has invalid characters.
    SiteDescription,
    /// A new thing is sent with an id, or a known one with another id.
    IdNotAllowed,
    /// The present state forbids the change. The text is the whole message.
    Conflict(String),
    /// What is to be created exists already: its kind and name.
    Exists(String),
    /// The user does not exist, or the caller may not see them.
    NoUser,
    /// A text is too short: its name, and the fewest characters it may have.
    TooShort(&'static str, usize),
    /// The account has no site of the id in the path.
    NoSite(String),
    /// The site has no peer of the id in the path.
    NoPeer(String),
    /// A search has no criteria.
    Search,
    /// The criteria of a search do not go together. The text is the API's sentence for it.
    SearchForm(&'static str),
    /// A criterion of a search needs another one, which is missing: the missing one.
    SearchAlso(&'static str),
    /// The search's results cannot be ordered.
    OrderBy,
    /// The pool has no number of the area code.
    NoAreaCode(String),
    /// A value of `embed` is unknown.
    Embed,
    /// `embed` asks for local rate centers, which are not known here.
    EmbedLocal,
    /// `embed` asks for both `Npa` and `NpaNxxX`.
    EmbedNpa,
    /// `embed` asks for `Npa`, which is not offered here.
    EmbedNpaAlone,
    /// The tier in a search is invalid.
    TierValue,
    /// The page of a list of rate centers is invalid.
    RateCenterPage,
    /// The area code in a search has the wrong length.
    SearchAreaCode,
    /// The account has no such application.
    NoApplication(String),
    /// The account has no such subscription.
    NoSubscription(String, AccountId),
    /// The account has no order of that id and type.
    NoOrderOfType(OrderId, OrderType),
    /// The account has as many subscriptions as it may.
    TooManySubscriptions(usize),
    /// The account has a subscription of the same type, order and receiver.
    DuplicateSubscription,
    /// The type of order cannot be subscribed to.
    SubscribedType,
    /// A subscription has no receiver, two receivers, or an invalid one.
    Subscription,
    /// The digest of mails is unknown.
    Digest,
    /// A callback lacks its URL.
    NoCallbackUrl,
    /// The certificate cannot be read.
    PublicKey,
    /// One of user name and password is missing.
    Credentials,
    /// The callback's URL is invalid, or this server must not send to it.
    CallbackUrl,
    /// The event cannot be subscribed to.
    EventType,
    /// A subscription names neither an order type nor an event.
    OrderOrEvent,
    /// The value is negative or not a number: its name.
    NotNegative(&'static str),
    /// A value is too small: its name, and the number that it must exceed.
    TooSmall(&'static str, u32),
    /// The server failed. Its log has the cause.
    Internal,
    /// The server is too busy. Nothing was written.
    Busy,
    /// The server does not believe its clock. Nothing was written.
    Clock,
    /// The request took too long. It may or may not have been written.
    Timeout,
    /// The body is longer than this, in bytes.
    BodyTooLarge(usize),
    /// The body came too slowly.
    BodyTimeout,
    /// The content type is not supported. The text names the supported ones.
    ContentType(&'static str),
}

/// What a search looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// An area code.
    AreaCode,
    /// A rate center.
    RateCenter,
    /// An area code, exchange or block.
    Digits,
    /// The letters that a toll-free number spells.
    TollFreeVanity,
    /// A pattern of toll-free area codes.
    TollFreePattern,
    /// A city.
    City,
    /// A state or province.
    State,
    /// A ZIP code.
    Zip,
    /// A LATA.
    Lata,
}

impl Criterion {
    /// All of them.
    pub const ALL: [Criterion; 9] = [
        Criterion::AreaCode,
        Criterion::RateCenter,
        Criterion::Digits,
        Criterion::TollFreeVanity,
        Criterion::TollFreePattern,
        Criterion::City,
        Criterion::State,
        Criterion::Zip,
        Criterion::Lata,
    ];

    fn row(self) -> (u16, &'static str) {
        match self {
            Criterion::AreaCode => (4000, "Area Code"),
            Criterion::RateCenter => (4001, "Rate Center"),
            Criterion::Digits => (4002, "NPA, NPA-NXX, or NPA-NXX-X"),
            Criterion::TollFreeVanity => (4003, "Toll Free Vanity"),
            Criterion::TollFreePattern => (4004, "Toll Free Wild Card"),
            Criterion::City => (4005, "City"),
            Criterion::State => (4006, "State"),
            Criterion::Zip => (4007, "Zip Code"),
            Criterion::Lata => (4008, "LATA"),
        }
    }

    fn code(self) -> u16 {
        self.row().0
    }

    fn name(self) -> &'static str {
        self.row().1
    }
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The HTTP status.
    pub status: u16,
    /// The code, where the API has one.
    pub code: Option<u16>,
    /// The text.
    pub text: String,
}

fn row(status: u16, code: u16, text: impl Into<String>) -> Row {
    Row { status, code: Some(code), text: text.into() }
}

fn plain(status: u16, text: impl Into<String>) -> Row {
    Row { status, code: None, text: text.into() }
}

impl Problem {
    /// Returns its row of the table.
    #[must_use]
    #[rustfmt::skip]
    pub fn row(&self) -> Row {
        use Problem as P;
        match self {
            P::BadRequest(why)         => row(400, 1019, format!("Bad request encountered. Please check your request and try again. ({why})")),
            P::Refused(why)            => plain(400, why.clone()),
            P::Twice(what)             => row(400, 1009, format!("'{what}' is duplicated")),
            P::Required(what)          => row(400, 1003, format!("{what} is required")),
            P::TooLong(what, max)      => row(400, 1011, format!("{what} is too long. Max length {max} characters")),
            P::Between(what, min, max) => row(400, 1006, format!("{what} must be between {min} and {max} (bounds are included)")),
            P::Date(text)              => row(400, 1007, format!("{text} is not a valid date format.")),
            P::Pair(one, other)        => row(400, 15508, format!("'{one}' and '{other}' must be used together")),
            P::DateRange(start, end)   => row(400, 15501, format!("Invalid date range. Start date {start} must be before end date {end}")),
            P::Uuid(what, text)        => row(400, 1008, format!("{what}: '{text}' is not a valid UUID")),
            P::Value(what, text, [])   => row(400, 1008, format!("{what}: '{text}' is not a valid value")),
            P::Value(what, text, valid) => row(400, 1008, format!("{what}: '{text}' is not a valid value. Valid values are: {}", valid.join(", "))),
            P::KeyReused(key)          => row(422, 1009, format!("'{key}' is duplicated")),
            P::NotYourAccount(account) => row(403, 5051, format!("Not authorized to perform operation on the account '{account}'")),
            P::AccessDenied            => row(403, 1001, "Access Denied"),
            P::NoResource              => plain(404, "The resource does not exist"),
            P::NoOrder                 => row(404, 5061, "Order ID is invalid."),
            P::NoNote                  => row(404, 5040, "Note not found."),
            P::NoteUser                => row(400, 12501, "Username is required"),
            P::NoList                  => row(400, 5001, "Invalid input telephone number list"),
            P::Stray(what, wanted)     => row(400, 5001, format!("Invalid input telephone number list (what stands in '{what}' would be passed over: put each number into a {wanted} of the list)")),
            P::EmptyList               => row(400, 5212, "The input list of telephone numbers is null or empty."),
            P::Number(_)               => row(400, 5070, "Telephone number is invalid."),
            P::DuplicateNumbers(_)     => row(400, 5093, "Order cannot contain duplicate telephone numbers"),
            P::TooManyNumbers(max)     => row(400, 5095, format!("The count of telephone numbers in order exceeds the maximum size of {max}")),
            P::MixedNumbers            => row(400, 5165, "A single order cannot contain a mix of NANP and International telephone numbers"),
            P::Mode(text)              => row(400, 5084, format!("DisconnectMode '{text}' is invalid. Valid values are: normal, soft-remove, purge")),
            P::ModeForbidden           => row(400, 5085, "Insufficient permissions for this DisconnectMode"),
            P::Protected(text)         => row(400, 5108, format!("Protected attribute '{text}' is invalid. Valid values: TRUE, FALSE, UNCHANGED")),
            P::ProtectedPurge          => row(400, 5109, "The Protected Telephone Numbers setting is incompatible with an obsolete or purge disconnect"),
            P::CustomerOrderId         => row(400, 5052, "Customer order ID is invalid. Only alphanumeric values, dashes and spaces are allowed. Max length is 40 characters."),
            P::SiteRequired            => row(400, 5022, "SiteId is a required field."),
            P::SourceAccount           => row(400, 5221, "The source Account and target Account must belong to the same customer (GAN)."),
            P::Site                    => row(400, 5016, "The SiteId submitted is invalid."),
            P::Peer                    => row(400, 5023, "SIP peer submitted is invalid."),
            P::NoDefaultPeer           => row(400, 5020, "No default SIP peer is set on the account and site. Please create one then resubmit your request."),
            P::OrderType               => row(400, 5087, "The input order type is not a valid entry."),
            P::PartialAllowed          => row(400, 5217, "The PartialAllowed value submitted is invalid."),
            P::BackOrder               => row(400, 5522, "Backorders are not compatible with Specific TN, NPANXX, NPANXXX, TollFree Vanity or Local Vanity orders"),
            P::Attribute(text)         => row(400, 5102, format!("Telephone number attribute '{text}' is invalid. Valid values: Protected")),
            P::ProtectedTollFree       => row(400, 5101, "'Protected' telephone number attribute is not applicable for toll-free search and order criteria."),
            P::AreaCodeForm            => row(400, 5198, "AreaCodeSearchAndOrderType requires both AreaCode and Quantity values."),
            P::VanityForm              => row(400, 5199, "TollFreeVanitySearchAndOrderType requires both TollFreeVanity and Quantity values."),
            P::Quantity(text)          => row(400, 5009, format!("The quantity specified {text} is invalid.")),
            P::QuantityRange           => row(400, 5215, "The quantity specified in the order is not valid or exceeds the maximum value of 5000"),
            P::NoCriterion(what)       => row(400, 5224, format!("The search criteria '{what}' cannot be empty")),
            P::NoCriteria              => row(400, 5002, "Unable to perform search. Please, provide some search criteria"),
            P::Combination             => row(400, 5002, "The combination of search criteria is unsupported."),
            P::AlsoNeeded(what)        => row(400, 5002, format!("Please also specify {what} to search by current criteria.")),
            P::CriterionLength(what, length) => row(400, 5002, format!("The length of the search criteria '{what}' is not valid, the acceptable length is {length} characters.")),
            P::CriterionParse(what)    => row(400, 5002, format!("The value specified for the search criteria '{what}' cannot be parsed.")),
            P::AreaCodeStart           => row(400, 5002, "The area code of telephone numbers cannot begin with 0,1 or 37 or 96."),
            P::AreaCodeSecond          => row(400, 5002, "The area Code of telephone numbers can not have a 9 as the second digit."),
            P::AreaCodeEnd             => row(400, 5002, "The area code of telephone numbers can not end with 11."),
            P::ExchangeStart           => row(400, 5002, "The Nxx cannot begin with a 0 or 1"),
            P::StateCode(text)         => row(400, 5002, format!("The state abbreviation {text} is not valid.")),
            P::RateCenterCode(text)    => row(400, 5002, format!("The ratecenter abbreviation {text} is not valid")),
            P::CityName(text)          => row(400, 5002, format!("The city value {text} is not valid.")),
            P::LataCode(text)          => row(400, 5002, format!("The lata {text} is not valid")),
            P::ZipCode(text)           => row(400, 5002, format!("The zip code {text} is not valid.")),
            P::NotAlphanumeric(what)   => row(400, 5002, format!("{what} should be alphanumeric.")),
            P::WildCard                => row(400, 5002, "Tollfree Wild Card search invalid format."),
            P::LocalVanity(text)       => row(400, 5002, format!("The localVanity value {text} is invalid.")),
            P::EndsIn                  => row(400, 5002, "Ends In is meaningless without Local Vanity"),
            P::NotBackordered          => row(400, 5060, "Only Backordered order can be closed."),
            P::NotReserved(text)       => row(400, 5041, format!("Reservation failed: telephone number {text} is not available.")),
            P::ReservationLimit(account) => row(400, 5046, format!("Reservation not allowed for account {account} .")),
            P::NoReservation(id, account) => row(404, 5042, format!("Reservation {id} for account {account} not found.")),
            P::UnknownReservation(id, account) => row(400, 5042, format!("Reservation {id} for account {account} not found.")),
            P::ReservationObject       => row(400, 5044, "Reservation object is invalid."),
            P::AttributeTwice(text)    => row(400, 5102, format!("Duplicate telephone number attribute '{text}'.")),
            P::NumberRequired          => row(400, 5073, "Telephone number is required."),
            P::DuplicateKey(key)       => row(400, 1009, format!("'{key}' is duplicated")),
            P::CharacterSet(name)      => row(400, 1013, format!("{name} is not an acceptable character set.")),
            P::NotANumber(what, text)  => row(400, 1014, format!("{what}: {text} is not a valid number")),
            P::NotAllowed(what)        => row(400, 1005, format!("{what} is not allowed")),
            P::ModifiedWith(what)      => row(400, 15515, format!("Query parameters: {what} cannot be combined with [modifiedDateFrom, modifiedDateTo]")),
            P::ServiceWith(text)       => row(400, 15622, format!("Query parameters: lastModifiedDateFrom, lastModifiedDateTo, state, host, city, rateCenter, tier, lata, protected, siteId, sippeerId, status, cannot be combined with service ={text}")),
            P::NoSuchDay(text)         => row(400, 15503, format!("Valid date is required ({text})")),
            P::AreaCode(text)          => row(400, 15510, format!("The NPA '{text}' is invalid")),
            P::Exchange(text)          => row(400, 15511, format!("The NPA_NXX '{text}' is invalid")),
            P::Block(text)             => row(400, 15512, format!("The NPA_NXX_X '{text}' is invalid")),
            P::RateCenter(text)        => row(400, 15514, format!("The Rate Center '{text}' is invalid")),
            P::Service(text)           => row(400, 15621, format!("The service type '{text}' is invalid")),
            P::ByService               => row(400, 15623, "The service type query parameter is not supported."),
            P::NotAtPeer(number, account, site, peer) => row(404, 13536, format!("Telephone number {number} does not exist on Account {account}, Site {site}, and Sip Peer {peer}")),
            P::Criterion(what)         => row(400, what.code(), format!("Please verify that your {} search input parameters are correct.", what.name())),
            P::OrderByValue            => row(400, 4020, "Please verify that your orderBy search query parameter is correct. Valid values are: fullNumber,npaNxxx,npaNxx,areaCode"),
            P::Inventory               => row(400, 4022, "Please verify that your protected search query parameter is correct. Valid values are: NONE, ONLY, MIXED"),
            P::DisconnectStatus        => row(400, 15532, "Invalid 'status'. Valid values: complete, partial, failed"),
            P::OrderStatus             => row(400, 15518, "Invalid 'status'. Valid values: complete, partial, failed, backordered"),
            P::Page(text)              => row(400, 15516, format!("The page '{text}' is invalid. Page must be a 10 digit phone number")),
            P::PathNumber(text)        => row(400, 12512, format!("Telephone number '{text}' is not valid")),
            P::NoNumber(text)          => row(404, 15506, format!("The telephone number '{text}' does not exist")),
            P::NumberStatus            => row(400, 15519, "Invalid 'status'. Valid values: Available, Inservice, Disconnected, Aging, PortInPendingFoc, PortOut, Reserved, Removed, Eliminated, StatusUnchanged"),
            P::OneOfAccountSitePeer    => row(400, 15507, "'accountId', 'siteId', 'sippeerId' are mutually exclusive. Provide at most one."),
            P::NoLookup                => row(400, 15611, "List of telephone numbers is required"),
            P::TooManyLookups(max)     => row(400, 15607, format!("The count of Telephone numbers in POST body exceeds the maximum size of {max}")),
            P::SiteName                => row(400, 4015, "A site name can have max length of 50 chars and can only contain chars from the set [a-zA-Z0-9.-] and empty space"),
            P::SiteDescription         => row(400, 4016, "A site description can have max length of 250 chars and can only contain chars from the set [a-zA-Z0-9.-] and empty space"),
            P::IdNotAllowed            => row(400, 4020, "The Id field is not allowed for this operation"),
            P::Conflict(why)           => plain(409, why.clone()),
            P::Exists(what)            => row(409, 1015, format!("Entry for {what} already exists")),
            P::NoUser                  => row(404, 4019, "Unknown userId"),
            P::TooShort(what, min)     => row(400, 1012, format!("{what} is too short. Min length {min} characters")),
            P::NoSite(text)            => row(404, 12016, format!("Site '{text}' does not exist")),
            P::NoPeer(text)            => row(400, 13563, format!("SipPeer '{text}' does not exist")),
            P::NoApplication(text)     => row(404, 13629, format!("Application with id '{text}' not found")),
            P::Search                  => row(400, 4010, "Provided search criteria are unsupported or are not valid"),
            P::SearchForm(text)        => row(400, 4010, *text),
            P::SearchAlso(what)        => row(400, 4010, format!("Please also specify {what} to search by current criteria.")),
            P::NoAreaCode(text)        => row(400, 4000, format!("The area code specified {text} is not present as a valid entry in our system")),
            P::Embed                   => row(400, 4015, "Please verify that your Embed search query parameters are correct. Valid values are: AvailableNumberCount,Vendors,LimitedAvailableNumberCount,NpaNxxX,LocalRateCenters,Cities,Npa,ZipCodes"),
            P::TierValue               => row(400, 4016, "Please verify that your Tier search query parameters are correct. Valid values are: [0-5]"),
            P::RateCenterPage          => row(400, 4018, "Please verify that your PAGE search input parameter is correct."),
            P::EmbedLocal              => row(400, 4019, "Embed parameter LocalRateCenters is not supported for specified search criteria"),
            P::EmbedNpa                => row(400, 4025, "Embed parameter Npa cannot be used with embed parameter NpaNxxX."),
            P::EmbedNpaAlone           => row(400, 4026, "Embed parameter Npa cannot be used at this time."),
            P::OrderBy                 => row(400, 4021, "The orderBy parameter is not supported for specified search criteria"),
            P::SearchAreaCode          => row(400, 4010, "The length of the search criteria 'Area Code' is not valid, the acceptable length is 3 characters."),
            P::NoSubscription(id, account) => row(404, 16000, format!("Subscription {id} not found for accountId {account}")),
            P::NoOrderOfType(order, orders) => row(404, 16005, format!("Order {order} of type {orders} not found")),
            P::TooManySubscriptions(max) => row(400, 16006, format!("Only {max} global subscriptions are permitted for any supported order-type")),
            P::DuplicateSubscription   => row(409, 16008, "Duplicate subscription already exists"),
            P::SubscribedType          => row(400, 14500, "Incorrect order type. Valid values: portins, portouts, orders, disconnects, importToAccounts, dldas, lsrorders, e911s, tnoptions, externalTns, lidbs, bulkPortins, importtnorders, removeImportedTnOrders, csrs, emergencyEndpointGroup, emergencyNotificationGroup, tollFreePortingValidations"),
            P::Subscription            => row(400, 14501, "Subscription object is invalid"),
            P::Digest                  => row(400, 14502, "Incorrect digest type"),
            P::NoCallbackUrl           => row(400, 14503, "Callback URL is empty"),
            P::PublicKey               => row(400, 14504, "We couldn't read your provided certificate. Please encode your .DER/.CER/.CRT public key with a Base64 encoder and try again."),
            P::Credentials             => row(400, 14505, "Basic authentication must contain both a non-blank username and password"),
            P::CallbackUrl             => row(400, 14506, "Callback URL is invalid"),
            P::EventType               => row(400, 14507, "Incorrect event type. Valid values: MESSAGING_LOST"),
            P::OrderOrEvent            => row(400, 14508, "OrderType or EventType should be specified."),
            P::NotNegative(what)       => row(400, 1002, format!("{what} must be a non-negative number")),
            P::TooSmall(what, min)     => row(400, 1004, format!("{what} is too small. Must be greater than {min}")),
            P::Internal                => row(500, 1000, "Internal Server Error. Please try again."),
            P::Busy                    => plain(503, "The server is busy, nothing was written. Please try again."),
            P::Clock                   => plain(503, "The server's clock cannot be believed, nothing was written. An operator has to look at it."),
            P::Timeout                 => plain(504, "Your request was not completed in time"),
            P::BodyTooLarge(max)       => plain(413, format!("The body is longer than {max} bytes")),
            P::BodyTimeout             => plain(408, "The body came too slowly"),
            P::ContentType(wanted)     => plain(415, format!("The content type is not supported; send {wanted}")),
        }
    }
}

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::DuplicateKey(key) => Problem::DuplicateKey(key.to_string()),
            Malformed::Encoding(name) => Problem::CharacterSet(name.to_string()),
            other => Problem::BadRequest(other.to_string()),
        }
    }
}

impl From<Misread> for Problem {
    fn from(misread: Misread) -> Self {
        match misread {
            Misread::Twice(what) => Problem::Twice(what),
            Misread::NotText(_) => Problem::BadRequest(misread.to_string()),
        }
    }
}

/// Code and text of a look-up for texts that are not telephone numbers.
pub const NO_NUMBERS: (u16, &str) = (15608, "Input contains invalid Telephone Numbers");
/// Code and text of a look-up for numbers that are not the caller's.
pub const NOT_FOUND: (u16, &str) = (15610, "Telephone Numbers cannot be found on accounts");

/// Returns code and text for a number that failed. The text reveals neither whose number it is nor whether it exists.
#[must_use]
#[rustfmt::skip]
pub fn refusal(why: Refusal) -> (u16, &'static str) {
    match why {
        Refusal::NotInService      => (5006, "Telephone number could not be disconnected since it is not associated with your account"),
        Refusal::NotMovable        => (5076, "Number does not belong to this account."),
        Refusal::Locked            => (5006, "Telephone number could not be disconnected since it is locked"),
        Refusal::TollFreeProtected => (5100, "Toll free numbers are not candidates for Protected status."),
        Refusal::Unavailable       => (5005, "The telephone number is unavailable for ordering"),
        Refusal::NoSite            => (5016, "The SiteId submitted is invalid."),
        Refusal::NoPeer            => (5023, "SIP peer submitted is invalid."),
        Refusal::NoDefaultPeer     => (5020, "No default SIP peer is set on the account and site. Please create one then resubmit your request."),
        Refusal::AllOrNone         => (5018, "The entire quantity of telephone numbers ordered is unavailable"),
        Refusal::SetAside          => (5003, "Provisioning Failure"),
        Refusal::OverCapacity      => (5007, "Exceeded Maximum Ordering Capacity"),
        Refusal::TimedOut          => (5086, "Order request timed out. Please resubmit your request."),
    }
}

/// The form of an error's body, by the requested resource (contract §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `ErrorList` under this root: orders and disconnects.
    Order(&'static str),
    /// `ResponseStatus` under this root.
    Response(&'static str),
    /// `Error` under this root: searches.
    Search(&'static str),
}

impl Family {
    /// The form for requests without a known resource.
    pub const GENERIC: Family = Family::Response("ErrorResponse");

    /// Returns the body for a problem. `more` may add elements under the root: an order echoes its request.
    #[must_use]
    pub fn body(self, problem: &Problem, more: impl FnOnce(&mut Document)) -> String {
        let number = match problem {
            Problem::Number(number) | Problem::DuplicateNumbers(number) => Some(number.as_str()),
            _ => None,
        };
        self.written(&problem.row(), number, more)
    }

    /// Returns the body for a row that a failure on demand has.
    #[must_use]
    pub fn body_on_demand(self, row: &Row) -> String {
        self.written(row, None, |_| {})
    }

    fn written(self, row: &Row, number: Option<&str>, more: impl FnOnce(&mut Document)) -> String {
        let Row { code, text, .. } = row;
        let code = *code;
        let mut out = Document::new();
        match self {
            Family::Order(root) => {
                out.open(root).open("ErrorList").open("Error");
                if let Some(code) = code {
                    out.leaf_display("Code", code);
                }
                out.leaf("Description", text);
                if let Some(number) = number {
                    out.leaf("TelephoneNumber", number);
                }
                out.close("Error").close("ErrorList");
                more(&mut out);
                out.close(root);
            }
            Family::Response(root) => {
                out.open(root).open("ResponseStatus");
                if let Some(code) = code {
                    out.leaf_display("ErrorCode", code);
                }
                out.leaf("Description", text).close("ResponseStatus").close(root);
            }
            Family::Search(root) => {
                out.open(root).open("Error");
                if let Some(code) = code {
                    out.leaf_display("Code", code);
                }
                out.leaf("Description", text).close("Error").close(root);
            }
        }
        out.finish()
    }
}

/// Code and text of an order whose search found some numbers, but too few.
pub const TOO_FEW: (u16, &str) =
    (5017, "Only a partial quantity of the total telephone numbers ordered could be fulfilled");

/// Returns code and text for an order whose search found too few numbers or none.
pub(crate) fn too_little(order: &Order) -> (u16, &'static str) {
    match order.refused {
        Some(why) => refusal(why),
        None if order.taken.is_empty() => refusal(Refusal::AllOrNone),
        None => TOO_FEW,
    }
}

/// Writes the `ErrorList` of an order whose search found too few numbers: one `Error` without a number.
pub(crate) fn search_error(out: &mut Document, order: &Order) {
    let (code, text) = too_little(order);
    out.open("ErrorList").open("Error").leaf_display("Code", code).leaf("Description", text);
    out.close("Error").close("ErrorList");
}

/// Writes an order's `ErrorList`, one `Error` a number: code first, description second, number third. One client reads
/// them by position.
pub(crate) fn error_list(out: &mut Document, dialect: Dialect, failed: &[Failure]) {
    out.element("ErrorList", |out| {
        for Failure { number, why } in failed {
            let (code, text) = refusal(*why);
            out.open("Error").leaf_display("Code", code).leaf("Description", text);
            out.leaf("TelephoneNumber", &dialect.number(*number)).close("Error");
        }
    });
}

/// Writes the element `name` with a `TelephoneNumber` for each number.
pub(crate) fn number_list(
    out: &mut Document,
    name: &str,
    dialect: Dialect,
    numbers: impl IntoIterator<Item = Number>,
) {
    out.open(name);
    for number in numbers {
        out.leaf("TelephoneNumber", &dialect.number(number));
    }
    out.close(name);
}

/// Returns the first 40 characters of a client's text, so that an error repeats only a few of it.
#[must_use]
pub fn cut(text: &str) -> String {
    beginning(text, 40).to_owned()
}

/// Returns the first `characters_max` characters of a text.
pub(crate) fn beginning(text: &str, characters_max: usize) -> &str {
    text.char_indices().nth(characters_max).map_or(text, |(end, _)| &text[..end])
}
