//! The request that both sides get: a disconnect order of two numbers, as the guide writes it.

use std::net::SocketAddr;

/// The account that owns every number of the benchmark.
pub(crate) const ACCOUNT: u64 = 9_900_000;
/// The guide's own two numbers.
pub(crate) const GUIDE: [u64; 2] = [5_405_514_342, 7_034_343_704];
/// `username:password`, the guide's own.
const AUTHORIZATION: &str = "Basic dXNlcm5hbWU6cGFzc3dvcmQ=";

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

/// A request whose numbers are overwritten where they stand. That costs the load generator almost nothing, so a server
/// on the same cores loses nothing.
pub(crate) struct Template {
    request: Vec<u8>,
    offsets: [usize; 2],
}

impl Template {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        let request = request(addr, GUIDE);
        let offsets = GUIDE.map(|number| {
            let digits = number.to_string();
            request
                .windows(digits.len())
                .position(|window| window == digits.as_bytes())
                .expect("the request holds the guide's numbers")
        });
        Self { request, offsets }
    }

    /// Makes `buffer` the request for `numbers`. It must be empty or an earlier request of this template.
    pub(crate) fn write(&self, buffer: &mut Vec<u8>, numbers: [u64; 2]) {
        if buffer.is_empty() {
            buffer.extend_from_slice(&self.request);
        }
        for (offset, number) in self.offsets.into_iter().zip(numbers) {
            let mut rest = number;
            for digit in buffer[offset..offset + 10].iter_mut().rev() {
                *digit = b'0' + u8::try_from(rest % 10).expect("one digit");
                rest /= 10;
            }
        }
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
            template.write(&mut buffer, numbers);
            assert_eq!(buffer, request(addr, numbers));
        }
    }
}
