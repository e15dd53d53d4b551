//! What a route says of itself: stored with it as data, for whatever describes the API.

/// The description of a route.
#[derive(Clone, Copy, Debug)]
pub struct Doc {
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// The parameters of its query: the name, and what it says.
    pub query: &'static [(&'static str, &'static str)],
    /// The body that it takes.
    pub request: Option<Shape>,
    /// The status of its reply when all is well.
    pub status: u16,
    /// The body of that reply.
    pub reply: Option<Shape>,
}

/// The shape of a body.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Its type, such as `application/json`.
    pub content_type: &'static str,
    /// A JSON Schema (2020-12); empty for what is no JSON.
    pub schema: &'static str,
    /// A body that this route takes, or returns.
    pub example: &'static str,
}

impl Doc {
    /// A route with a summary, that replies 200 without a body. The rest is said by struct update.
    #[must_use]
    pub const fn new(summary: &'static str) -> Self {
        Self { summary, query: &[], request: None, status: 200, reply: None }
    }
}

impl Shape {
    /// A JSON document.
    #[must_use]
    pub const fn json(schema: &'static str, example: &'static str) -> Self {
        Self { content_type: "application/json", schema, example }
    }

    /// Plain text.
    #[must_use]
    pub const fn text(example: &'static str) -> Self {
        Self { content_type: "text/plain; charset=utf-8", schema: "", example }
    }
}
