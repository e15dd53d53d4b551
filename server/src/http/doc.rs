//! Descriptions of routes, stored with them as data. The API's documents, its pages and the tests of who may do what are
//! made from them.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::reply::{JSON, TEXT};

/// The description of a route.
#[derive(Clone, Debug)]
pub struct Doc {
    /// What the route does, in a sentence.
    pub summary: &'static str,
    /// The parameters of its query.
    pub query: Vec<Parameter>,
    /// The body that it takes.
    pub request: Option<Shape>,
    /// Another type of body that it takes instead.
    pub other: Option<Shape>,
    /// Its replies: the successful one, then others that are its own. What the gate and the door refuse is not here.
    pub replies: Vec<Told>,
    /// True if a request with an `Idempotency-Key` is done once.
    pub keyed: bool,
    /// The status for a caller of another account, if the route needs no account and its handler decides that.
    pub strangers: Option<u16>,
}

/// A parameter of a path or query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// The form of its value.
    pub form: Form,
    /// What it means, as a phrase without a full stop.
    pub meaning: &'static str,
    /// True if a request without it is refused. A path's parameters are always there.
    pub required: bool,
}

/// The form of a parameter's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Any text. This is one.
    Text(&'static str),
    /// A telephone number: ten digits, or E.164.
    Phone,
    /// So many leading digits of telephone numbers, such as an area code. These are some.
    Digits(u8, &'static str),
    /// A whole number within bounds, both included.
    Whole(u32, u32),
    /// A whole number up to a bound, which holds where there is none.
    UpTo(u32),
    /// A UUID.
    Uuid,
    /// `true` or `false`.
    Flag,
    /// A day in UTC in the form yy-MM-dd.
    Day,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A page's number from 1, or the id of its first element.
    Page,
    /// What a page of the same list gave as `next`.
    Cursor,
    /// 1 to 255 visible characters.
    Key,
}

/// The header by which a request is done once.
pub const KEY: Parameter = Parameter::new(
    "Idempotency-Key",
    Form::Key,
    "the request is done once under this key: sent again, it is answered as it was",
);

/// A reply of a route.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// Its status.
    pub status: u16,
    /// When it is given, in a sentence.
    pub meaning: &'static str,
    /// Its body. `None` if it has none.
    pub body: Option<Shape>,
}

/// The shape of a body.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Its type, such as `application/json`.
    pub content_type: &'static str,
    /// A JSON Schema (2020-12). Empty if it is not told.
    pub schema: &'static str,
    /// A body that this route takes, or returns.
    pub example: &'static str,
}

/// A body in one of the types in which a door has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Its type.
    pub content_type: &'static str,
    /// A JSON Schema. Empty if it is not told.
    pub schema: &'static str,
    /// An example.
    pub example: Cow<'static, str>,
}

impl Doc {
    /// Returns a description of a route that gives this reply.
    #[must_use]
    pub fn new(summary: &'static str, reply: Told) -> Self {
        let (query, replies) = (Vec::new(), vec![reply]);
        Self { summary, query, request: None, other: None, replies, keyed: false, strangers: None }
    }

    /// Returns the description with parameters of the query.
    #[must_use]
    pub fn query(mut self, parameters: &[Parameter]) -> Self {
        self.query.extend_from_slice(parameters);
        self
    }

    /// Returns the description with the body that the route takes.
    #[must_use]
    pub fn takes(self, request: Shape) -> Self {
        Self { request: Some(request), ..self }
    }

    /// Returns the description with another type of body that a streaming route takes.
    #[must_use]
    pub fn or_takes(self, other: Shape) -> Self {
        Self { other: Some(other), ..self }
    }

    /// Returns the description with another reply of the route's own.
    #[must_use]
    pub fn or(mut self, reply: Told) -> Self {
        self.replies.push(reply);
        self
    }

    /// Returns the description of a route that does a request with an `Idempotency-Key` once.
    #[must_use]
    pub fn keyed(self) -> Self {
        Self { keyed: true, ..self }
    }

    /// Returns the description with the status for a caller of another account, which the handler decides.
    #[must_use]
    pub fn strangers(self, status: u16) -> Self {
        Self { strangers: Some(status), ..self }
    }

    /// Returns the reply to a request that succeeds.
    #[must_use]
    pub fn good(&self) -> Told {
        self.replies.first().copied().unwrap_or(Told::DONE)
    }
}

impl Told {
    /// 200 without a body.
    pub const DONE: Self = Self::new(200, "It is done.");
    /// 204: there is no body.
    pub const GONE: Self = Self::new(204, "It is done.");

    /// A reply without a body.
    #[must_use]
    pub const fn new(status: u16, meaning: &'static str) -> Self {
        Self { status, meaning, body: None }
    }

