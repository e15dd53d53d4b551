//! The North American plan's area codes: where each lies, from public sources.
//!
//! Public facts only: the area codes that NANPA and the Canadian administrator have assigned and that were
//! in service in November 2026, checked then against the metadata of libphonenumber 9.0.43. A code whose
//! assignment could not be confirmed is left out: a missing one is unknown here, not invalid.
//!
//! Not here: where in a state a number lies (`locality`), or which digits a number may have (`number`).

use crate::number::{Number, TOLL_FREE};

/// What an area code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// A part of a country.
    Geographic {
        /// Two letters (ISO 3166); territories of the United States count as such.
        country: &'static str,
        /// The state or province, two letters. `None` if the code serves several, or the country has none.
        region: Option<&'static str>,
    },
    /// The called party pays. It lies nowhere.
    TollFree,
    /// It lies nowhere: personal numbers, carriers' own, premium.
    NonGeographic,
}

/// Country, state or province, and its area codes.
#[rustfmt::skip]
const REGIONS: &[(&str, &str, &[u16])] = &[
    ("CA", "AB", &[368, 403, 587, 780, 825]),
    ("CA", "BC", &[236, 250, 257, 604, 672, 778]),
    ("CA", "MB", &[204, 431, 584]),
    ("CA", "NB", &[428, 506]),
    ("CA", "NL", &[709, 879]),
    ("CA", "ON", &[226, 249, 289, 343, 365, 382, 416, 437, 519, 548, 613, 647, 683, 705, 742, 753, 807, 905, 942]),
    ("CA", "QC", &[263, 273, 354, 367, 418, 438, 450, 468, 514, 579, 581, 819, 873]),
    ("CA", "SK", &[306, 474, 639]),
    ("US", "AK", &[907]),
    ("US", "AL", &[205, 251, 256, 334, 659, 938]),
    ("US", "AR", &[327, 479, 501, 870]),
    ("US", "AS", &[684]),
    ("US", "AZ", &[480, 520, 602, 623, 928]),
    ("US", "CA", &[209, 213, 279, 310, 323, 341, 350, 369, 408, 415, 424, 442, 510, 530, 559, 562, 619, 626, 628, 650, 657, 661, 669, 707, 714, 738, 747, 760, 805, 818, 820, 831, 840, 858, 909, 916, 925, 949, 951]),
    ("US", "CO", &[303, 719, 720, 748, 970, 983]),
    ("US", "CT", &[203, 475, 860, 959]),
    ("US", "DC", &[202, 771]),
    ("US", "DE", &[302]),
    ("US", "FL", &[239, 305, 321, 324, 352, 386, 407, 448, 561, 645, 656, 689, 727, 728, 754, 772, 786, 813, 850, 863, 904, 941, 954]),
    ("US", "GA", &[229, 404, 470, 478, 678, 706, 762, 770, 912, 943]),
    ("US", "GU", &[671]),
    ("US", "HI", &[808]),
    ("US", "IA", &[319, 515, 563, 641, 712]),
    ("US", "ID", &[208, 986]),
    ("US", "IL", &[217, 224, 309, 312, 331, 447, 464, 618, 630, 708, 730, 773, 779, 815, 847, 872]),
    ("US", "IN", &[219, 260, 317, 463, 574, 765, 812, 930]),
    ("US", "KS", &[316, 620, 785, 913]),
    ("US", "KY", &[270, 364, 502, 606, 859]),
    ("US", "LA", &[225, 318, 337, 504, 985]),
    ("US", "MA", &[339, 351, 413, 508, 617, 774, 781, 857, 978]),
    ("US", "MD", &[227, 240, 301, 410, 443, 667]),
    ("US", "ME", &[207]),
    ("US", "MI", &[231, 248, 269, 313, 517, 586, 616, 734, 810, 906, 947, 989]),
    ("US", "MN", &[218, 320, 507, 612, 651, 763, 952]),
    ("US", "MO", &[235, 314, 417, 557, 573, 636, 660, 816, 975]),
    ("US", "MP", &[670]),
    ("US", "MS", &[228, 601, 662, 769]),
    ("US", "MT", &[406]),
    ("US", "NC", &[252, 336, 472, 704, 743, 828, 910, 919, 980, 984]),
    ("US", "ND", &[701]),
    ("US", "NE", &[308, 402, 531]),
    ("US", "NH", &[603]),
    ("US", "NJ", &[201, 551, 609, 640, 732, 848, 856, 862, 908, 973]),
    ("US", "NM", &[505, 575]),
    ("US", "NV", &[702, 725, 775]),
    ("US", "NY", &[212, 315, 329, 332, 347, 363, 516, 518, 585, 607, 631, 646, 680, 716, 718, 838, 845, 914, 917, 929, 934]),
    ("US", "OH", &[216, 220, 234, 283, 326, 330, 380, 419, 440, 513, 567, 614, 740, 937]),
    ("US", "OK", &[405, 539, 572, 580, 918]),
    ("US", "OR", &[458, 503, 541, 971]),
    ("US", "PA", &[215, 223, 267, 272, 412, 445, 484, 570, 582, 610, 717, 724, 814, 835, 878]),
    ("US", "PR", &[787, 939]),
    ("US", "RI", &[401]),
    ("US", "SC", &[803, 821, 839, 843, 854, 864]),
    ("US", "SD", &[605]),
    ("US", "TN", &[423, 615, 629, 731, 865, 901, 931]),
    ("US", "TX", &[210, 214, 254, 281, 325, 346, 361, 409, 430, 432, 469, 512, 682, 713, 726, 737, 806, 817, 830, 832, 903, 915, 936, 940, 945, 956, 972, 979]),
    ("US", "UT", &[385, 435, 801]),
    ("US", "VA", &[276, 434, 540, 571, 686, 703, 757, 804, 826, 948]),
    ("US", "VI", &[340]),
    ("US", "VT", &[802]),
    ("US", "WA", &[206, 253, 360, 425, 509, 564]),
    ("US", "WI", &[262, 274, 353, 414, 534, 608, 715, 920]),
    ("US", "WV", &[304, 681]),
    ("US", "WY", &[307]),
];

