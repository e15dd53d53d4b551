//! Everything that can be wrong with a request or a number, and the API's words for it: status, code, text to the
//! letter. Clients match on codes and texts, so this table is part of the contract (§1.7, §7 and its appendix A).

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
    /// The document is no XML that is taken, or not the one that belongs here.
    BadRequest(String),
    /// Something else that is wrong, in words of its own.
    Refused(String),
    /// An element that stands for one value is there twice.
    Twice(&'static str),
    /// Something required is missing.
    Required(&'static str),
    /// A text is too long.
    TooLong(&'static str, usize),
    /// A value outside of its bounds.
    Between(&'static str, u32, u32),
    /// No date of the form yy-MM-dd.
    Date(String),
    /// One of a pair of parameters is missing.
    Pair(&'static str, &'static str),
    /// A range of dates that ends before it begins.
    DateRange(String, String),
    /// Not a UUID: the name of the value, and the value.
    Uuid(&'static str, String),
    /// A wrong value: its name, the value, and the valid ones where there are only a few.
    Value(&'static str, String, &'static [&'static str]),
    /// The idempotency key was used for another request.
    KeyReused(String),
    /// The path is another account's.
    NotYourAccount(String),
    /// The role is too low.
    AccessDenied,
    /// No such thing, where nothing more is to be said.
    NoResource,
    /// No such order.
    NoOrder,
    /// No such note.
    NoNote,
    /// A note without its user's name.
    NoteUser,
    /// The list of numbers is missing.
    NoList,
    /// Something in or beside a list of numbers that is not read as one: its name, and the element that a number
    /// stands in.
    Stray(String, &'static str),
    /// The list of numbers is empty.
    EmptyList,
    /// No telephone number: as sent, cut to a few characters.
    Number(String),
    /// A number twice in one order: as sent the second time, cut to a few characters.
    DuplicateNumbers(String),
    /// More numbers than an order takes.
    TooManyNumbers(usize),
    /// North American numbers and others in one order.
    MixedNumbers,
    /// No such disconnect mode.
    Mode(String),
    /// A mode for operators.
    ModeForbidden,
    /// No such value for the protected flag.
    Protected(String),
    /// The protected flag in an order that removes the numbers.
    ProtectedPurge,
    /// A customer order id that is too long or has other characters.
    CustomerOrderId,
    /// An order without a site.
    SiteRequired,
    /// A move of another account's numbers.
    SourceAccount,
    /// No such site.
    Site,
    /// No such peer under the site.
    Peer,
    /// The order names no peer and the site has no default one.
    NoDefaultPeer,
    /// No order type that is known here.
    OrderType,
    /// Neither true nor false.
    PartialAllowed,
    /// A back order for numbers that are named.
    BackOrder,
    /// No such attribute.
    Attribute(String),
    /// The protected flag in an order for toll-free numbers.
    ProtectedTollFree,
    /// A search by area code that lacks it, or how many.
    AreaCodeForm,
    /// A search for toll-free numbers that spell something, which lacks that, or how many.
    VanityForm,
    /// A quantity that is no number.
    Quantity(String),
    /// A quantity that is none or too many.
    QuantityRange,
    /// A search by something that is not said.
    NoCriterion(&'static str),
    /// A search by nothing.
    NoCriteria,
    /// Criteria that exclude each other.
    Combination,
    /// A criterion that wants another one beside it.
    AlsoNeeded(&'static str),
    /// A criterion of another length: which, and how many characters it has.
    CriterionLength(&'static str, &'static str),
    /// A criterion that has other characters.
    CriterionParse(&'static str),
    /// An area code that begins with what none begins with.
    AreaCodeStart,
    /// An area code whose second digit is 9.
    AreaCodeSecond,
    /// An area code that ends in 11.
    AreaCodeEnd,
    /// An exchange that begins with 0 or 1.
    ExchangeStart,
    /// No state or province.
    StateCode(String),
    /// No rate center.
    RateCenterCode(String),
    /// No city.
    CityName(String),
    /// No LATA.
    LataCode(String),
    /// No ZIP code.
    ZipCode(String),
    /// Nothing that a toll-free number spells.
    NotAlphanumeric(&'static str),
    /// No pattern of toll-free area codes.
    WildCard,
    /// Nothing that a local number spells.
    LocalVanity(String),
    /// The place of what a number spells, without what it spells.
    EndsIn,
    /// An order that does not wait for numbers cannot be changed.
    NotBackordered,
    /// No number that can be reserved.
    NotReserved(String),
    /// The account holds as many numbers as it may.
    ReservationLimit(u32),
    /// No such reservation.
    NoReservation(String, u32),
    /// No such reservation, in an order.
    UnknownReservation(String, u32),
    /// A reservation of nothing.
    ReservationObject,
    /// An attribute twice.
    AttributeTwice(String),
    /// A telephone number without a digit.
    NumberRequired,
    /// A key that an object of JSON has twice.
    DuplicateKey(String),
    /// A document in an encoding that is not read.
    CharacterSet(String),
    /// Neither a whole number nor one with a sign: the name of the value, and the value.
    NotANumber(&'static str, String),
    /// A part of the API that is not to be had here.
    NotAllowed(&'static str),
    /// Filters beside the times of change: which.
    ModifiedWith(String),
    /// Filters beside a service: which service.
    ServiceWith(String),
    /// A date of the right form that no calendar has.
    NoSuchDay(String),
    /// No area code, in a filter.
    AreaCode(String),
    /// No exchange, in a filter.
    Exchange(String),
    /// No block of a thousand numbers, in a filter.
    Block(String),
    /// No name of a rate center, in a filter.
    RateCenter(String),
    /// No service, in a filter.
    Service(String),
    /// A filter by service.
    ByService,
    /// A number that is not in service at the peer: number, account, site, peer.
    NotAtPeer(String, String, String, String),
    /// A search by something of another form.
    Criterion(Criterion),
    /// No order that a search can have.
    OrderByValue,
    /// No kind of inventory that a search can have.
    Inventory,
    /// No such status of a disconnect order.
    DisconnectStatus,
    /// No such status of a number order.
    OrderStatus,
    /// A page that is no number.
    Page(String),
    /// No telephone number in the path.
    PathNumber(String),
    /// No such number, or none that the caller may see.
    NoNumber(String),
    /// No status of a number, in a filter.
    NumberStatus,
    /// More than one of account, site and peer in a filter.
    OneOfPlace,
    /// A list of numbers to look up that is missing or empty.
    NoLookup,
    /// A list of numbers to look up that is too long.
    TooManyLookups(usize),
    /// A name that a site must not have.
    SiteName,
    /// A description that a site must not have.
    SiteDescription,
    /// An id where there is none yet, or another one.
    IdNotAllowed,
    /// Something that exists cannot be changed so, in words of its own.
    Conflict(String),
    /// Something to be made exists already.
    Exists(String),
    /// No such user, or none that the caller may know of.
    NoUser,
    /// A text is too short.
    TooShort(&'static str, usize),
    /// No such site in the account.
    NoSite(String),
    /// No such peer under the site.
    NoPeer(String),
    /// A search by nothing that can be searched for.
    Search,
    /// A search that is put together wrong: which of the API's sentences says how.
    SearchForm(&'static str),
    /// A search of one thing without the other that it needs.
    SearchAlso(&'static str),
    /// A search in an order that it has not.
    OrderBy,
    /// An area code of which there is nothing.
    NoAreaCode(String),
    /// Something that is to come with a rate center, and no such thing.
    Embed,
    /// The rate centers around: not known here.
    EmbedLocal,
    /// Two things of which one is to come with a rate center.
    EmbedNpa,
    /// The area codes of a rate center: not told here.
    EmbedNpaAlone,
    /// No tier, in a search.
    TierValue,
    /// A page of places that is none.
    PlacePage,
    /// A search by an area code of another length.
    SearchAreaCode,
    /// No such application in the account.
    NoApplication(String),
    /// No such subscription in the account.
    NoSubscription(String, AccountId),
    /// The account has no such order of that type.
    NoOrderOfType(OrderId, OrderType),
    /// As many subscriptions as an account may have.
    TooManySubscriptions(usize),
    /// A subscription about the same thing to the same receiver.
    DuplicateSubscription,
    /// No order type that can be subscribed to.
    SubscribedType,
    /// A subscription with no receiver, two receivers, or nonsense.
    Subscription,
    /// No way to gather mails.
    Digest,
    /// A callback without a URL.
    NoCallbackUrl,
    /// A certificate that cannot be read.
    PublicKey,
    /// Half a pair of name and password.
    Credentials,
    /// A URL that is none, or that may not be told.
    CallbackUrl,
    /// No event that can be subscribed to.
    EventType,
    /// A subscription about nothing.
    OrderOrEvent,
    /// Neither 0 nor more.
    NotNegative(&'static str),
    /// Too small: not above this.
    TooSmall(&'static str, u32),
    /// Something failed here. The log has the cause.
    Internal,
    /// Too busy: nothing was written.
    Busy,
    /// The server does not believe its clock: nothing was written.
    Clock,
    /// It took too long. It is not known whether it was written.
    Timeout,
    /// The body is longer than is taken.
    BodyTooLarge(usize),
    /// The body came too slowly.
    BodyTimeout,
    /// The content type is not accepted. These types are.
    ContentType(&'static str),
}

/// What a search is by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// An area code.
    AreaCode,
    /// A rate center.
    RateCenter,
    /// An area code and what follows it.
    Digits,
    /// What a toll-free number spells.
    TollFreeVanity,
    /// Toll-free area codes.
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
            P::OneOfPlace              => row(400, 15507, "'accountId', 'siteId', 'sippeerId' are mutually exclusive. Provide at most one."),
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
            P::PlacePage               => row(400, 4018, "Please verify that your PAGE search input parameter is correct."),
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

/// Code and text of a look-up for texts that are no numbers.
pub const NO_NUMBERS: (u16, &str) = (15608, "Input contains invalid Telephone Numbers");
/// Code and text of a look-up for numbers that the caller does not have.
pub const NOT_FOUND: (u16, &str) = (15610, "Telephone Numbers cannot be found on accounts");

/// Returns code and text for a number that failed. The text never tells whose number it is, or whether it exists.
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
    /// The form where no resource is known.
    pub const GENERIC: Family = Family::Response("ErrorResponse");

    /// Returns a body that says what is wrong. `more` may add to it under the root (an order echoes its request).
    #[must_use]
    pub fn body(self, problem: &Problem, more: impl FnOnce(&mut Document)) -> String {
        let Row { code, text, .. } = problem.row();
        let mut out = Document::new();
        match self {
            Family::Order(root) => {
                out.open(root).open("ErrorList").open("Error");
                if let Some(code) = code {
                    out.leaf_display("Code", code);
                }
                out.leaf("Description", &text);
                if let Problem::Number(number) | Problem::DuplicateNumbers(number) = problem {
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
                out.leaf("Description", &text).close("ResponseStatus").close(root);
            }
            Family::Search(root) => {
                out.open(root).open("Error");
                if let Some(code) = code {
                    out.leaf_display("Code", code);
                }
                out.leaf("Description", &text).close("Error").close(root);
            }
        }
        out.finish()
    }
}

/// Code and text of an order that searched and found some, but too few.
pub const TOO_FEW: (u16, &str) =
    (5017, "Only a partial quantity of the total telephone numbers ordered could be fulfilled");

/// Returns code and text for an order whose search found too little.
pub(crate) fn too_little(order: &Order) -> (u16, &'static str) {
    match order.refused {
        Some(why) => refusal(why),
        None if order.taken.is_empty() => refusal(Refusal::AllOrNone),
        None => TOO_FEW,
    }
}

/// Writes the `ErrorList` of an order that searched and found too little: one `Error`, of no number.
pub(crate) fn search_error(out: &mut Document, order: &Order) {
    let (code, text) = too_little(order);
    out.open("ErrorList").open("Error").leaf_display("Code", code).leaf("Description", text);
    out.close("Error").close("ErrorList");
}

/// Writes an order's `ErrorList`, one `Error` a number: code first, description second, number third,
/// as one client reads them by their place.
pub(crate) fn error_list(out: &mut Document, dialect: Dialect, failed: &[Failure]) {
    out.element("ErrorList", |out| {
        for Failure { number, why } in failed {
            let (code, text) = refusal(*why);
            out.open("Error").leaf_display("Code", code).leaf("Description", text);
            out.leaf("TelephoneNumber", &dialect.number(*number)).close("Error");
        }
    });
}

/// Writes `name` with one `TelephoneNumber` a number.
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

/// Returns a client's text, cut so that an error repeats only a few characters of it.
#[must_use]
pub fn cut(text: &str) -> String {
    beginning(text, 40).to_owned()
}

/// Returns at most `characters_max` characters of a text.
pub(crate) fn beginning(text: &str, characters_max: usize) -> &str {
    text.char_indices().nth(characters_max).map_or(text, |(end, _)| &text[..end])
}
