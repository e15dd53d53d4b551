//! Writes the page of all errors to standard output: `cargo xtask docs` keeps it in `docs/errors.md`.

#![expect(clippy::print_stdout, reason = "the page is what this program is for")]

use onhook_wire::error::explained::{ANY, ANY_NUMBER, ANY_ORDER, problems, refusals};
use onhook_wire::error::{NO_NUMBERS, NOT_FOUND, Row, TOO_FEW, refusal};

const HEAD: &str = "\
# Errors

Every code that onhook answers with: its exact text, where it arises, and, if the text is not enough, what it means
and what to do. `…` stands for what the request decides. This page is written by
`cargo xtask docs` from the table that the server itself asks; change it there.

Code first, text second, in one of three forms. In v2 the same as JSON for those who ask for it
([compatibility](compatibility.md#json)); the server's own routes answer problem documents (RFC 9457).

| form | where |
|---|---|
| `…Response/ErrorList/Error` with `Code`, `Description`, and `TelephoneNumber` where one number is meant | orders of both kinds |
| `…/ResponseStatus` with `ErrorCode`, `Description` | everything else; `ErrorResponse` for histories and where there is no resource |
| `…/Error` with `Code`, `Description`, under the root of the answer | availableNumbers, availableNpaNxx, rateCenters, cities, coveredRateCenters |

401, 405, 414, 429 and 431 have no body.
";

fn main() {
    print!("{}", page());
}

fn page() -> String {
    let mut requests: Vec<[String; 5]> = problems()
        .iter()
        .map(|row| {
            let Row { status, code, text } = row.what.row();
            let text = text.replace(&ANY_NUMBER.to_string(), ANY).replace(&ANY_ORDER.to_string(), ANY);
            [
                code.map_or_else(|| "–".into(), |code| code.to_string()),
                status.to_string(),
                text,
                row.at.into(),
                row.hint.into(),
            ]
        })
        .collect();
    requests.sort_by_key(|[code, status, ..]| (code.parse().unwrap_or(u32::MAX), status.clone()));
    let mut numbers: Vec<[String; 4]> = refusals()
        .iter()
        .map(|row| {
            let (code, text) = refusal(row.what);
            [code.to_string(), text.into(), row.at.into(), row.hint.into()]
        })
        .collect();
    let (code, text) = TOO_FEW;
    let hint = "A search found some, and `PartialAllowed` is true. It names no number.";
    numbers.push([code.to_string(), text.into(), "number order".into(), hint.into()]);
    numbers.sort_by_key(|[code, ..]| code.parse().unwrap_or(u32::MAX));
    let looked_up = [
        (NO_NUMBERS, "texts that are no numbers"),
        (NOT_FOUND, "numbers that the caller does not have, which says nothing of whether they exist"),
    ]
    .map(|((code, text), hint)| [code.to_string(), text.to_owned(), hint.to_owned()]);
    [
        HEAD.to_owned(),
        "\n## A request as a whole\n\n".into(),
        table(["code", "status", "text", "where", "what it means, what to do"], &requests),
        "\n## One number of an order\n\nIn the order's `ErrorList`, once it has run; the order itself is answered with 200.\n\n".into(),
        table(["code", "text", "order", "what it means, what to do"], &numbers),
        "\n## Numbers that are looked up\n\nIn the `ErrorList` of POST `/tns`, with the numbers; the status is 200.\n\n".into(),
        table(["code", "text", "the numbers are"], &looked_up),
    ]
    .concat()
}

fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | ")).replace("|  |", "| |");
    let head = line(&head.map(str::to_owned)) + &"|---".repeat(N) + "|\n";
    let rows = rows.iter().map(|row| {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        line(&cells)
    });
    head + &rows.collect::<String>()
}