/// Countries and their area codes that do not belong to one state or province: Nova Scotia and
/// Prince Edward Island share 782 and 902, the three territories of Canada share 867.
#[rustfmt::skip]
const COUNTRIES: &[(&str, &[u16])] = &[
    ("AG", &[268]), ("AI", &[264]), ("BB", &[246]), ("BM", &[441]), ("BS", &[242]), ("CA", &[782, 867, 902]),
    ("DM", &[767]), ("DO", &[809, 829, 849]), ("GD", &[473]), ("JM", &[658, 876]), ("KN", &[869]),
    ("KY", &[345]), ("LC", &[758]), ("MS", &[664]), ("SX", &[721]), ("TC", &[649]), ("TT", &[868]),
    ("VC", &[784]), ("VG", &[284]),
];

/// Codes that lie nowhere: personal numbers, Canada's non-geographic 600 and 622, carriers' 700, the
/// government's 710, premium 900.
const NON_GEOGRAPHIC: &[u16] = &[
    500, 521, 522, 523, 524, 525, 526, 527, 528, 529, 532, 533, 544, 566, 577, 588, 600, 622, 700, 710, 900,
];

/// Returns what an area code is for. `None` if it is unknown here.
///
/// ```
/// use onhook_core::area_codes::{Service, service};
/// assert_eq!(service(919), Some(Service::Geographic { country: "US", region: Some("NC") }));
/// assert_eq!(service(902), Some(Service::Geographic { country: "CA", region: None }));
/// assert_eq!(service(888), Some(Service::TollFree));
/// ```
#[must_use]
pub fn service(npa: u16) -> Option<Service> {
    if TOLL_FREE.contains(&npa) {
        return Some(Service::TollFree);
    }
    if NON_GEOGRAPHIC.contains(&npa) {
        return Some(Service::NonGeographic);
    }
    let region = REGIONS.iter().find(|(.., codes)| codes.contains(&npa));
    let country = || COUNTRIES.iter().find(|(_, codes)| codes.contains(&npa));
    match region {
        Some((country, region, _)) => Some(Service::Geographic { country, region: Some(region) }),
        None => country().map(|(country, _)| Service::Geographic { country, region: None }),
    }
}

/// The version of this table: the month of its sources. A report names it.
pub const VERSION: &str = "2026-11";

/// Codes that a later version has added, each with that version: a report that was made with an earlier one goes on
/// without them.
const ADDED: &[(&str, &[u16])] = &[];

/// Returns what an area code is for by an earlier version of this table, or by this one.
#[must_use]
pub fn service_in(npa: u16, version: &str) -> Option<Service> {
    let later = ADDED.iter().any(|(added, codes)| *added > version && codes.contains(&npa));
    if later { None } else { service(npa) }
}

