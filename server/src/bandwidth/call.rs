//! A call of Bandwidth's API: under a prefix, in a dialect, with a document in XML or JSON.

use std::ops::Deref;
use std::sync::Arc;

use http::header;
use onhook_core::ids::AccountId;
use onhook_wire::error::Problem;
use onhook_wire::guard::Malformed;
use onhook_wire::query::Query;
use onhook_wire::{json, xml};

use super::posted::{PassedOver, Posted};
use super::prefix::Prefix;
use crate::http::call;
use crate::http::gate::is_of;
use crate::http::reply::JSON;

/// A call that has passed the gate.
#[derive(Debug)]
pub(crate) struct Call {
    call: call::Call,
    /// The prefix of its path.
    pub(crate) prefix: Prefix,
    /// Its query.
    pub(crate) query: Query,
    /// The XML document that corresponds to a body in JSON.
    translated: Option<Result<String, Malformed>>,
    /// Holds the names of the document's elements that were passed over, if somebody is to be told of them.
    passed_over: Option<Arc<PassedOver>>,
}

impl Call {
    /// Reads a call. `root` is the root element of the document that its route takes.
    pub(super) fn new(
        mut call: call::Call,
        root: Option<&'static str>,
        passed_over: Option<Arc<PassedOver>>,
    ) -> Self {
        let query = Query::new(std::mem::take(&mut call.pairs));
        let is_json = || call.headers.get(header::CONTENT_TYPE).is_some_and(|named| is_of(named, JSON));
        let translated = root.filter(|_| is_json()).map(|root| json::to_xml(root, &call.body));
        Self { prefix: Prefix::of(call.prefix), query, translated, passed_over, call }
    }

    /// Returns the path's account.
    ///
    /// # Errors
    /// `NoResource` if the route has none.
    pub(crate) fn account(&self) -> Result<AccountId, Problem> {
        self.account.ok_or(Problem::NoResource)
    }

    /// Returns the document in the body, which is XML or JSON.
    ///
    /// # Errors
    /// If it is malformed.
    pub(crate) fn document(&self) -> Result<Posted<'_>, Malformed> {
        let root = match &self.translated {
            None => xml::parse(&self.body),
            Some(Ok(document)) => xml::parse(document.as_bytes()),
            Some(Err(malformed)) => Err(malformed.clone()),
        };
        Ok(Posted::new(root?, self.translated.is_some(), self.passed_over.as_deref()))
    }
}

impl Deref for Call {
    type Target = call::Call;

    fn deref(&self) -> &call::Call {
        &self.call
    }
}
