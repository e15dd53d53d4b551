//! Descriptions of routes, stored with them as data, from which the API is described.

/// The description of a route.
#[derive(Clone, Copy, Debug)]
pub struct Doc {
    /// What the route does, in a sentence.
    pub summary: &'static str,
    /// The parameters of its query: name and description.
    pub query: &'static [(&'static str, &'static str)],
    /// The body that it takes.
    pub request: Option<Shape>,
    /// The status of a successful reply.
    pub status: u16,
    /// The body of that reply.
    pub reply: Option<Shape>,
}

/// The shape of a body.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Its type, such as `application/json`.
    pub content_type: &'static str,
    /// A JSON Schema (2020-12). Empty if the body is not JSON.
    pub schema: &'static str,
    /// A body that this route takes, or returns.
    pub example: &'static str,
}

impl Doc {
    /// Returns a description of a route that replies 200 without a body. Struct update sets the rest.
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
