//! The request that both sides get: a disconnect order of two numbers, as the guide writes it.

use std::net::SocketAddr;

use crate::numbers::Pair;

/// The account that owns the numbers of the benchmark, and the first if they belong to several.
pub(crate) const ACCOUNT: u64 = 9_900_000;
/// The guide's own two numbers.
pub(crate) const GUIDE: [u64; 2] = [5_405_514_342, 7_034_343_704];
/// `username:password`, the guide's own.
const AUTHORIZATION: &str = "Basic dXNlcm5hbWU6cGFzc3dvcmQ=";

/// Returns the XML of a disconnect order of many numbers.
pub(crate) fn order(numbers: &[u64]) -> String {
    let numbers: String =
        numbers.iter().map(|number| format!("<TelephoneNumber>{number:010}</TelephoneNumber>")).collect();
    format!(
        "<DisconnectTelephoneNumberOrder><name>n</name><DisconnectTelephoneNumberOrderType><TelephoneNumberList>\
         {numbers}</TelephoneNumberList></DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>"
    )
}

/// Returns the XML of a disconnect order.
pub(crate) fn body(numbers: [u64; 2]) -> String {
    let [first, second] = numbers;
    format!(
        r#"<?xml version="1.0"?>
<DisconnectTelephoneNumberOrder>
<name>training run</name>
<DisconnectTelephoneNumberOrderType>
<TelephoneNumberList>
<TelephoneNumber>{first:010}</TelephoneNumber>
<TelephoneNumber>{second:010}</TelephoneNumber>
</TelephoneNumberList>
</DisconnectTelephoneNumberOrderType>
</DisconnectTelephoneNumberOrder>
"#
    )
}

/// Returns the whole HTTP request, ready to be written to a connection.
pub(crate) fn request(addr: SocketAddr, numbers: [u64; 2]) -> Vec<u8> {
    let body = body(numbers);
    let length = body.len();
    format!(
        "POST /api/accounts/{ACCOUNT}/disconnects HTTP/1.1\r\n\
         Host: {addr}\r\n\
         Content-Type: application/xml; charset=utf-8\r\n\
         Authorization: {AUTHORIZATION}\r\n\
         Content-Length: {length}\r\n\
         \r\n\
         {body}"
    )
    .into_bytes()
}

/// Returns a request for a page of a list of the account's numbers.
pub(crate) fn page(addr: SocketAddr, list: &str, page: &str, size: u64) -> Vec<u8> {
    format!(
        "GET /api{list}?page={page}&size={size} HTTP/1.1\r\nHost: {addr}\r\nAuthorization: {AUTHORIZATION}\r\n\r\n"
    )
    .into_bytes()
}

/// The benchmark's operator, with the guide's password.
pub(crate) const OPERATOR: &str = "operator";
/// `operator:password`.
const OPERATORS: &str = "Basic b3BlcmF0b3I6cGFzc3dvcmQ=";

/// Returns an operator's request for a report.
pub(crate) fn report(addr: SocketAddr, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /ops/v1/reports/{kind} HTTP/1.1\r\nHost: {addr}\r\nAuthorization: {OPERATORS}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Returns an operator's question where calls to a number go.
pub(crate) fn call(addr: SocketAddr, number: u64) -> Vec<u8> {
    format!("GET /ops/v1/calls/{number:010} HTTP/1.1\r\nHost: {addr}\r\nAuthorization: {OPERATORS}\r\n\r\n")
        .into_bytes()
}

/// Returns the head of an operator's request to rate a file of call records.
pub(crate) fn rate(addr: SocketAddr, layout: &str, length: u64) -> String {
    format!(
        "POST /ops/v1/rate?{layout} HTTP/1.1\r\nHost: {addr}\r\nAuthorization: {OPERATORS}\r\n\
         Content-Type: text/csv\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
}

/// A request whose account and numbers are overwritten where they stand. That costs the load generator almost nothing, so a server
/// on the same cores loses nothing.
pub(crate) struct Template {
    request: Vec<u8>,
    /// Where the account stands, and the numbers.
    account: usize,
    offsets: [usize; 2],
}

impl Template {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        let request = request(addr, GUIDE);
        let offset = |number: u64| {
            let digits = number.to_string();
            let found = request.windows(digits.len()).position(|window| window == digits.as_bytes());
            found.expect("the request holds the account and the guide's numbers")
        };
        let (account, offsets) = (offset(ACCOUNT), GUIDE.map(offset));
        Self { request, account, offsets }
    }

    /// Makes `buffer` the request for two numbers. It must be empty or an earlier request of this template.
    pub(crate) fn write(&self, buffer: &mut Vec<u8>, Pair { account, numbers }: Pair) {
        if buffer.is_empty() {
            buffer.extend_from_slice(&self.request);
        }
        write_digits(&mut buffer[self.account..self.account + 7], ACCOUNT + account);
        for (offset, number) in self.offsets.into_iter().zip(numbers) {
            write_digits(&mut buffer[offset..offset + 10], number);
        }
    }
}

/// Writes a number over the digits that stand there.
pub(crate) fn write_digits(digits: &mut [u8], number: u64) {
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).expect("one digit");
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_writes_what_request_writes() {
        let addr = "127.0.0.1:9080".parse().unwrap();
        let template = Template::new(addr);
        let mut buffer = Vec::new();
        for numbers in [GUIDE, [2_012_000_000, 9_899_999_999]] {
            template.write(&mut buffer, Pair { account: 0, numbers });
            assert_eq!(buffer, request(addr, numbers));
        }
        template.write(&mut buffer, Pair { account: 31, numbers: GUIDE });
        let other = String::from_utf8(request(addr, GUIDE)).unwrap().replace("/9900000/", "/9900031/");
        assert_eq!(String::from_utf8(buffer).unwrap(), other);
    }
}