/// Returns whether an area code is of the two blocks of ten that are set aside, 37X and 96X: no number has one.
#[must_use]
pub fn is_set_aside(npa: u16) -> bool {
    matches!(npa / 10, 37 | 96)
}

/// Returns whether an area code lies in the United States or one of their territories.
#[must_use]
pub fn is_us(npa: u16) -> bool {
    matches!(service(npa), Some(Service::Geographic { country: "US", .. }))
}

/// Returns the state or province of a number's area code.
#[must_use]
pub fn region(number: Number) -> Option<&'static str> {
    match service(number.area_code()?)? {
        Service::Geographic { region, .. } => region,
        Service::TollFree | Service::NonGeographic => None,
    }
}

/// Returns whether a state, province or territory has these two letters, in upper case.
#[must_use]
pub fn is_region(region: &str) -> bool {
    ["NS", "PE", "NT", "NU", "YT"].contains(&region) || REGIONS.iter().any(|(_, name, _)| *name == region)
}

/// Returns the area codes that lie in a state or province as a whole.
#[must_use]
pub fn area_codes(region: &str) -> &'static [u16] {
    REGIONS.iter().find(|(_, name, _)| *name == region).map_or(&[], |(.., codes)| codes)
}

/// Returns what the digits of numbers begin with, with the country code, that lie in a rate center of a region or, without
/// one, have this prefix: an area code of the North American plan, or the first digits of any other number.
#[must_use]
pub fn beginnings(region: Option<&str>, rate_center: Option<&str>, prefix: Option<&str>) -> Vec<String> {
    if let (Some(region), Some(_)) = (region, rate_center) {
        let codes = area_codes(region);
        // Some provinces and territories share area codes. All of them are Canada's.
        let codes = if codes.is_empty() && is_region(region) { &SHARED[..] } else { codes };
        return codes.iter().map(|code| format!("1{code}")).collect();
    }
    let prefix = prefix.unwrap_or_default();
    let is_area_code = prefix.parse().is_ok_and(|code: u16| service(code).is_some());
    vec![if is_area_code { format!("1{prefix}") } else { prefix.to_owned() }]
}

/// Area codes that several provinces and territories of Canada share.
const SHARED: [u16; 3] = [782, 867, 902];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_area_code_stands_twice_and_each_can_be_one() {
        let mut all: Vec<u16> = REGIONS.iter().flat_map(|(.., codes)| codes.iter().copied()).collect();
        all.extend(COUNTRIES.iter().flat_map(|(_, codes)| codes.iter().copied()));
        all.extend(NON_GEOGRAPHIC.iter().chain(&TOLL_FREE));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for npa in all {
            assert!(format!("{npa}2345678").parse::<Number>().is_ok(), "{npa}");
        }
        let mut names: Vec<&str> = REGIONS.iter().map(|(_, name, _)| *name).collect();
        names.dedup();
        assert_eq!(names.len(), REGIONS.len());
        assert_eq!(names.len(), 51 + 5 + 8, "the states and DC, five territories, eight provinces");
    }

    #[test]
    fn well_known_codes_lie_where_everybody_knows() {
        let at = |npa| match service(npa) {
            Some(Service::Geographic { country, region }) => (country, region),
            other => panic!("{npa}: {other:?}"),
        };
        for (npa, region) in
            [(201, "NJ"), (212, "NY"), (213, "CA"), (312, "IL"), (919, "NC"), (540, "VA"), (202, "DC")]
        {
            assert_eq!(at(npa), ("US", Some(region)), "{npa}");
        }
        assert_eq!((at(416), at(604)), (("CA", Some("ON")), ("CA", Some("BC"))));
        assert_eq!((at(867), at(876), at(787)), (("CA", None), ("JM", None), ("US", Some("PR"))));
        assert_eq!(service(800), Some(Service::TollFree));
        assert_eq!(
            (service(500), service(900)),
            (Some(Service::NonGeographic), Some(Service::NonGeographic))
        );
        assert_eq!((service(555), service(299)), (None, None));
        assert!(is_us(540) && is_us(787) && !is_us(416) && !is_us(800) && !is_us(600));
        assert!(is_set_aside(370) && is_set_aside(969) && !is_set_aside(380));
        assert_eq!((service_in(540, "2026-11"), service_in(540, "2021-01")), (service(540), service(540)));
        assert_eq!(area_codes("HI"), [808]);
        assert!(is_region("PE") && is_region("NC") && !is_region("XX"));
    }
}
