//! A call as Bandwidth's API sees it: under a prefix, in a dialect, with a document in XML or JSON.

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
    /// The prefix that it came under.
    pub(crate) prefix: Prefix,
    /// What stands behind the path.
    pub(crate) query: Query,
    /// The XML document that a body in JSON stands for.
    translated: Option<Result<String, Malformed>>,
    /// Where it is noted what of the document was passed over, if anybody is to be told.
    passed_over: Option<Arc<PassedOver>>,
}

impl Call {
    /// Reads a call. `root` is the root of the document that its route takes.
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

    /// The path's account.
    ///
    /// # Errors
    /// `NoResource` when the route has none.
    pub(crate) fn account(&self) -> Result<AccountId, Problem> {
        self.account.ok_or(Problem::NoResource)
    }

    /// The document in its body, whether that is XML or JSON.
    ///
    /// # Errors
    /// When it is malformed.
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
