//! An import of exchanges: which lines are taken, and what becomes of their rate centers.

use std::collections::HashMap;

use onhook_core::audit::deed::{Deed, DeedKind};
use onhook_core::audit::digest::Digest;
use onhook_core::import::BadLine;
use onhook_core::lifecycle::provenance::Doer;
use onhook_core::locality::Exchange;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::contract::imports::Imported;
use crate::{Result, StoreError};

/// An import of exchanges under way.
#[derive(Debug, Default)]
pub struct Import {
    /// The exchanges taken so far, each with its line.
    seen: HashMap<u32, u64>,
    /// Over the exchanges taken, each as it is written out for this, and a line feed.
    digest: Sha256,
    imported: Imported,
}

/// What becomes of an exchange's rate center.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateCenterWrite {
    /// It is new. The store gives it an id, which stays what it is.
    New,
    /// It stays.
    Keep(u32),
    /// It gets the exchange's name for it.
    Rename(u32),
}

impl Import {
    /// Takes the next line. Returns its exchange, to be written in place of a known one with the same digits. `None` if
    /// the line is bad.
    pub fn take(&mut self, line: u64, exchange: std::result::Result<Exchange, BadLine>) -> Option<Exchange> {
        let taken = exchange.and_then(|exchange| match self.seen.get(&exchange.npa_nxx) {
            None => Ok(exchange),
            Some(first) => {
                Err(BadLine::Twice { what: format!("exchange {}", exchange.npa_nxx), first: *first })
            }
        });
        match taken {
            Ok(exchange) => {
                self.seen.insert(exchange.npa_nxx, line);
                self.note(&exchange);
                self.imported.numbers += 1;
                Some(exchange)
            }
            Err(bad) => {
                self.imported.bad.note(line, bad);
                None
            }
        }
    }

    fn note(&mut self, exchange: &Exchange) {
        let Exchange { npa_nxx, region, rate_center, name, lata, city, zips } = exchange;
        let told = json!([npa_nxx, region, rate_center, name, lata, city, zips]);
        self.digest.update(format!("{told}\n"));
    }

    /// Returns the import as a deed.
    #[must_use]
    pub fn deed(&self, doer: &Doer) -> Deed {
        Deed::by(doer, DeedKind::Imported)
            .with("exchanges", self.imported.numbers)
            .with("lines", Digest(self.digest.clone().finalize().into()).to_string())
    }

    /// Checks the next line, which no earlier one may say already.
    ///
    /// # Errors
    /// [`BadLine`] if one does.
    pub fn judge(&mut self, line: u64, exchange: &Exchange) -> std::result::Result<(), BadLine> {
        if let Some(first) = self.seen.get(&exchange.npa_nxx) {
            return Err(BadLine::Twice { what: format!("exchange {}", exchange.npa_nxx), first: *first });
        }
        self.seen.insert(exchange.npa_nxx, line);
        self.note(exchange);
        self.imported.numbers += 1;
        Ok(())
    }

    /// Ends the import. Orders that wait may then find numbers where they found none before, as if the pool had grown.
    ///
    /// # Errors
    /// `Import` if a line was bad. Then nothing may be written.
    pub fn finish(self) -> Result<Imported> {
        if self.imported.bad.count() > 0 {
            return Err(StoreError::Import(self.imported.bad));
        }
        Ok(self.imported)
    }
}

/// Plans what becomes of an exchange's rate center. `known` is the id and the name of the one that has its region and
/// abbreviation. A name that only repeats the abbreviation does not replace a real one.
#[must_use]
pub fn rate_center(known: Option<(u32, &str)>, exchange: &Exchange) -> RateCenterWrite {
    match known {
        None => RateCenterWrite::New,
        Some((id, name)) if exchange.name == exchange.rate_center || exchange.name == name => {
            RateCenterWrite::Keep(id)
        }
        Some((id, _)) => RateCenterWrite::Rename(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(npa_nxx: u32, name: &str) -> Exchange {
        Exchange {
            npa_nxx,
            region: "NC".into(),
            rate_center: "RALEIGH".into(),
            name: name.into(),
            lata: None,
            city: None,
            zips: Vec::new(),
        }
    }

    #[test]
    fn one_bad_line_spoils_an_import_and_each_says_why() {
        let mut import = Import::default();
        assert!(import.take(1, Ok(exchange(919_555, "Raleigh"))).is_some());
        assert!(import.take(2, Ok(exchange(919_556, "Raleigh"))).is_some());
        assert!(import.take(3, Ok(exchange(919_555, "Raleigh"))).is_none());
        let Err(StoreError::Import(bad)) = import.finish() else { panic!("it was taken") };
        assert_eq!(bad.count(), 1);
        let mut import = Import::default();
        import.take(1, Ok(exchange(919_555, "Raleigh")));
        assert_eq!(import.finish().unwrap().numbers, 1);
    }

    #[test]
    fn a_rate_center_keeps_its_id_and_the_best_name() {
        let becomes = |known, name| rate_center(known, &exchange(919_555, name));
        assert_eq!(becomes(None, "RALEIGH"), RateCenterWrite::New);
        assert_eq!(becomes(Some((7, "RALEIGH")), "Raleigh"), RateCenterWrite::Rename(7));
        assert_eq!(becomes(Some((7, "Raleigh")), "RALEIGH"), RateCenterWrite::Keep(7));
        assert_eq!(becomes(Some((7, "Raleigh")), "Raleigh"), RateCenterWrite::Keep(7));
    }
}
