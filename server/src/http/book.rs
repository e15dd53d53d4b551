//! An API as a book: its routes in chapters, from which its documents are made.

use super::route::Route;

/// An API, described.
#[derive(Clone)]
pub struct Book {
    /// Its name.
    pub title: &'static str,
    /// What it is, in a few sentences.
    pub about: &'static str,
    /// The beginnings of its addresses, each with what it means.
    pub servers: Vec<(&'static str, &'static str)>,
    /// Its chapters, one a resource.
    pub chapters: Vec<Chapter>,
}

/// The routes of a resource.
#[derive(Clone)]
pub struct Chapter {
    /// The resource.
    pub heading: &'static str,
    /// Its routes.
    pub routes: Vec<Route>,
}

impl Book {
    /// Returns the book without the routes that only an emulator has.
    #[must_use]
    pub fn without_emulator(mut self) -> Self {
        for chapter in &mut self.chapters {
            chapter.routes.retain(|route| !route.emulator);
        }
        self.chapters.retain(|chapter| !chapter.routes.is_empty());
        self
    }
}