    /// 200 with a body.
    #[must_use]
    pub const fn ok(body: Shape) -> Self {
        Self { body: Some(body), ..Self::new(200, "It is as the body shows.") }
    }

    /// 201 with a body.
    #[must_use]
    pub const fn made(body: Shape) -> Self {
        Self { body: Some(body), ..Self::MADE }
    }

    /// 201 without a body.
    pub const MADE: Self = Self::new(201, "It is made. The header Location has its address.");

    /// The reply with a body.
    #[must_use]
    pub const fn with(self, body: Shape) -> Self {
        Self { body: Some(body), ..self }
    }
}

impl Shape {
    /// A JSON document.
    #[must_use]
    pub const fn json(schema: &'static str, example: &'static str) -> Self {
        Self { content_type: JSON, schema, example }
    }

    /// Plain text.
    #[must_use]
    pub const fn text(example: &'static str) -> Self {
        Self::of(TEXT, example)
    }

    /// A body of another type.
    #[must_use]
    pub const fn of(content_type: &'static str, example: &'static str) -> Self {
        Self { content_type, schema: "", example }
    }
}

impl From<Shape> for Media {
    fn from(Shape { content_type, schema, example }: Shape) -> Self {
        Self { content_type, schema, example: example.into() }
    }
}

impl Media {
    /// Returns its type without parameters, such as a character set.
    #[must_use]
    pub fn bare_type(&self) -> &'static str {
        self.content_type.split(';').next().unwrap_or_default()
    }

    /// Returns true if it is JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.bare_type().ends_with("json")
    }
}

impl Parameter {
    /// A parameter that may be left out of a query.
    #[must_use]
    pub const fn new(name: &'static str, form: Form, meaning: &'static str) -> Self {
        Self { name, form, meaning, required: false }
    }

    /// The parameter, without which a request is refused.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }
}

impl Form {
    /// Returns its JSON Schema.
    #[must_use]
    pub fn schema(self) -> Value {
        match self {
            Form::Text(_) | Form::Page | Form::Cursor => json!({ "type": "string" }),
            Form::Phone => json!({ "type": "string", "pattern": r"^\+?[0-9]{7,15}$" }),
            Form::Digits(count, _) => json!({ "type": "string", "pattern": format!("^[0-9]{{{count}}}$") }),
            Form::Whole(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
            Form::UpTo(max) => json!({ "type": "integer", "minimum": 0, "maximum": max, "default": max }),
            Form::Uuid => json!({ "type": "string", "format": "uuid" }),
            Form::Flag => json!({ "type": "boolean" }),
            Form::Day => json!({ "type": "string", "pattern": "^[0-9]{2}-[0-9]{2}-[0-9]{2}$" }),
            Form::Word(words) => json!({ "type": "string", "enum": words }),
            Form::Key => json!({ "type": "string", "pattern": "^[!-~]{1,255}$" }),
        }
    }

    /// Returns a value of this form.
    #[must_use]
    pub fn example(self) -> Cow<'static, str> {
        match self {
            Form::Text(example) | Form::Digits(_, example) => example.into(),
            Form::Phone => "5405514342".into(),
            Form::Whole(min, _) => min.to_string().into(),
            Form::UpTo(max) => max.to_string().into(),
            Form::Uuid => "6d7da966-e071-4741-b31c-1d8932f4b8da".into(),
            Form::Flag => "true".into(),
            Form::Day => "26-06-01".into(),
            Form::Word(words) => words.first().copied().unwrap_or_default().into(),
            Form::Page => "1".into(),
            Form::Cursor => "".into(),
            Form::Key => "4f1c2b9e-0d57-4c7e-9b0a-6f0f5f0c8f11".into(),
        }
    }

    /// Returns it in a few words.
    #[must_use]
    pub fn words(self) -> Cow<'static, str> {
        match self {
            Form::Text(_) => "text".into(),
            Form::Phone => "a telephone number: ten digits, or E.164".into(),
            Form::Digits(count, _) => format!("{count} digits").into(),
            Form::Whole(min, u32::MAX) => format!("a whole number, {min} or more").into(),
            Form::Whole(min, max) => format!("a whole number, {min} to {max}").into(),
            Form::UpTo(max) => format!("a whole number, 0 to {max}").into(),
            Form::Uuid => "a UUID".into(),
            Form::Flag => "true or false".into(),
            Form::Day => "a day in UTC, yy-MM-dd".into(),
            Form::Word(words) => words.join(", ").into(),
            Form::Page => "a page's number from 1, or the id of its first element".into(),
            Form::Cursor => "what a page of the same list gave as `next`".into(),
            Form::Key => "1 to 255 visible characters".into(),
        }
    }
}
